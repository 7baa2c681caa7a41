"""Works out what is left unsupported in a scan when claims are withdrawn, and hides it until its support is back.

A scan asks about its targets, and about what their answers name. So a claim is supported when it stands and what it was
asked about is supported: a target, what a supported claim names, a relation that one says, and names or a level of the
DNS when any name in the zone is. That is a least fixed point, so that things which only name each other do not hold
each other up. Where no chain of claims leads to, not even with the withdrawn ones, there no withdrawal has broken one:
what was asked there is supported by itself, as are its answers (who asked may have had it from elsewhere).

The whole scan is gone through, from one view of it, and only what differs is written, batch by batch. The row of the
scan has the ordinal of the last change that was known to it: what came meanwhile, or what a crash left undone, has it
done again. Memory is some bits for each entity, relation and result.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from services.kernel.errors import Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.domain import Changes, Marks
from services.storage.store import intake, retractions, support
from services.storage.store.changes import note_named
from services.storage.usecases import changes
from services.storage.usecases.index import index_new

#: Things, and results, that are looked at in one step.
STEP: Final = 200
#: Seconds after which it is looked for scans, whoever has changed them, and for which a scan rests at least.
LOOK: Final = 30.0
RESTS: Final = 1.0

_log = structlog.get_logger(__name__)


def waker(ports: Ports) -> asyncio.Event:
    """Set when something changed in a scan of which something is withdrawn."""
    return ports.event("unsupported")


class Reached:
    """Things and results that chains of claims lead to, by their numbers."""

    def __init__(self) -> None:
        self.things = Marks()
        self.results = Marks()


class Walk:
    """Goes from things to the results about them, and on to what their claims name."""

    def __init__(self, view: Reader, workspace: UUID, scan: UUID) -> None:
        self._view = view
        self._place = (workspace, scan)
        self._zones: dict[str, list[int]] = {}
        self.supported = Reached()
        #: What only chains with withdrawn claims in them lead to.
        self.broken = Reached()
        #: What withdrawn claims of supported results name.
        self._lost = array("q")

    async def run(self) -> None:
        """Find the results that are supported."""
        self._zones = await support.zones_of(self._view, *self._place)
        async for targets in support.targets_of(self._view, *self._place):
            await self._follow(targets)
        await self._follow_broken()
        async for results in support.results_of(self._view, *self._place):
            await self._follow(await self._named([n for n, _ in results if n not in self.broken.results]))

    async def _follow(self, start: Iterable[int]) -> None:
        """Follow standing claims."""
        things = self.supported.things
        open_things = array("q", filter(things.add, start))
        while open_things:
            some = list(open_things[-STEP:])
            del open_things[-STEP:]
            results = await support.asked_about(self._view, *self._place, some, self._zones)
            open_things.extend(filter(things.add, await self._named(results)))

    async def _named(self, results: Sequence[int]) -> list[int]:
        """Take in results as supported; return what their standing claims name."""
        found: list[int] = []
        fresh = [number for number in results if self.supported.results.add(number)]
        for start in range(0, len(fresh), STEP):
            for named in await support.named_by(self._view, *self._place, fresh[start : start + STEP]):
                (found if named.retracted_at is None else self._lost).extend(_things(named))
        return found

    async def _follow_broken(self) -> None:
        """Follow all claims from what withdrawn ones name, as far as nothing supported is met."""
        known, broken = self.supported, self.broken
        open_things = array("q", (n for n in self._lost if n not in known.things and broken.things.add(n)))
        while open_things:
            some = list(open_things[-STEP:])
            del open_things[-STEP:]
            results = await support.asked_about(self._view, *self._place, some, self._zones)
            fresh = [n for n in results if n not in known.results and broken.results.add(n)]
            for start in range(0, len(fresh), STEP):
                for named in await support.named_by(self._view, *self._place, fresh[start : start + STEP]):
                    open_things.extend(n for n in _things(named) if n not in known.things and broken.things.add(n))


def _things(named: support.Named) -> tuple[int, ...]:
    if named.source is None or named.target is None:
        return (named.about,)
    return named.about, named.source, named.target


async def work_out(ports: Ports, workspace: UUID, scan: UUID) -> AsyncIterator[int]:
    """Work out what is unsupported, and let it be so; yield for how many claims that is new, batch by batch."""
    async with ports.sql.read() as view:
        seen = await support.changes_of(view, workspace, scan)
        withdrawn = await support.is_withdrawn(view, workspace, scan)
        walk = Walk(view, workspace, scan)
        if withdrawn:
            await walk.run()
        async for results in support.results_of(view, workspace, scan):
            for supported in (True, False):
                differing = [
                    number
                    for number, since in results
                    if (since is None) is not supported
                    and (not withdrawn or number in walk.supported.results) is supported
                ]
                if differing:
                    claims, said = await _withhold(ports, workspace, scan, differing, supported=supported)
                    seen += said
                    yield claims
    async with ports.sql.begin() as tx:
        await support.note_worked_out(tx, workspace, scan, seen, withdrawn=withdrawn)


async def _withhold(
    ports: Ports, workspace: UUID, scan: UUID, results: Sequence[int], *, supported: bool
) -> tuple[int, int]:
    """Hide what came with results, or show it again; return of how many claims, and in how many messages."""
    async with ports.outbox.unit() as unit:
        await intake.hold_entities(unit.tx, [workspace])
        await retractions.hold(unit.tx, [workspace])
        named = await support.withhold_results(unit.tx, workspace, scan, results, now(), supported=supported)
        changed = Changes()
        await note_named(unit.tx, workspace, named, changed)
        said = await changes.say(unit, changed)
    return len(named), said.get(scan, 0)


async def work_out_all(ports: Ports) -> bool:
    """Work out what is unsupported in some scans in which that may be another thing; return whether there were any."""
    async with ports.sql.read() as view:
        due = await support.due(view)
    for workspace, scan in due:
        async for _ in work_out(ports, workspace, scan):
            pass
    return bool(due)


async def follow_withdrawals(ports: Ports) -> None:
    """Work out what is unsupported whenever something comes that may have to do with it, as long as the service runs.

    A scan that goes on is gone through again and again; so at least half of the time is left to others.
    """
    wake = waker(ports)
    while True:
        wake.clear()
        began, more = monotonic(), False
        try:
            more = await work_out_all(ports)
        except Unavailable as error:
            _log.warning("what is unsupported waits to be worked out", reason=str(error))
        await asyncio.sleep(max(RESTS, monotonic() - began))
        if not more:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await wake.wait()


TASKS: Final = (index_new, follow_withdrawals)
