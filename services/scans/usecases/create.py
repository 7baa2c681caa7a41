"""Making scans, and saying beforehand what one would do."""

from collections.abc import Iterable, Iterator
from uuid import UUID, uuid4

from services.contracts.claims import Entity
from services.contracts.endpoints import LIST_BUDGETS, LIST_MODULES
from services.contracts.entities import host_of, ip_address, name
from services.contracts.facts import Started
from services.contracts.plan import Plan
from services.contracts.resources import NewScan, Preview
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Denied, Invalid
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_made
from services.scans.domain.candidates import Candidates
from services.scans.domain.items import Wants
from services.scans.domain.planning import NOT_ASKED_FOR, Choice, choose, plan_scan, preview, read_targets
from services.scans.settings import SECOND, TARGETS_SAID
from services.scans.store import authorisations
from services.scans.store import scans as scan_store
from services.scans.store.scans import ScanRow
from services.scans.usecases.admit import admit
from services.scans.usecases.authorise import sign
from services.scans.usecases.handout import go_on
from services.scans.usecases.ledger import Ledger, keep_plan
from services.scans.usecases.quotas import check_running, learn

_TARGETS_AT_A_TIME = 2000


async def create(ports: Ports, caller: Caller, new: NewScan) -> UUID:
    """Make a scan and start its first run.

    Raises:
        Invalid: what was asked for makes no sense; it says why.
        Conflict: as many scans run in the workspace as may at once.
        Denied: it is to touch targets, or networks that are guarded, and the caller may not authorise that.
    """
    if (new.authorised is not None or new.networks) and not caller.may("scans.authorise"):
        raise Denied("active work, and networks that are guarded, need the permission scans.authorise")
    plan = await make_plan(ports, caller, new)
    signed = await sign(ports, caller, plan)
    await learn(ports, caller.workspace)
    say_made(scan=plan.scan)
    async with ports.outbox.unit() as unit:
        await check_running(ports, unit.tx, caller.workspace)
        number = await scan_store.next_number(unit.tx)
        if plan.words is not None:
            await scan_store.hold_words(unit.tx, caller.workspace.bytes)
        row = _row(caller.workspace, plan, number)
        await scan_store.insert(unit.tx, row, plan)
        keep_plan(ports, row, plan)
        if plan.authorisation is not None and plan.authorisation.id is not None and signed is not None:
            await authorisations.insert(unit.tx, row.key, plan.authorisation.id, signed)
        ledger = await Ledger.open(ports, unit, caller.workspace, plan.scan)
        assert ledger is not None
        for source in range(len(plan.modules)):
            ledger.source(source)
        for first in range(0, len(plan.targets), _TARGETS_AT_A_TIME):
            await admit(ledger, _candidates(ledger.wants, plan.targets[first : first + _TARGETS_AT_A_TIME]))
        # To come here with 100,000 targets takes seconds, which are none of those that the run may take.
        ledger.at = now()
        start(ledger)
        await go_on(ledger)
        await ledger.close()
    return plan.scan


async def make_plan(ports: Ports, caller: Caller, new: NewScan) -> Plan:
    """Decide what a scan will do; nothing is stored."""
    targets = read_targets(new)
    choice = await _choose(ports, caller, new)
    return plan_scan(uuid4(), caller.workspace, new, targets, choice.taken, now())


async def preview_scan(ports: Ports, caller: Caller, new: NewScan) -> Preview:
    """Say what a scan would do, before anything is asked or stored."""
    choice = await _choose(ports, caller, new)
    plan = plan_scan(UUID(int=0), caller.workspace, new, read_targets(new), choice.taken, now())
    budgets = await ports.calls.ask(LIST_BUDGETS, Nothing(), caller)
    left = {budget.module: min(quota.left for quota in budget.quotas) for budget in budgets if budget.quotas}
    subjects = list({entity.id: entity for entity in _with_hosts(plan.targets)}.values())
    return Preview(
        targets=plan.targets,
        modules=tuple(preview(module, subjects, left.get(module.declared.id)) for module in choice.taken),
        left_out=choice.left_out,
    )


def start(ledger: Ledger) -> None:
    """Begin the run that the row says."""
    row = ledger.row
    row.started = row.started or ledger.at
    row.ended = None
    row.reason = ""
    row.deadline = None if row.time_left is None else ledger.at + row.time_left
    row.time_left = None
    row.withheld = ""
    row.rounds = 0
    targets = ledger.plan.targets
    ledger.unit.emit(
        Started(
            scan=ledger.scan,
            run=row.run,
            targets=targets[:TARGETS_SAID],
            profile=row.profile,
            target_count=len(targets),
        ),
        workspace=ledger.workspace,
        key=f"{ledger.scan.hex}|{row.run}",
    )


async def _choose(ports: Ports, caller: Caller, new: NewScan) -> Choice:
    modules = await ports.calls.ask(LIST_MODULES, Nothing(), caller)
    choice = choose(new, modules)
    if not choice.taken:
        telling = [(module, why) for module, why in choice.left_out.items() if why != NOT_ASKED_FOR]
        reasons = "; ".join(f"{module}: {why}" for module, why in (telling or list(choice.left_out.items()))[:3])
        raise Invalid(f"no module is left to ask ({reasons})" if reasons else "there is no module to ask")
    return choice


def _candidates(wants: Wants, targets: Iterable[Entity]) -> Candidates:
    seen = Candidates(wants)
    for entity in _with_hosts(targets):
        seen.add(entity)
    return seen


def _with_hosts(targets: Iterable[Entity]) -> Iterator[Entity]:
    """The targets, and the hosts that their URLs are on."""
    for target in targets:
        yield target
        if target.type == "url":
            host = host_of(target.key[0])
            if "." in host or ":" in host:
                yield ip_address(host) if ":" in host or host[-1:].isdecimal() else name(host)


def _row(workspace: UUID, plan: Plan, number: int) -> ScanRow:
    at = now()
    timeout = plan.limits.timeout
    return ScanRow(
        workspace=workspace.bytes,
        id=plan.scan.bytes,
        number=number,
        state="running",
        reason="",
        run=1,
        profile=plan.profile,
        authorised=plan.authorisation.text if plan.authorisation else None,
        plan_version=1,
        created=at,
        started=None,
        ended=None,
        deadline=None,
        time_left=None if timeout is None else int(timeout * SECOND),
        wake=None,
        changed=at,
        items=0,
        results=0,
        admissions=0,
        entities=0,
        batches=0,
        rounds=0,
        names=0,
        named=0,
        limited=0,
        evidence_root=None,
    )
