"""What a fleet is made of, and how it is."""

from typing import Final, Literal

from msgspec import Struct

#: ``degraded``: it answers, without something that it should have. ``not ready``: it answers only that it does not.
Condition = Literal["well", "degraded", "not ready", "unreachable"]


#: The scheduler's word for a service of which a version, or a number of instances, is not settled yet.
BRINGING_OUT: Final = "running"


class InstanceView(Struct, frozen=True, kw_only=True):
    """One process of a service: ``without`` says what it does without, or why it is not ready."""

    id: str
    address: str
    host: str
    version: str
    condition: Condition
    without: tuple[str, ...]


class ConsumerView(Struct, frozen=True, kw_only=True):
    """How far a consumer of a service is behind: not handed out yet, and in somebody's hands."""

    name: str
    waiting: int
    in_flight: int


class ServiceView(Struct, frozen=True, kw_only=True):
    """A service: ``wanted`` and ``running`` instances by the scheduler, those in the directory, and what is wrong.

    ``deployment``: how its newest version is brought out, in the scheduler's word. Without a scheduler both numbers
    are those of the directory.
    """

    name: str
    wanted: int
    running: int
    instances: tuple[InstanceView, ...]
    consumers: tuple[ConsumerView, ...]
    deployment: str
    problems: tuple[str, ...]

    @property
    def well(self) -> bool:
        well = [instance for instance in self.instances if instance.condition in {"well", "degraded"}]
        return len(well) >= self.wanted > 0 and not self.problems and self.deployment != BRINGING_OUT


class FleetView(Struct, frozen=True, kw_only=True):
    """All services, in the order in which a reader meets them."""

    services: tuple[ServiceView, ...]

    @property
    def well(self) -> bool:
        return all(service.well for service in self.services)


class ServiceName(Struct, frozen=True):
    service: str


class Scaling(Struct, frozen=True, kw_only=True):
    """How many instances a service is to have; None: as many as its work needs."""

    service: str
    count: int | None = None


class Scaled(Struct, frozen=True, kw_only=True):
    """Between which numbers of instances a service has from now on."""

    service: str
    least: int
    most: int
