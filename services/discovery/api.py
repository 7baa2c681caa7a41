"""What discovery answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts.resources.configuration import ChangeSettings, SettingsRef
from services.contracts.resources.discovery import (
    FleetView,
    Scaled,
    Scaling,
    ServiceName,
    ServiceView,
)
from services.discovery.settings import BOUNDS, NAMES
from services.discovery.usecases.look import PREFIX, http_of, look, look_at
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.errors import Conflict, Invalid, NotFound
from services.kernel.service import Ports

#: How often a setting is made again from what somebody else has set meanwhile.
TRIES: Final = 10


async def get_fleet(ports: Ports, caller: Caller, question: Nothing) -> FleetView:
    return await look(NAMES, ports.directory, ports.scheduler, http_of(ports))


async def get_service(ports: Ports, caller: Caller, question: ServiceName) -> ServiceView:
    return await look_at(_known(question.service), ports.directory, ports.scheduler, http_of(ports))


async def scale_service(ports: Ports, caller: Caller, question: Scaling) -> Scaled:
    """Fix the number of instances, or let it follow the work; the settings remember it."""
    name = _known(question.service)
    if name not in BOUNDS:
        raise Invalid(f"{name} is not scaled")
    least, most = BOUNDS[name].least, BOUNDS[name].most
    if question.count is not None and not least <= question.count <= most:
        raise Invalid(f"{name} has {least} to {most} instances, which its job is bound to")
    await _remember(ports, caller, name, question.count)
    if question.count is None:
        return Scaled(service=name, least=least, most=most)
    await _begin(ports, name, question.count, f"by {caller.name}")
    return Scaled(service=name, least=question.count, most=question.count)


async def _begin(ports: Ports, name: str, count: int, why: str) -> None:
    """Have as many instances at once.

    Raises:
        Conflict: a version is being brought out, and there are as many once that is over.
    """
    job = PREFIX + name
    try:
        await ports.scheduler.scale(job, name, count, why)
    except Conflict as error:
        # Who follows the work may have seen the setting first.
        groups = (await ports.scheduler.status(job)).groups
        if (name, count) not in {(group.name, group.count) for group in groups}:
            raise Conflict(f"{name} is being brought out; it will have {count} once that is over") from error


async def _remember(ports: Ports, caller: Caller, name: str, count: int | None) -> None:
    """Set how many instances of a service there are to be, beside what is set of others at the same time.

    Raises:
        Conflict: somebody else was quicker, again and again.
    """
    overtaken = 0
    while True:
        kept = await ports.calls.ask(e.GET_SETTINGS, SettingsRef("discovery"), caller)
        scale = {key: value for key, value in kept.values["scale"].items() if key != name}
        if count is not None:
            scale[name] = {"least": count, "most": count}
        change = ChangeSettings(
            service="discovery", values={"scale": scale}, reason=f"scale {name}", version=kept.version
        )
        try:
            await ports.calls.ask(e.CHANGE_SETTINGS, change, caller)
        except Conflict:
            overtaken += 1
            if overtaken == TRIES:
                raise
        else:
            return


def _known(name: str) -> str:
    if name not in NAMES:
        raise NotFound(f"there is no service {name[:64]}; there are {', '.join(NAMES)}")
    return name


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.GET_FLEET: get_fleet,
    e.GET_SERVICE: get_service,
    e.SCALE_SERVICE: scale_service,
}
