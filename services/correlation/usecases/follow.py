"""Takes in what storage says has changed, brings the graph of the scan to it, and has it judged.

Everything is done again after a crash, and comes to the same: what waits is struck off last. A scan is held by one
process at a time; one that lost its hold lists again what it wrote, since somebody else may have written newer facts.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from secrets import randbits
from time import monotonic
from typing import Final

import structlog

from services.contracts.endpoints import GET_STORED, READ_FACTS, READ_FACTS_OF
from services.contracts.resources import ScanId
from services.contracts.resources.storage import EntityFacts, Facts, FactsOf, FactsQuery, RelationFacts
from services.correlation.domain.world import Tie
from services.correlation.store import findings, pending
from services.correlation.store import graph as graphs
from services.correlation.store.graph import GraphWorld
from services.correlation.store.pending import FOLLOW, JUDGE, NOTHING, REBUILD, Key, ScanState
from services.correlation.usecases import identity, judge, rules, settle
from services.correlation.usecases.asking import ask_scan
from services.correlation.usecases.holding import HOLD, writing
from services.correlation.usecases.targets import digest_of
from services.kernel.calls import Caller
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.remembered import remember
from services.kernel.service import Ports

#: Things that are read again in one step.
STEP: Final = 2_000
#: Seconds after which who works on a scan says that he still does.
RENEW: Final = 15.0
#: Seconds after which it is looked for work that nobody said there is.
LOOK: Final = 5.0
#: Microseconds after which it is looked again whether storage has all of a scan that ended.
LATER: Final = 1_000_000
#: While a scan runs, judging takes at most one part in so many of the time.
SHARE: Final = 4
#: … and rests so many microseconds at most.
LONGEST_REST: Final = 10_000_000
#: Microseconds after which a scan is tried again at which something was the matter.
AFTER_FAULT: Final = 60_000_000
#: Microseconds after its end after which a scan is taken in anew of which something is missing.
MISSING: Final = 600_000_000
#: Seconds between two judgements by events of a scan that runs.
EVENTS: Final = 30.0

_log = structlog.get_logger(__name__)


def waker(ports: Ports) -> asyncio.Event:
    """Set when there is something to do."""
    return ports.event("work")


async def follow(ports: Ports) -> None:
    """Do what there is to do, as long as the service runs."""
    wake = waker(ports)
    begun = False
    while True:
        wake.clear()
        try:
            if not begun:
                await _begin(ports)
                begun = True
            await _work_off(ports)
        except Unavailable as error:
            _log.warning("findings do not follow", reason=str(error))
            await asyncio.sleep(1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await wake.wait()


async def _begin(ports: Ports) -> None:
    await graphs.declare(ports.graph)
    if ports.sql.sole_writer:
        async with ports.sql.begin() as tx:
            await pending.forget_holders(tx)


async def _work_off(ports: Ports) -> None:
    """Do all that there is to do."""
    while await take_step(ports):
        pass


async def take_step(ports: Ports) -> bool:
    """Do the next step of some scan; say whether there was one."""
    async with ports.sql.begin() as tx:
        taken = await pending.take_scan(tx, 1 + randbits(62), now(), now() + HOLD)
        state = None if taken is None else await pending.read_scan(tx, *taken)
    if state is None:
        return False
    try:
        async with _held(ports, state):
            await _work(ports, await _learn(ports, state))
    except NotFound:
        await _leave(ports, state)
    except Unavailable:
        raise
    except MirageError as error:
        # Nobody else has to wait for a scan at which something is the matter.
        _log.error("a scan cannot be judged", scan=str(state.scan), reason=str(error))
        async with ports.sql.begin() as tx:
            await pending.rest(tx, state, now() + AFTER_FAULT)
    return True


async def _leave(ports: Ports, state: ScanState) -> None:
    """Forget what a step has written of a scan that was deleted meanwhile."""
    async with ports.sql.begin() as tx:
        if state.scan not in await pending.deleted(tx, [state.scan]):
            await pending.rest(tx, state, now() + LATER)
            return
        await findings.forget_scan(tx, state.workspace, state.scan)
        await identity.forget(ports, tx, state.workspace, state.scan)
        await pending.forget(tx, state.workspace, state.scan)
    await graphs.drop_graph(ports.graph, graphs.space_of(state.workspace, state.scan))
    async with ports.sql.begin() as tx:
        await pending.give_back(tx, state)


@asynccontextmanager
async def _held(ports: Ports, state: ScanState) -> AsyncIterator[None]:
    """Say from time to time that the scan is still worked on; give it back when it is not."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW)
            with suppress(Unavailable):
                async with ports.sql.begin() as tx:
                    await pending.hold_on(tx, state, now() + HOLD)

    renewing = asyncio.create_task(renew())
    try:
        yield
    except BaseException as error:
        if isinstance(error, MirageError) and not isinstance(error, Unavailable):
            raise
        with suppress(Unavailable, asyncio.CancelledError):
            async with ports.sql.begin() as tx:
                await pending.give_back(tx, state)
        raise
    finally:
        renewing.cancel()


