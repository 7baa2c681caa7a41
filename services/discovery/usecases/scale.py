"""Has as many instances of each service as its work needs; one discovery of a fleet does so at a time."""

import asyncio
from time import monotonic
from typing import Final

import structlog

from services.contracts.settings import DiscoverySettings
from services.discovery.domain.readings import Reading
from services.discovery.domain.scaling import Bounds, Load, Scaler
from services.discovery.settings import BOUNDS
from services.discovery.usecases.look import PREFIX, look_at_instance
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.http_calls import Http
from services.kernel.service import Ports

#: Seconds between two looks.
EVERY: Final = 5.0
LOCK: Final = "scaling"

_log = structlog.get_logger(__name__)


class Watcher:
    """What was seen of one service before, to tell rates from."""

    def __init__(self, bounds: Bounds) -> None:
        self.scaler = Scaler(bounds)
        self._before: dict[str, tuple[float, Reading]] = {}

    def load(self, at: float, readings: dict[str, Reading]) -> Load:
        """What its instances do, since the last look."""
        rate = busy = 0.0
        for place, reading in readings.items():
            if before := self._before.get(place):
                seconds = max(0.1, at - before[0])
                rate += max(0.0, reading.handled - before[1].handled) / seconds
                busy += max(0.0, reading.busy - before[1].busy) / seconds
        self._before = {place: (at, reading) for place, reading in readings.items()}
        newest = next(iter(readings.values()), None)
        waiting = sum(each.waiting for each in newest.consumers.values()) if newest else 0
        return Load(count=len(readings), waiting=waiting, rate=rate, busy=busy)


async def scale(ports: Ports) -> None:
    """Scale as long as the process runs, while it has the lock."""
    http = Http()
    try:
        while True:
            try:
                async with ports.locks.held(LOCK):
                    await _scale_all(ports, http)
            except Unavailable as error:
                _log.warning("nobody scales here", reason=str(error))
                await asyncio.sleep(EVERY)
    finally:
        await http.close()


async def _scale_all(ports: Ports, http: Http) -> None:
    watchers = {name: Watcher(bounds) for name, bounds in BOUNDS.items()}
    while True:
        live: DiscoverySettings = ports.live.now
        for name, watcher in watchers.items():
            asked = live.scale.get(name)
            watcher.scaler.bounds = Bounds(asked.least, asked.most) if asked else BOUNDS[name]
            try:
                await scale_one(ports, name, watcher, http)
            except NotFound:
                continue  # it was not brought out yet
            except MirageError as error:
                _log.warning("a service is not scaled", service=name, reason=str(error))
        await asyncio.sleep(EVERY)


async def scale_one(ports: Ports, name: str, watcher: Watcher, http: Http) -> None:
    """Look at a service once, and change its number of instances where that helps."""
    known = await ports.directory.survey(name)
    seen = await asyncio.gather(*(look_at_instance(each, http) for each in known))
    readings = {each.view.id: each.reading for each in seen if each.reading is not None}
    load = watcher.load(monotonic(), readings)
    job = PREFIX + name
    status = await ports.scheduler.status(job)
    deploying = status.deployment is not None and status.deployment.state in {"running", "paused"}
    if status.stopped or deploying:
        return
    count = next((group.count for group in status.groups if group.name == name), 0)
    wanted = watcher.scaler.decide(monotonic(), count, load)
    if wanted != count:
        why = f"{load.waiting} messages wait, {load.rate:.1f} a second are done, {load.busy:.1f} cores are used"
        _log.info("scaled", service=name, before=count, after=wanted, why=why)
        await ports.scheduler.scale(job, name, wanted, why)


TASKS: Final = (scale,)
