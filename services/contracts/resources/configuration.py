"""Questions about provider keys and settings, and their answers."""

from typing import Any, Literal

from msgspec import Struct


class KeyView(Struct, frozen=True, kw_only=True):
    """A provider key that is set: where it comes from, and its last characters.

    One that does not open was sealed under another master key: it is kept, and nobody can use it.
    """

    name: str
    source: Literal["stored", "environment"]
    hint: str
    opens: bool = True


class NewKey(Struct, frozen=True):
    """A provider key to keep."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.name!r}, '***')"


class KeyName(Struct, frozen=True):
    name: str


class SettingsView(Struct, frozen=True, kw_only=True):
    """What is set of a service: all ``values``, the defaults among them; who set it so, when and why.

    ``version`` counts the changes, from 0 for none.
    """

    service: str
    version: int
    values: dict[str, Any]
    by: str = ""
    reason: str = ""
    at: int | None = None


class SettingsRef(Struct, frozen=True):
    service: str


class ChangeSettings(Struct, frozen=True, kw_only=True):
    """Values to set; those that are null go back to their defaults, those that are not named stay.

    ``version``: of the settings that the change was made from; a conflict when there are others by now.
    """

    service: str
    values: dict[str, Any]
    reason: str = ""
    version: int | None = None