async def _learn(ports: Ports, state: ScanState) -> ScanState:
    """Ask about a scan that began before anybody told us."""
    if state.began:
        return state
    scan = await ask_scan(ports, state)
    async with ports.sql.begin() as tx:
        began = scan.started or scan.created
        digest = digest_of(scan.targets, scan.target_count)
        await pending.note_run(tx, state.workspace, state.scan, scan.run, began, digest)
        if scan.ended:
            await pending.note_end(tx, state.workspace, state.scan, scan.run, scan.ended)
        return await pending.read_scan(tx, state.workspace, state.scan) or state


async def _work(ports: Ports, state: ScanState) -> None:
    """Do one step of a scan."""
    begun = monotonic()
    in_force = await rules.in_force(ports, state.workspace, state.began)
    world = GraphWorld(ports.graph, graphs.space_of(state.workspace, state.scan), in_force.judge)
    if state.work == REBUILD:
        await _rebuild(ports, state)
    if state.work in {JUDGE, REBUILD} or state.rules != in_force.digest:
        await judge.judge_everything(ports, state, world, in_force)
        left = True
    else:
        left = await _follow_some(ports, state, world, in_force)
    if not left:
        await _judge_by_events(ports, state, world, in_force)
    lacks = await settle.settle(ports, state) if not left and state.ended is not None else ""
    took = int((monotonic() - begun) * 1_000_000)
    async with writing(ports, state) as tx:
        await pending.let_go(
            tx,
            state,
            FOLLOW if left or lacks else NOTHING,
            in_force.digest,
            due=now() + LATER if lacks else 0,
            # What runs comes first: who scans is not held up by who judges.
            rest=now() + min(took * SHARE, LONGEST_REST) if state.ended is None else 0,
        )
        if lacks == "messages" and state.ended is not None and now() > state.ended + MISSING:
            await pending.want(tx, state.workspace, state.scan, REBUILD)


async def _judge_by_events(ports: Ports, state: ScanState, world: GraphWorld, in_force: rules.InForce) -> None:
    """Judge by events unless that was done of the same facts, or a moment ago while the scan runs."""
    if not in_force.spiderfoot:
        return
    done: dict[bytes, tuple[object, float]] = ports.state.setdefault("events", {})
    async with ports.sql.read() as view:
        taken = await pending.changes(view, state.workspace, state.scan)
    known, at = done.get(state.scan.bytes, (None, 0.0))
    now_known = (taken, in_force.digest, state.began)
    if known == now_known or (state.ended is None and monotonic() < at + EVENTS):
        return
    await judge.judge_by_events(ports, state, world, in_force)
    remember(done, state.scan.bytes, (now_known, monotonic()), 1_000)


