"""Answers which findings there are, and what they rest on."""

import base64
from contextlib import suppress
from typing import Final
from uuid import UUID

from services.contracts.endpoints import GET_PLAN, GET_STORED
from services.contracts.findings import SEVERITIES
from services.contracts.resources import ScanId, Swept
from services.contracts.resources.correlation import (
    FindingPage,
    FindingRef,
    FindingRow,
    FindingsQuery,
    FindingView,
    JudgedOf,
    SetFinding,
)
from services.correlation.domain.forms import AnyRule
from services.correlation.domain.rule import Rule
from services.correlation.store import findings, listing, pending
from services.correlation.store.listing import Wanted
from services.correlation.store.pending import NOTHING, REBUILD
from services.correlation.usecases import rules
from services.correlation.usecases.follow import waker
from services.correlation.usecases.worlds import named_in, world_of
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_about

MAX_REASON: Final = 1_000
MAX_HISTORY: Final = 200
#: What of a text may be a part of a finding's id.
MIN_PREFIX: Final = 4


async def list_findings(ports: Ports, caller: Caller, query: FindingsQuery) -> FindingPage:
    """A page of findings of a scan; one that was never judged is judged from now on."""
    judged = (await get_judged(ports, caller, ScanId(query.scan))).waiting == 0
    at = now()
    entities = None
    if query.entity:
        world, _ = await world_of(ports, caller.workspace, query.scan)
        entities = tuple(place.id for place in await named_in(world, query.entity))
    async with ports.sql.read() as view:
        wanted = Wanted(
            severity=query.severity,
            status=query.status,
            rule=query.rule,
            entities=entities,
            all=query.all,
            after=None if query.cursor is None else _read_cursor(query.cursor),
        )
        found = await listing.list_findings(view, caller.workspace, query.scan, wanted, at=at, limit=query.limit)
        counts = await listing.count_findings(view, caller.workspace, query.scan, wanted, at=at)
    return FindingPage(
        findings=tuple(found),
        counts=counts,
        judged=judged,
        cursor=_write_cursor(found[-1]) if len(found) == query.limit else None,
    )


async def get_judged(ports: Ports, caller: Caller, question: ScanId) -> JudgedOf:
    """How far a scan was judged; ``waiting`` counts things, and is at least 1 as long as not all is done."""
    stored = await ports.calls.ask(GET_STORED, question, caller.through(ports.service))
    digest = (await rules.in_force(ports, caller.workspace)).digest
    async with ports.sql.read() as view:
        state = await pending.read_scan(view, caller.workspace, question.scan)
        waiting = await pending.count_pending(view, caller.workspace, question.scan)
        changes = await pending.changes(view, caller.workspace, question.scan)
        found = await listing.count_findings(view, caller.workspace, question.scan, Wanted(all=True), at=0)
    if state is None or (state.rules != digest and state.work == NOTHING):
        await _have_judged(ports, caller.workspace, question.scan)
    done = state is not None and state.work == NOTHING and changes >= stored.changes and state.rules == digest
    return JudgedOf(
        scan=question.scan,
        changes=changes,
        waiting=0 if done else max(waiting, 1),
        findings=sum(found.values()),
    )


async def swept(ports: Ports, caller: Caller, question: ScanId) -> Swept:
    """Whether a scan was deleted here: its tombstone is written with the last of its rows."""
    async with ports.sql.read() as view:
        mine = (await pending.owners(view, [question.scan])).get(question.scan) == caller.workspace
        return Swept(question.scan, mine and question.scan in await pending.swept(view, [question.scan]))


async def _have_judged(ports: Ports, workspace: UUID, scan: UUID) -> None:
    """Have a scan judged that nobody told us of, or that was judged by other rules."""
    async with ports.sql.begin() as tx:
        if not await pending.deleted(tx, [scan]):
            await pending.want(tx, workspace, scan, REBUILD)
    waker(ports).set()


async def get_finding(ports: Ports, caller: Caller, question: FindingRef) -> FindingView:
    """A finding with what it rests on in a scan, or in the last one that had it."""
    async with ports.sql.read() as view:
        identity, last = await _find(ports, caller, question.finding)
        scan = question.scan or last
        rows = await listing.rows_of(view, caller.workspace, scan, [identity])
        if not rows:
            raise NotFound(f"the scan {scan} has no such finding")
        matches, grounds = await findings.grounds_of(view, caller.workspace, scan, identity)
        history = await findings.changes_of(view, caller.workspace, identity, MAX_HISTORY)
    rule: AnyRule | None = None
    with suppress(NotFound):  # it was removed, and the scan was not judged since
        rule = await rules.find_rule(ports, caller.workspace, rows[0].rule)
    return FindingView(
        finding=rows[0],
        description=rule.description if rule else "",
        advice=rule.advice if isinstance(rule, Rule) else "",
        references=rule.references if isinstance(rule, Rule) else (),
        matches=matches,
        grounds=grounds,
        history=tuple(history),
    )


async def set_finding(ports: Ports, caller: Caller, question: SetFinding) -> FindingRow:
    """Keep what a person says of a finding; it counts in every scan of the workspace."""
    reason = question.reason.strip()
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise Invalid(f"a reason has at most {MAX_REASON:,} printable characters")
    if question.status in {"false_positive", "accepted"} and not reason:
        raise Invalid("say why, so that others can judge it again")
    identity, scan = await _find(ports, caller, question.finding)
    say_about(finding=str(identity))
    async with ports.outbox.unit() as unit:
        await findings.hold_statuses(unit.tx, caller.workspace)
        await findings.set_status(
            unit.tx, caller.workspace, [identity], question.status, who=caller.name, reason=reason, at=now()
        )
        rows = await listing.rows_of(unit.tx, caller.workspace, scan, [identity])
        if not rows:
            raise NotFound(f"no scan has the finding {question.finding} any more")
    return rows[0]


async def _find(ports: Ports, caller: Caller, text: str) -> tuple[UUID, UUID]:
    """The finding that an id or a unique beginning of one stands for, and the scan that had it last."""
    digits = text.replace("-", "").lower()
    if not MIN_PREFIX <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        raise Invalid(f"{text[:40]!r} is not the id of a finding, or at least {MIN_PREFIX} digits of its beginning")
    low, high = (bytes.fromhex(digits.ljust(32, end)) for end in "0f")
    async with ports.sql.read() as view:
        found = await listing.find_finding(view, caller.workspace, low, high)
    if not found:
        raise NotFound(f"there is no finding {text[:40]}")
    if len(found) > 1:
        raise Invalid(f"several findings begin with {text[:40]}; say more of the id")
    return found[0]


def _write_cursor(last: FindingRow) -> str:
    place = bytes([SEVERITIES.index(last.severity)]) + last.id.bytes
    return base64.urlsafe_b64encode(place).decode()


def _read_cursor(cursor: str) -> tuple[int, bytes]:
    try:
        place = base64.b64decode(cursor.encode(), b"-_", validate=True)
    except ValueError:
        place = b""
    if len(place) != 17:
        raise Invalid("this is no cursor of this question")
    return place[0], place[1:]


async def check_scan(ports: Ports, caller: Caller, scan: UUID) -> None:
    """Raise `NotFound` where there is no such scan."""
    await ports.calls.ask(GET_PLAN, ScanId(scan), caller.through(ports.service))
