"""What can be set of services while they run: a Struct a service, whose defaults hold where nothing is set.

A value of another form is refused where it is set, and skipped by who reads it: what held before goes on to hold.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=1, le=86_400)]
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

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"at least {self.least} and at most {self.most} instances cannot be")


class DiscoverySettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``scale``: by service, within what its declaration says.

    Seconds: of work that may wait before more instances are begun (``behind``), from one change to the next
    (``settles``), and for which fewer must have done before one is ended (``lingers``).
    """

    scale: dict[str, Scale] = {}
    behind: Seconds = 20.0
    settles: Seconds = 20.0
    lingers: Seconds = 120.0


#: By service: those that take over what is set while they run.
SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "collector": CollectorSettings,
    "configuration": ServiceSettings,
    "discovery": DiscoverySettings,
}
