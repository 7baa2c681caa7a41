"""What discovery answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts.resources.configuration import ChangeSettings, SettingsRef
from services.contracts.resources.discovery import (
    FleetView,
    Restarted,
    Scaled,
    Scaling,
    ServiceName,
    ServiceView,
)
from services.discovery.settings import BOUNDS, NAMES
from services.discovery.usecases.look import PREFIX, look, look_at
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.errors import Invalid, NotFound
from services.kernel.http_calls import Http
from services.kernel.service import Ports


def _http(ports: Ports) -> Http:
    if "http" not in ports.state:
        ports.state["http"] = Http()
    http = ports.state["http"]
    assert isinstance(http, Http)
    return http


async def get_fleet(ports: Ports, caller: Caller, question: Nothing) -> FleetView:
    return await look(NAMES, ports.directory, ports.scheduler, _http(ports))


async def get_service(ports: Ports, caller: Caller, question: ServiceName) -> ServiceView:
    return await look_at(_known(question.service), ports.directory, ports.scheduler, _http(ports))


async def scale_service(ports: Ports, caller: Caller, question: Scaling) -> Scaled:
    """Fix the number of instances, or let it follow the work; the settings remember it."""
    name = _known(question.service)
    if name not in BOUNDS:
        raise Invalid(f"{name} is not scaled")
    least, most = BOUNDS[name].least, BOUNDS[name].most
    if question.count is not None and not least <= question.count <= most:
        raise Invalid(f"{name} has {least} to {most} instances, which its job is bound to")
    kept = await ports.calls.ask(e.GET_SETTINGS, SettingsRef("discovery"), caller)
    scale = {key: value for key, value in kept.values["scale"].items() if key != name}
    if question.count is not None:
        scale[name] = {"least": question.count, "most": question.count}
    change = ChangeSettings(service="discovery", values={"scale": scale}, reason=f"scale {name}")
    await ports.calls.ask(e.CHANGE_SETTINGS, change, caller)
    if question.count is None:
        return Scaled(service=name, least=least, most=most)
    await ports.scheduler.scale(PREFIX + name, name, question.count, f"by {caller.name}")
    return Scaled(service=name, least=question.count, most=question.count)


async def restart_service(ports: Ports, caller: Caller, question: ServiceName) -> Restarted:
    return Restarted(await ports.scheduler.restart(PREFIX + _known(question.service)))


def _known(name: str) -> str:
    if name not in NAMES:
        raise NotFound(f"there is no service {name[:64]}; there are {', '.join(NAMES)}")
    return name


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.GET_FLEET: get_fleet,
    e.GET_SERVICE: get_service,
    e.SCALE_SERVICE: scale_service,
    e.RESTART_SERVICE: restart_service,
}