async def _rebuild(ports: Ports, state: ScanState) -> None:
    """Make the graph of a scan again from what storage has of it."""
    space = graphs.space_of(state.workspace, state.scan)
    caller = Caller(state.workspace, ports.service)
    stored = await ports.calls.ask(GET_STORED, ScanId(state.scan), caller)
    await graphs.drop_graph(ports.graph, space)
    asked = FactsQuery(scan=state.scan, all=True)
    async with writing(ports, state) as tx:
        await identity.forget(ports, tx, state.workspace, state.scan)
    async for facts in ports.calls.follow(READ_FACTS, asked, caller):
        await graphs.put_facts(ports.graph, space, facts.entities, facts.relations)
        async with writing(ports, state) as tx:
            await identity.follow(ports, tx, state.workspace, state.scan, facts.entities, facts.relations, ())
    async with writing(ports, state) as tx:
        await pending.set_base(tx, state, stored.changes)


async def _follow_some(ports: Ports, state: ScanState, world: GraphWorld, in_force: rules.InForce) -> bool:
    """Take in the next things that changed; say whether there were any."""
    async with ports.sql.read() as view:
        keys = await pending.next_pending(view, state, STEP)
    if not keys:
        return False
    space = graphs.space_of(state.workspace, state.scan)
    entities, relations = await _read_again(ports, state, keys)
    there = {each.entity.id for each in entities}
    gone = sorted({source for source, identity in keys if not identity} - there)
    lost = await _lost_ties(ports, state, keys, relations, gone)
    async with writing(ports, state) as tx:
        # The graph forgets them at once; were it not listed, who goes on after a crash would not know of them.
        ends = {end for tie in lost for end in (tie.source, tie.target)} - {source for source, each in keys if not each}
        await pending.add_pending(tx, state.workspace, state.scan, [(end, b"") for end in ends])
    await graphs.put_facts(ports.graph, space, entities, relations)
    await graphs.drop_relations(ports.graph, space, lost)
    await graphs.drop_entities(ports.graph, space, gone)
    ties = {(tie.type, tie.source, tie.target) for tie in (*map(Tie, relations), *lost)}
    touched = {each.entity.id: each.entity.type for each in entities} | dict.fromkeys(gone, "")
    await judge.judge_touched(ports, state, world, in_force.rules, touched, ties)
    # Not only what the graph lost: a crash may have come after that, and before this.
    said = {each.id for each in relations}
    unsaid = [*gone, *(tie.id for tie in lost), *(each for _, each in keys if each and each not in said)]
    async with writing(ports, state) as tx:
        await identity.follow(ports, tx, state.workspace, state.scan, entities, relations, unsaid)
        await pending.drop_pending(tx, state, keys)
    return True


async def _read_again(
    ports: Ports, state: ScanState, keys: Mapping[Key, int]
) -> tuple[list[EntityFacts], list[RelationFacts]]:
    question = FactsOf(
        scan=state.scan,
        entities=tuple(source for source, identity in keys if not identity),
        relations=tuple((source, identity) for source, identity in keys if identity),
    )
    entities: list[EntityFacts] = []
    relations: list[RelationFacts] = []
    facts: Facts
    async for facts in ports.calls.follow(READ_FACTS_OF, question, Caller(state.workspace, ports.service)):
        entities += facts.entities
        relations += facts.relations
    return entities, relations


async def _lost_ties(
    ports: Ports, state: ScanState, keys: Mapping[Key, int], relations: list[RelationFacts], gone: list[bytes]
) -> list[Tie]:
    """The relations that the graph has and the scan no longer says, and all of entities that are gone."""
    space = graphs.space_of(state.workspace, state.scan)
    world = GraphWorld(ports.graph, space)
    there = {each.id for each in relations}
    missing = {identity: source for source, identity in keys if identity and identity not in there}
    lost: dict[bytes, Tie] = {}
    if missing:
        async for ties in world.ties({*missing.values()}, (), "out"):
            lost |= {tie.id: tie for tie in ties if tie.id in missing}
    if gone:
        async for ties in world.ties(gone, (), "both"):
            lost |= {tie.id: tie for tie in ties}
    return list(lost.values())


TASKS: Final = (follow,)
