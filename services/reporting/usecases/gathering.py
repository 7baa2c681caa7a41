"""Gathers what a report is made from: what others know of a scan, of which no more is kept than the report tells."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts import endpoints as e
from services.contracts.resources import DiffQuery, Scan, ScanId, ScanRef, ScanSummary
from services.contracts.resources.correlation import FindingRef, FindingsQuery, FindingView
from services.contracts.resources.reports import NewReport
from services.contracts.resources.storage import FactsQuery
from services.contracts.states import ENDED
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.service import Ports
from services.kernel.version import VERSION
from services.reporting.domain.reports.inputs import (
    GROUNDS,
    RECORDS,
    TOLD,
    Changes,
    Cited,
    Inputs,
    Inventory,
    Tally,
)

#: Findings that are listed at a time.
PAGE: Final = 1000


class Gathering:
    """A report in the making; `gather` yields what it is doing, and then there are its ``inputs``."""

    inputs: Inputs

    def __init__(self, ports: Ports, caller: Caller, new: NewReport, as_of: int) -> None:
        self._calls = ports.calls
        self._caller = caller
        self._new = new
        self._as_of = as_of
        self._unsaid: dict[UUID, int] = {}

    async def gather(self) -> AsyncGenerator[str, None]:
        """Ask everybody.

        Raises:
            NotFound: there is no such scan.
            Conflict: it began later than the instant that the report is to be about.
        """
        new, scan_id = self._new, ScanId(self._new.scan)
        yield "scan"
        scan = await self._calls.ask(e.GET_SCAN, ScanRef(str(new.scan)), self._caller)
        if scan.created > self._as_of:
            raise Conflict("the scan began later than that")
        plan = await self._calls.ask(e.GET_PLAN, scan_id, self._caller)
        yield "findings"
        tally, judged = await self._count(scan)
        findings = [await self._look_at(str(row.id)) for row in tally.worst]
        yield "facts"
        inventory = await self._take_stock()
        yield "changes"
        changes = await self._compare(scan) if new.template == "executive" else None
        yield "evidence"
        records = await self._find_records(findings) if new.template == "evidence" else {}
        self.inputs = Inputs(
            template=new.template,
            tlp=new.tlp,
            title=new.title,
            as_of=self._as_of,
            version=VERSION,
            workspace=self._caller.workspace,
            scan=scan,
            plan=plan,
            authorisation=scan.authorisation,
            tally=tally,
            findings=tuple(findings),
            unsaid=self._unsaid,
            judged=judged,
            inventory=inventory,
            changes=changes,
            records=records,
        )

    async def _count(self, scan: Scan) -> tuple[Tally, bool]:
        """All findings that were known at the instant, of which the worst are kept; and whether all was judged."""
        tally, cursor, judged = Tally(), None, True
        while True:
            query = FindingsQuery(scan=scan.id, all=True, limit=PAGE, cursor=cursor)
            page = await self._calls.ask(e.LIST_FINDINGS, query, self._caller)
            for row in page.findings:
                if row.first_found <= self._as_of:
                    tally.add(row, told=TOLD[self._new.template], since=scan.created)
            cursor, judged = page.cursor, judged and page.judged
            if cursor is None:
                return tally, judged

    async def _look_at(self, finding: str) -> FindingView:
        """A finding with no more grounds than are told, and what was said of it by then."""
        view = await self._calls.ask(e.GET_FINDING, FindingRef(finding=finding, scan=self._new.scan), self._caller)
        grounds = tuple(replace(each, evidence=each.evidence[:RECORDS]) for each in view.grounds[:GROUNDS])
        self._unsaid[view.finding.id] = len(view.grounds) - len(grounds)
        history = tuple(each for each in view.history if each.at <= self._as_of)
        return replace(view, grounds=grounds, history=history)

    async def _take_stock(self) -> Inventory:
        inventory = Inventory()
        query = FactsQuery(scan=self._new.scan, as_of=self._as_of)
        async with aclosing(self._calls.follow(e.READ_FACTS, query, self._caller)) as pieces:
            async for facts in pieces:
                inventory.add(facts)
        return inventory

    async def _compare(self, scan: Scan) -> Changes | None:
        """What differs from the scan of the same targets before this one, if there is one."""
        before = await self._earlier(scan)
        if before is None:
            return None
        changes = Changes(before)
        async with aclosing(self._calls.follow(e.DIFF, DiffQuery(before.id, scan.id), self._caller)) as found:
            async for change in found:
                changes.add(change)
        return changes

    async def _earlier(self, scan: Scan) -> ScanSummary | None:
        targets = [target.value for target in scan.targets]
        for each in await self._calls.ask(e.LIST_SCANS, Nothing(), self._caller):
            same = sorted(each.targets) == sorted(targets) and each.target_count == scan.target_count
            if same and each.created < scan.created and each.state in ENDED:
                return each
        return None

    async def _find_records(self, findings: list[FindingView]) -> dict[str, Cited]:
        """The evidence records that findings rest on, of all that the scan has."""
        wanted = {each for view in findings for ground in view.grounds for each in ground.evidence}
        found: dict[str, Cited] = {}
        if not wanted:
            return found
        records = self._calls.follow(e.LIST_RECORDS, ScanId(self._new.scan), self._caller)
        async with aclosing(records) as views:
            async for view in views:
                if view.id in wanted:
                    found[view.id] = Cited(view.record, f"{view.module}@{view.version}")
        return found


async def authorisation_of(ports: Ports, caller: Caller, scan: ScanId) -> str | None:
    """The signed authorisation of a scan, if somebody authorised active work of it."""
    try:
        return (await ports.calls.ask(e.GET_AUTHORISATION, scan, caller)).signed
    except NotFound:
        return None
