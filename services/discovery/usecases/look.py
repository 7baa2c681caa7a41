"""How the fleet is, from three sides: what the scheduler runs, what the directory knows, what each instance says."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from services.contracts.resources.discovery import Condition, FleetView, InstanceView, ServiceView
from services.discovery.domain.readings import Reading, consumers_of, read_metrics
from services.kernel.directory import LOCAL, Directory, Instance, Known
from services.kernel.errors import MirageError, NotFound
from services.kernel.http_calls import Http
from services.kernel.http_questions import Asked
from services.kernel.scheduler import JobStatus
from services.kernel.scheduler.nomad import Nomad
from services.kernel.service import Ports

#: Seconds in which an instance must say how it is.
ANSWERING: Final = 3.0
#: What a service is called in the scheduler begins with this.
PREFIX: Final = "mirage-"
#: Bytes of an answer that are read.
MOST: Final = 4_000_000


class Ready(Struct, frozen=True):
    """What an instance says of itself at ``/health/ready``: it is ready, or why not."""

    without: tuple[str, ...] = ()
    detail: str = ""


class Seen(Struct, frozen=True):
    """What one look showed of an instance."""

    view: InstanceView
    reading: Reading | None


def http_of(ports: Ports) -> Http:
    """The connections of this process to instances."""
    http = ports.state.setdefault("http", Http())
    assert isinstance(http, Http)
    return http


async def look(names: Sequence[str], directory: Directory, scheduler: Nomad, http: Http) -> FleetView:
    """Look at all services at once."""
    return FleetView(
        services=tuple(await asyncio.gather(*(look_at(name, directory, scheduler, http) for name in names)))
    )


async def look_at(name: str, directory: Directory, scheduler: Nomad, http: Http) -> ServiceView:
    """Look at one service; what cannot be seen is among its problems."""
    problems: list[str] = []
    status = await _status(name, scheduler, problems)
    known = await _known(name, directory, problems)
    unknown = _unknown(name, status, known) if status is not None else []
    seen = await asyncio.gather(*(look_at_instance(each, http) for each in (*known, *unknown)))
    group = next((group for group in status.groups if group.name == name), None) if status else None
    if status is not None:
        problems += _problems(status)
    return ServiceView(
        name=name,
        wanted=group.count if group and status and not status.stopped else 0 if status else len(known),
        running=group.running if group else len(known),
        instances=tuple(each.view for each in seen),
        consumers=consumers_of(each.reading for each in seen if each.reading is not None),
        deployment=status.deployment.state if status and status.deployment else "",
        problems=tuple(problems),
    )


async def _status(name: str, scheduler: Nomad, problems: list[str]) -> JobStatus | None:
    try:
        return await scheduler.status(PREFIX + name)
    except NotFound:
        problems.append("the scheduler has no such job")
    except MirageError as error:
        problems.append(str(error))
    return None


async def _known(name: str, directory: Directory, problems: list[str]) -> list[Known]:
    try:
        return await directory.survey(name)
    except MirageError as error:
        problems.append(str(error))
        return []


def _unknown(name: str, status: JobStatus, known: Sequence[Known]) -> list[Known]:
    """Instances that run and are not in the directory: they are not ready, and say why."""
    ids = {each.instance.id for each in known}
    running = [each for each in status.allocations if each.runs and "http" in each.ports]
    return [
        Known(Instance(name, instance, each.ports["http"], {"host": each.node}), well=False)
        for each in running
        if (instance := f"{name}-{each.id}") not in ids
    ]


def _problems(status: JobStatus) -> list[str]:
    """What the scheduler has against a job."""
    failed = [f"{each.node}: {each.reason}" for each in status.allocations if each.reason and each.desired == "run"]
    return [*status.waiting, *failed]


async def look_at_instance(known: Known, http: Http) -> Seen:
    """Ask an instance how it is, and what it has measured."""
    instance = known.instance
    if instance.address == LOCAL:
        return Seen(_view(instance, "well" if known.well else "not ready", ()), None)
    try:
        async with asyncio.timeout(ANSWERING):
            status, said = await _get(instance, "/health/ready", http)
    except (MirageError, TimeoutError) as error:
        return Seen(_view(instance, "unreachable", (str(error) or "it does not answer",)), None)
    try:
        ready = msgspec.json.decode(said, type=Ready)
    except msgspec.MsgspecError:
        ready = Ready(detail="its answer cannot be read")
    if status != 200:
        return Seen(_view(instance, "not ready", (ready.detail or f"status {status}",)), None)
    return Seen(
        _view(instance, "degraded" if ready.without else "well", ready.without), await _measured(instance, http)
    )


async def _measured(instance: Instance, http: Http) -> Reading | None:
    """What an instance has measured; None where it does not say so in time, as when what it asks itself is away."""
    try:
        async with asyncio.timeout(ANSWERING):
            _, metrics = await _get(instance, "/metrics", http)
    except (MirageError, TimeoutError):
        return None
    return read_metrics(metrics.decode("utf-8", "replace"))


async def _get(instance: Instance, path: str, http: Http) -> tuple[int, bytes]:
    async with http.request(f"http://{instance.address}", Asked("GET", path, None), {}, None) as answer:
        said = bytearray()
        async for chunk in answer.content.iter_any():
            said += chunk[: MOST - len(said)]
            if len(said) == MOST:
                break
        return answer.status, bytes(said)


def _view(instance: Instance, condition: Condition, without: tuple[str, ...]) -> InstanceView:
    return InstanceView(
        id=instance.id,
        address=instance.address,
        host=instance.meta.get("host", ""),
        version=instance.meta.get("version", ""),
        condition=condition,
        without=without,
    )
