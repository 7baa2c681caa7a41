"""Has as many instances of each service as its work needs; one discovery of a fleet does so at a time."""

import asyncio
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

import structlog

from services.contracts.settings import DiscoverySettings
from services.discovery.domain.readings import Reading
from services.discovery.domain.scaling import Bounds, Load, Scaler
from services.discovery.settings import BOUNDS
from services.discovery.usecases.look import PREFIX, http_of, look_at_instance
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.http_calls import Http
from services.kernel.service import Ports

#: Seconds between two looks.
EVERY: Final = 5.0
LOCK: Final = "scaling"

#: What instances of one service say, by their ids.
Readings = Mapping[str, Reading]

_log = structlog.get_logger(__name__)


class Watcher:
    """What was seen of one service before, to tell rates from.

    Where somebody counts the work items that wait for the service, it goes by these, and by messages otherwise: a
    message may carry one item or two hundred.
    """

    def __init__(self, name: str, bounds: Bounds, settings: DiscoverySettings) -> None:
        self.scaler = Scaler(bounds, settings)
        self.by_items = False
        self._name = name
        self._before: dict[str, tuple[float, Reading]] = {}

    def load(self, at: float, running: int, readings: Readings, items: int | None) -> Load:
        """What its instances did since the last look; ``items`` that wait for it, None where nobody says how many."""
        self.by_items |= items is not None
        rate = busy = 0.0
        twice = [(place, reading, *self._before[place]) for place, reading in readings.items() if place in self._before]
        for _, reading, since, before in twice:
            seconds = max(0.1, at - since)
            rate += max(0.0, self._done(reading) - self._done(before)) / seconds
            busy += max(0.0, reading.busy - before.busy) / seconds
        self._before = {place: (at, reading) for place, reading in readings.items()}
        waiting = items if self.by_items else _messages(readings.values())
        return Load(running=running, count=len(twice), waiting=waiting, rate=rate, busy=busy)

    def _done(self, reading: Reading) -> float:
        return reading.done.get(self._name, 0.0) if self.by_items else reading.handled


def _messages(readings: Iterable[Reading]) -> int | None:
    """How many wait for a service; all of its instances read the same consumers."""
    for reading in readings:
        return sum(each.waiting for each in reading.consumers.values())
    return None


async def scale(ports: Ports) -> None:
    """Scale as long as the process runs, while it has the lock."""
    http = http_of(ports)
    try:
        while True:
            try:
                async with ports.locks.held(LOCK):
                    await _scale_all(ports, http)
            except Unavailable as error:
                _log.warning("nobody scales here", reason=str(error))
                await asyncio.sleep(EVERY)
    finally:
        ports.state.pop("http", None)
        await http.close()


async def _scale_all(ports: Ports, http: Http) -> None:
    watchers = {name: Watcher(name, bounds, ports.live.now) for name, bounds in BOUNDS.items()}
    while True:
        live: DiscoverySettings = ports.live.now
        seen = dict(zip(watchers, await asyncio.gather(*(read(ports, name, http) for name in watchers)), strict=True))
        items = items_of(each for readings in seen.values() for each in readings.values())
        for name, watcher in watchers.items():
            watcher.scaler.bounds = bounds_of(name, live)
            watcher.scaler.settings = live
            try:
                await scale_one(ports, name, watcher, seen[name], items.get(name))
            except NotFound:
                continue  # it was not brought out yet
            except MirageError as error:
                _log.warning("a service is not scaled", service=name, reason=str(error))
        await asyncio.sleep(EVERY)


def bounds_of(name: str, live: DiscoverySettings) -> Bounds:
    """Between what a service's instances are kept: what is set, within what its job is bound to."""
    bounds, asked = BOUNDS[name], live.scale.get(name)
    return Bounds(bounds.limit(asked.least), bounds.limit(asked.most)) if asked else bounds


async def read(ports: Ports, name: str, http: Http) -> Readings:
    """What the instances of a service say; those that say nothing in time are left out."""
    try:
        known = await ports.directory.survey(name)
    except MirageError as error:
        _log.warning("instances are not known", service=name, reason=str(error))
        return {}
    seen = await asyncio.gather(*(look_at_instance(each, http) for each in known))
    return {each.view.id: each.reading for each in seen if each.reading is not None}


def items_of(readings: Iterable[Reading]) -> dict[str, int]:
    """How many work items wait for each service. Those who count them all read the same table."""
    found: dict[str, int] = {}
    for reading in readings:
        found |= reading.items
    return found


async def scale_one(ports: Ports, name: str, watcher: Watcher, readings: Readings, items: int | None) -> None:
    """Change a service's number of instances where that helps."""
    job = PREFIX + name
    status = await ports.scheduler.status(job)
    group = next((group for group in status.groups if group.name == name), None)
    count, running = (group.count, group.running) if group else (0, 0)
    at = monotonic()
    load = watcher.load(at, running, readings, items)
    deploying = status.deployment is not None and status.deployment.state in {"running", "paused"}
    if status.stopped or deploying:
        return
    wanted = watcher.scaler.decide(at, count, load, room=not status.waiting)
    if wanted != count:
        what = "work items" if watcher.by_items else "messages"
        why = f"{load.waiting} {what} wait, {load.rate:.1f} a second are done, {load.busy:.1f} cores are used"
        # Whoever has lost the lock without noticing is refused once the next one has changed the job.
        await ports.scheduler.scale(job, name, wanted, why, index=status.index)
        watcher.scaler.change(at, wanted)
        _log.info("scaled", service=name, before=count, after=wanted, why=why)


TASKS: Final = (scale,)
