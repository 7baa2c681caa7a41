"""What a scan was decided to do; frozen when it starts, read by every collector that works for it."""

from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from services.contracts.authorisations import Authorisation
from services.contracts.claims import Entity
from services.contracts.scope import Activity, Scope

Profile = Literal["passive", "standard", "deep"]

#: Which activities a profile has; active work also needs an authorisation.
PROFILES: Final[dict[Profile, frozenset[Activity]]] = {
    "passive": frozenset({"passive"}),
    "standard": frozenset({"passive", "dns"}),
    "deep": frozenset({"passive", "dns", "guess", "active"}),
}


class PlannedModule(Struct, frozen=True, kw_only=True):
    """A module of a plan: what the frontier needs of its manifest, and its frozen configuration.

    ``missing_key`` names the key that it could use and does not have.
    """

    id: str
    version: int
    activity: Activity
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    options: dict[str, bool | int | float | str]
    rate: float
    cost: float
    concurrency: int
    timeout: float
    missing_key: str = ""
    key_required: bool = False
    affiliates: bool = True


def waits_for(rate: float) -> Literal["collector", "source"]:
    """What there would have to be more of, for items of a module to be done sooner: its rate is shared by all."""
    return "source" if rate > 0 else "collector"


class Limits(Struct, frozen=True, kw_only=True):
    """``max_depth``: steps outside the scope; ``max_items``: work items in all; ``timeout``: seconds in all."""

    max_depth: int = 2
    max_items: int = 1_000_000
    timeout: float | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """``salt`` names the probes for wildcards, so that a replay asks for the same ones.

    ``words`` is the sha256 of the word list, kept in the workspace's blobs; None for the one that comes with Mirage.
    """

    scan: UUID
    profile: Profile
    targets: tuple[Entity, ...]
    scope: Scope
    modules: tuple[PlannedModule, ...]
    limits: Limits
    salt: str
    resolvers: tuple[str, ...] = ()
    words: bytes | None = None
    authorisation: Authorisation | None = None
