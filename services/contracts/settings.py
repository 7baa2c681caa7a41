"""What can be set of services while they run: a Struct a service, whose defaults hold where nothing is set.

A value of another form is refused where it is set, and skipped by who reads it: what held before goes on to hold.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Resolver = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:\[\]]{2,64}$")]


class ServiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of every service. ``log``: the least level that is logged."""

    log: Literal["debug", "info", "warning", "error", "critical"] = "info"


class CollectorSettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``resolvers``: ``address[:port]`` of those that scans ask which name none; empty: as it was started.

    ``items_at_once``: of one module, that a collector works on, if fewer than its manifest says; 0: as that says.
    """

    resolvers: Annotated[tuple[Resolver, ...], Meta(max_length=32)] = ()
    items_at_once: Annotated[int, Meta(ge=0, le=1000)] = 0


class Scale(Struct, frozen=True, forbid_unknown_fields=True):
    """How many instances a service has: at least and at most; the same number twice fixes it."""

    least: Annotated[int, Meta(ge=0, le=1000)]
    most: Annotated[int, Meta(ge=0, le=1000)]


class DiscoverySettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``scale``: by service, instead of what its declaration says."""

    scale: dict[str, Scale] = {}


#: By service; of one that is not here there is what there is of every service.
SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "collector": CollectorSettings,
    "discovery": DiscoverySettings,
}


def settings_type(service: str) -> type[ServiceSettings]:
    """The form of a service's settings."""
    return SETTINGS.get(service, ServiceSettings)
