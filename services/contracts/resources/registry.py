"""Modules as a workspace sees them."""

from typing import Literal

from msgspec import Struct

from services.contracts.facts import DeclaredModule


class Health(Struct, frozen=True, kw_only=True):
    """How a source has been lately: counts of items by outcome, the last good answer, the last failure."""

    state: Literal["unknown", "well", "degraded", "down"] = "unknown"
    answered: int = 0
    failed: int = 0
    last_answer: int | None = None
    last_failure: int | None = None
    reason: str = ""


class Module(Struct, frozen=True, kw_only=True):
    """A module as a workspace sees it; ``live`` is false when no collector has it any more."""

    declared: DeclaredModule
    enabled: bool
    options: dict[str, bool | int | float | str]
    health: Health
    live: bool
    has_key: bool


class Announcement(Struct, frozen=True):
    """What a collector announced: its modules, and the digest of them, which it says in the directory too."""

    digest: str
    modules: tuple[DeclaredModule, ...]


class ModuleVersion(Struct, frozen=True):
    """A module in a version that a collector has."""

    module: str
    version: int


class ModuleRef(Struct, frozen=True):
    module: str


class ModuleSettings(Struct, frozen=True, kw_only=True):
    """A workspace's settings for a module; None leaves as it is."""

    module: str
    enabled: bool | None = None
    options: dict[str, bool | int | float | str] | None = None
