"""Which services there are, in the order in which a reader meets them."""

from typing import Final

from services.kernel.service import Service, load

SERVICES: Final = (
    "scans",
    "registry",
    "collector",
    "storage",
    "configuration",
    "discovery",
    "users",
    "auth",
    "gateway",
    "correlation",
    "visualization",
    "reporting",
)


def load_service(name: str) -> Service:
    """The declaration of a service."""
    service = load(f"services.{name}.service:service")
    assert isinstance(service, Service)
    return service


def load_services() -> list[Service]:
    """The declarations of all services."""
    return [load_service(name) for name in SERVICES]


def load_instances() -> dict[str, tuple[int, int]]:
    """How few and how many instances each service has that follows its work: all but the one that sees to that."""
    return {service.name: service.instances for service in load_services() if service.name != "discovery"}


def load_embedded() -> list[Service]:
    """Of those that have something to do where all are in one process."""
    return [service for service in load_services() if not service.fleet_only]
