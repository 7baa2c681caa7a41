"""Judges a scan, by all rules or by what changed alone, and keeps its findings as they are now."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar
from uuid import UUID

import structlog

from services.contracts.findings import FindingStatus
from services.correlation.domain.evaluating import BATCH, Hits, find_hits, hits_everywhere, in_order
from services.correlation.domain.judging import Found, Hit, finding_id, judge, judge_group, unusual_values
from services.correlation.domain.matching import touched_firsts
from services.correlation.domain.rule import Rule
from services.correlation.domain.world import World
from services.correlation.store import findings, gathered
from services.correlation.store.pending import ScanState
from services.correlation.usecases.events import judge_events, project
from services.correlation.usecases.holding import writing
from services.correlation.usecases.rules import InForce
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.service import Ports
from services.kernel.sql import Tx

T = TypeVar("T")
#: A relation that is another one than before: its type, source and target.
ChangedTie = tuple[str, bytes, bytes]
#: What a rule can fail with that is its own fault, or that of what it looks at.
FAULTS: Final = (MirageError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError)

_log = structlog.get_logger(__name__)


async def judge_everything(ports: Ports, state: ScanState, world: World, in_force: InForce) -> None:
    """Judge all that a scan says; what it had of other rules, or has no longer, is dropped.

    What rules in the form of SpiderFoot find stays until `judge_by_events`.
    """
    rules = in_force.rules
    gathering = {rule.id for rule in rules if rule.is_gathered}
    seen: dict[str, set[UUID]] = {rule.id: set() for rule in rules}
    failed: set[str] = set()
    async with writing(ports, state) as tx:
        await gathered.forget_rules(tx, state.workspace, state.scan, gathering)
        old = await findings.rules_with_findings(tx, state.workspace, state.scan)

    def fail(rule: Rule, error: Exception) -> None:
        failed.add(rule.id)
        _log.warning("a rule failed", rule=rule.id, scan=str(state.scan), reason=str(error))

    async for each in hits_everywhere(rules, world, state.began, fail):
        if each.rule.id not in failed:
            with _told_of(each.rule, fail):
                seen[each.rule.id] |= await _take_in(ports, state, each)
    for rule in rules:
        if rule.is_gathered and rule.id not in failed:
            with _told_of(rule, fail):
                seen[rule.id] = await _judge_members(ports, state, rule, None)
    for name in sorted((old | seen.keys()) - failed - {rule.id for rule in in_force.spiderfoot}):
        async with writing(ports, state) as tx:
            there = await findings.of_rule(tx, state.workspace, state.scan, name)
            await _drop(tx, state, there - seen.get(name, set()))


@contextmanager
def _told_of(rule: Rule, fail: Callable[[Rule, Exception], None]) -> Iterator[None]:
    """Tell of a rule that fails, and let the others go on."""
    try:
        yield
    except (Unavailable, NotFound):  # no fault of the rule: a store is away, or the scan is somebody else's
        raise
    except FAULTS as error:
        fail(rule, error)


async def _take_in(ports: Ports, state: ScanState, each: Hits) -> set[UUID]:
    """Keep what a rule found at some first things; return the findings that these are already."""
    async with writing(ports, state) as tx:
        if each.rule.is_gathered:
            await gathered.replace_hits(tx, state.workspace, state.scan, each.rule, each.firsts, each.hits)
            return set()
        found = judge(each.rule, in_order(each.hits))
        await _keep(tx, state, found)
        return {one.id for one in found}


async def judge_by_events(ports: Ports, state: ScanState, world: World, in_force: InForce) -> None:
    """Judge all that a scan says by the rules in the form of SpiderFoot."""
    if not in_force.spiderfoot:
        return
    projected = await project(in_force.spiderfoot, world, state.began)
    for rule in in_force.spiderfoot:
        try:
            found = judge_events(rule, projected, in_force.judge)
        except FAULTS as error:
            _log.warning("a rule failed", rule=rule.id, scan=str(state.scan), reason=str(error))
            continue
        async with writing(ports, state) as tx:
            before = await findings.of_rule(tx, state.workspace, state.scan, rule.id)
            await _drop(tx, state, before - {each.id for each in found})
        for piece in pieces(found, 500):
            async with writing(ports, state) as tx:
                await _keep(tx, state, piece)


async def judge_touched(
    ports: Ports,
    state: ScanState,
    world: World,
    rules: Iterable[Rule],
    entities: Mapping[bytes, str],
    ties: Collection[ChangedTie],
) -> None:
    """Judge again what may be otherwise since entities (with their types) and relations changed."""

    def fail(rule: Rule, error: Exception) -> None:
        _log.warning("a rule failed", rule=rule.id, scan=str(state.scan), reason=str(error))

    for rule in rules:
        with _told_of(rule, fail):
            firsts = sorted(await touched_firsts(rule, world, entities, ties))
            members: set[str] = set()
            for piece in pieces(firsts, BATCH):
                places = await world.places(piece)
                hits = await find_hits(rule, world, [places[each] for each in piece if each in places], state.began)
                members |= await _replace(ports, state, Hits(rule, tuple(piece), hits))
            if members:
                await _judge_members(ports, state, rule, members)


async def _replace(ports: Ports, state: ScanState, each: Hits) -> set[str]:
    """Let first things have these hits and no others; return the groups that have to be judged for it."""
    async with writing(ports, state) as tx:
        if each.rule.is_gathered:
            return await gathered.replace_hits(tx, state.workspace, state.scan, each.rule, each.firsts, each.hits)
        found = judge(each.rule, in_order(each.hits))
        before = await findings.of_firsts(tx, state.workspace, state.scan, each.rule.id, each.firsts)
        await _drop(tx, state, before - {one.id for one in found})
        await _keep(tx, state, found)
    return set()


async def _judge_members(ports: Ports, state: ScanState, rule: Rule, members: Collection[str] | None) -> set[UUID]:
    """Judge groups of a rule that gathers, or all of them; return the findings that there are of these."""
    kept: set[UUID] = set()
    async with ports.sql.read() as view:
        tally = await gathered.tally_of(view, state.workspace, state.scan, rule.id)
    if rule.unusual is not None:
        # Which values are unusual depends on all others.
        judged, chosen = set(tally) | set(members or ()), set(unusual_values(rule, tally) if tally else ())
    else:
        judged = set(tally) if members is None else set(members)
        chosen = judged & tally.keys()
    for piece in pieces(sorted(chosen), 100):
        async with writing(ports, state) as tx:
            found: list[Found] = []
            for member in piece:
                hits: list[Hit] = await gathered.hits_of(tx, state.workspace, state.scan, rule.id, member)
                one = judge_group(rule, member, hits, tally.get(member, 0)) if hits else None
                found += [] if one is None else [one]
            await _keep(tx, state, found)
            kept |= {one.id for one in found}
    gone = {finding_id(rule.id, member) for member in judged} - kept
    if rule.unusual is not None:
        async with ports.sql.read() as view:
            gone |= await findings.of_rule(view, state.workspace, state.scan, rule.id) - kept
    for some in pieces(sorted(gone), 1_000):
        async with writing(ports, state) as tx:
            await _drop(tx, state, some)
    return kept


async def _keep(tx: Tx, state: ScanState, found: Sequence[Found]) -> None:
    """Let a scan have findings; one that was fixed came back."""
    if not found:
        return
    known = await findings.standing(tx, state.workspace, [each.id for each in found])
    reopened: FindingStatus = "reopened"
    back = [each.id for each in found if each.id in known and known[each.id].status == "fixed"]
    # An older scan that is judged anew has had it before it was fixed.
    newer = [each for each in back if known[each].status_at <= state.began]
    await findings.note_findings(tx, state.workspace, state.scan, found, state.began)
    await findings.write_found(tx, state.workspace, state.scan, found)
    if newer:
        await findings.set_status(tx, state.workspace, newer, reopened, who="", reason="", at=state.began)
        await findings.set_told(tx, state.workspace, newer, told=False)


async def _drop(tx: Tx, state: ScanState, ids: Collection[UUID]) -> None:
    if ids:
        there = sorted(ids)
        await findings.drop_found(tx, state.workspace, state.scan, there)
        await findings.prune(tx, state.workspace, there)


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
