"""Looking at scans: where they stand, what they asked, and what they made of an entity."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

from services.contracts.claims import Entity, Malformed
from services.contracts.entities import ENTITY_TYPES, entity
from services.contracts.facts import ANSWERED, Outcome
from services.contracts.plan import Plan, PlannedModule
from services.contracts.resources import (
    Item,
    ItemsQuery,
    Progress,
    Scan,
    ScanSummary,
    SourceState,
    Standing,
    Swept,
    Waiting,
)
from services.contracts.states import ENDED, SourceStanding
from services.contracts.subjects import CarriedSubject, Names
from services.contracts.targets import recognise
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.scans.domain.items import item_id
from services.scans.domain.reach import IN_SCOPE, RULED_OUT, role_of
from services.scans.domain.states import HELD, ITEM_STATES, by_outcome
from services.scans.domain.times import clock
from services.scans.domain.unseen import cut_short, why_unseen
from services.scans.settings import TARGETS_SAID
from services.scans.store import frontier as frontier_store
from services.scans.store import items as item_store
from services.scans.store import scans as scan_store
from services.scans.store.items import ItemView
from services.scans.store.scans import ScanRow, SourceRow
from services.scans.usecases import authorise
from services.scans.usecases.admit import NO_JUDGE
from services.scans.usecases.lease import paused
from services.scans.usecases.ledger import plan_of

_LISTED: Final = 1000
_MOST_ITEMS: Final = 1000
_UNMISTAKABLE: Final = frozenset({"domain", "hostname", "ip_address", "netblock", "asn", "url", "email_address"})


async def find(ports: Ports, caller: Caller, text: str) -> Scan:
    """A scan by its id, a unique beginning of it, or ``last``."""
    async with ports.sql.read() as view:
        return await _scan(ports, view, await _named(view, caller, text))


async def get(ports: Ports, caller: Caller, scan: UUID) -> Scan:
    async with ports.sql.read() as view:
        return await _scan(ports, view, await _row(view, caller, scan))


async def plan(ports: Ports, caller: Caller, scan: UUID) -> Plan:
    async with ports.sql.read() as view:
        found, _ = await plan_of(ports, view, await _row(view, caller, scan))
    return found


async def swept(ports: Ports, caller: Caller, scan: UUID) -> Swept:
    """Whether a scan is gone with all that it worked on; then others deleted in its workspace are gone as well."""
    async with ports.sql.read() as view:
        there = await scan_store.load(view, caller.workspace.bytes, scan.bytes) is not None
        return Swept(scan, not there and await scan_store.is_swept(view, caller.workspace.bytes))


async def newest(ports: Ports, caller: Caller) -> tuple[ScanSummary, ...]:
    """The scans of a workspace, newest first."""
    async with ports.sql.read() as view:
        return await summaries(view, await scan_store.newest(view, caller.workspace.bytes, _LISTED))


async def summaries(view: Reader, rows: Sequence[ScanRow]) -> tuple[ScanSummary, ...]:
    """Scans of one workspace as a list shows them."""
    keys = [row.key for row in rows]
    targets = await scan_store.read_targets(view, keys)
    items = await scan_store.open_items(view, keys)
    return tuple(
        ScanSummary(
            id=row.uuid,
            state=row.state,
            targets=tuple(target.value for target in targets[row.number][0]),
            target_count=targets[row.number][1],
            profile=row.profile,
            created=row.created,
            ended=row.ended,
            entities=row.entities,
            open=items.get(row.number, (0, 0))[0],
            done=items.get(row.number, (0, 0))[1],
        )
        for row in rows
    )


async def items(ports: Ports, caller: Caller, query: ItemsQuery) -> tuple[Item, ...]:
    """Work items of a scan, in the order of their ids; a subject narrows to those about entities of that value."""
    after = _after(query.after)
    limit = max(1, min(query.limit, _MOST_ITEMS))
    async with ports.sql.read() as view:
        row = await _row(view, caller, query.scan)
        found, wants = await plan_of(ports, view, row)
        modules = [n for n, module in enumerate(found.modules) if query.module in ("", module.id)]
        if query.subject:
            subjects = {entity.id for entity in readings(query.subject)}
            relations = await frontier_store.subjects_judged_by(view, row.key, list(subjects))
            subjects.update(identity for identity, _, _ in relations)
            ids = [item_id(wants.asking[number].stem, subject) for number in modules for subject in subjects]
            views = [
                each
                for each in await item_store.view_of(view, row.key, ids)
                if each.id > after and query.outcome in (None, each.outcome)
            ]
            views = sorted(views, key=lambda each: each.id)[:limit]
        else:
            views = await item_store.page(
                view, row.key, modules=modules, outcome=query.outcome, after=after, limit=limit
            )
        carried, places = await _subjects(view, row, views)
    return tuple(
        Item(
            id=UUID(bytes=each.id),
            module=found.modules[each.module].id,
            version=found.modules[each.module].version,
            subject=carried[each.subject],
            state=ITEM_STATES[each.state],
            outcome=each.outcome,
            reason=each.reason,
            role=role_of(places[each.subject][0]),
            distance=places[each.subject][1],
            claims=each.claims,
            requests=each.requests,
            changed=each.changed,
        )
        for each in views
    )


async def standing(ports: Ports, caller: Caller, scan: UUID, value: str) -> Standing:
    """Where an entity of a value stands: admitted, or why not."""
    meant = readings(value)
    if not meant:
        raise Invalid(f"{value[:80]!a} is not the value of any type of entity")
    async with ports.sql.read() as view:
        row = await _row(view, caller, scan)
        found, _ = await plan_of(ports, view, row)
        seen = await frontier_store.entities(view, row.key, [each.id for each in meant])
        sources = () if seen else tuple((await scan_store.sources(view, row.key)).values())
    if not seen:
        reason = _why_unseen(row, found, meant, sources)
        unseen = any(found.scope.role_of(each) for each in meant)
        return Standing(entity=meant[0], admitted=False, role=None, distance=None, reason=reason, unseen=unseen)
    best, rank, distance = max(seen.values(), key=lambda each: each[1])
    if rank > 0:
        limited = row.limited and not await _has_items(ports, row, best)
        reason = f"not asked about: {_cut(row, found)}" if limited else ""
        return Standing(entity=best, admitted=True, role=role_of(rank), distance=distance, reason=reason)
    if rank == RULED_OUT:
        reason = "it was ruled out of the scope"
    else:
        reason = f"it is out of scope, and further than {found.limits.max_depth} steps from what is in it"
    return Standing(entity=best, admitted=False, role=None, distance=None, reason=reason)


def _why_unseen(row: ScanRow, found: Plan, meant: Sequence[Entity], sources: Sequence[SourceRow]) -> str:
    """Why a scan says nothing of what nobody told it of: its scope, or that nobody did, of those who could have."""
    if found.scope.rules_out(meant[0]):
        return "it was ruled out of the scope"
    if not any(found.scope.role_of(each) for each in meant):
        return "it is out of scope, and nothing that was found led to it"
    types = {each.type for each in meant}
    naming = [source for source in sources if types & {*found.modules[source.module].produces}]
    return why_unseen([_source_state(row, found, source) for source in naming], _cut(row, found))


def _cut(row: ScanRow, found: Plan) -> str:
    limit = f"the limit of {found.limits.max_items:,} work items was reached" if row.limited else ""
    return cut_short(row.state, row.reason, limit)


async def names(ports: Ports, caller: Caller, scan: UUID, digest: str) -> Names:
    """A set of names that was handed out."""
    async with ports.sql.read() as view:
        row = await _row(view, caller, scan)
        found = await frontier_store.name_set(view, row.key, digest)
        if found is None:
            raise NotFound(f"the scan has no set of names {digest[:64]!a}")
        zone, upto = found
        listed: list[str] = []
        async for some in frontier_store.names_of(view, row.key, zone, upto):
            listed += some
        before = await frontier_store.set_before(view, row.key, zone, upto)
        fresh: list[str] = []
        if before is not None:
            async for some in frontier_store.names_of(view, row.key, zone, upto, before):
                fresh += some
    return Names(zone, tuple(listed), None if before is None else tuple(fresh))


def readings(value: str) -> list[Entity]:
    """The entities that a text can mean, the likeliest first; a name, an address or a URL means one thing only."""
    found: dict[tuple[str, tuple[str, ...]], Entity] = {}
    try:
        likeliest = recognise(value)
    except Malformed:
        pass
    else:
        if likeliest.type in _UNMISTAKABLE:
            return [likeliest]
        found[likeliest.type, likeliest.key] = likeliest
    for kind, declared in ENTITY_TYPES.items():
        parts = _parts(kind, value) if len(declared.parts) > 1 else (value,)
        try:
            read = entity(kind, *parts)
        except (Malformed, ValueError):
            continue
        found.setdefault((read.type, read.key), read)
    return list(found.values())


def _parts(kind: str, value: str) -> tuple[str, ...]:
    """The parts of a key as its readable line has them; see `Entity.value`."""
    if kind == "service":
        place, _, transport = value.rpartition("/")
        address, _, port = place.rpartition(":")
        return (address.strip("[]"), transport, port)
    if kind in ("dns_record", "technology", "publication"):
        return tuple(value.split(" ", 2 if kind == "dns_record" else 1))
    if kind == "code_repository":
        return tuple(value.split("/", 1))
    if kind in ("organization", "location"):
        return ("name" if kind == "organization" else "city", value)
    return tuple(value.split(":"))


async def _named(view: Reader, caller: Caller, text: str) -> ScanRow:
    workspace = caller.workspace.bytes
    if text == "last":
        rows = await scan_store.newest(view, workspace, 1)
        if not rows:
            raise NotFound("there is no scan yet")
        return rows[0]
    beginning = text.strip().lower().replace("-", "")
    if not beginning or len(beginning) > 32 or not set(beginning) <= set("0123456789abcdef"):
        raise Invalid(f"{text[:64]!a} is not the id of a scan nor the beginning of one")
    ids = await scan_store.beginning_with(view, workspace, beginning)
    if len(ids) > 1:
        raise Invalid(f"more than one scan begins with {text}; say more of its id")
    row = await scan_store.load(view, workspace, ids[0]) if ids else None
    if row is None:
        raise NotFound(f"there is no scan that begins with {text}")
    return row


async def _row(view: Reader, caller: Caller, scan: UUID) -> ScanRow:
    row = await scan_store.load(view, caller.workspace.bytes, scan.bytes)
    if row is None:
        raise NotFound(f"there is no scan {scan}")
    return row


async def _scan(ports: Ports, view: Reader, row: ScanRow) -> Scan:
    found, _ = await plan_of(ports, view, row)
    progress = await progress_of(ports, view, row)
    open_items = progress.items["waiting"] + progress.items["leased"]
    signed = await authorise.read(view, row.key) if row.authorised is not None else None
    return Scan(
        id=row.uuid,
        targets=found.targets[:TARGETS_SAID],
        target_count=len(found.targets),
        profile=found.profile,
        created=row.created,
        **msgspec.structs.asdict(progress),
        authorised=row.authorised,
        authorisation=signed.statement if signed else None,
        results=row.results,
        admissions=row.admissions,
        evidence_root=None if row.evidence_root is None else row.evidence_root.hex(),
        resumable=row.state in HELD and (open_items > 0 or not row.limited),
    )


async def progress_of(ports: Ports, view: Reader, row: ScanRow) -> Progress:
    """Where a scan stands."""
    found, _ = await plan_of(ports, view, row)
    sources = await scan_store.sources(view, row.key)
    pauses = pauses_of(ports, row)
    return Progress(
        state=row.state,
        reason=row.reason,
        run=row.run,
        started=row.started,
        ended=row.ended,
        deadline=row.deadline,
        items={
            "waiting": sum(source.waiting for source in sources.values()),
            "leased": sum(source.leased for source in sources.values()),
            "done": sum(sum(source.outcomes) for source in sources.values()),
        },
        entities=await scan_store.tally(view, row.key),
        sources=tuple(_source_state(row, found, source, pauses) for source in sources.values()),
        waiting=_waiting(found, list(sources.values()), pauses) if row.state == "running" else (),
        withheld=row.withheld,
    )


_ALL_FAILED: Final[dict[Outcome, SourceStanding]] = {
    "rate_limited": "rate_limited",
    "blocked": "blocked",
    "unauthorised": "unauthorised",
    "unreachable": "unreachable",
    "failed": "failed",
    "skipped": "skipped",
}


def _source_state(
    row: ScanRow, found: Plan, source: SourceRow, pauses: Mapping[str, int] = MappingProxyType({})
) -> SourceState:
    module = found.modules[source.module]
    outcomes = by_outcome(source.outcomes)
    state: SourceStanding
    reason = source.reason
    if module.key_required and module.missing_key:
        state, reason = "unauthorised", f"no key {module.missing_key}"
    elif source.open and row.state == "running":
        state = "running" if source.leased else "waiting"
        reason = _why_unauthorised(found, module, source) or _why_waiting(source, pauses.get(module.id)) or reason
    elif not outcomes:
        state = "waiting" if source.open else "idle"
    elif not source.open and set(outcomes) <= ANSWERED:
        state = "truncated" if "truncated" in outcomes else "answered"
    elif not source.open and len(outcomes) == 1:
        state = _ALL_FAILED[next(iter(outcomes))]
    else:
        state = "partial"
    if source.open and row.state in ENDED:
        reason = reason or f"{source.open:,} not asked: {row.reason}"
    return SourceState(
        module=module.id,
        version=module.version,
        activity=module.activity,
        state=state,
        open=source.open,
        outcomes=outcomes,
        claims=source.claims,
        requests=source.requests,
        reason=reason,
    )


def _why_waiting(source: SourceRow, paused_until: int | None) -> str:
    """What the items of a source wait for and until when, in words; empty when they wait for their turn alone."""
    if source.leased and paused_until is not None:
        return f"waits for the source's rate until {clock(paused_until)}"
    if source.held and source.held_until is not None and source.held_until > now():
        return f"{source.reason or 'a rate limit'}; asked again at {clock(source.held_until)}"
    return ""


def _why_unauthorised(found: Plan, module: PlannedModule, source: SourceRow) -> str:
    """Since when active work is allowed that waits for that; empty where it may be done."""
    allowed = found.authorisation
    if module.activity != "active" or allowed is None or not source.waiting or not allowed.is_to_come(now()):
        return ""
    return f"active work is authorised from {clock(allowed.begins or 0)}"


def _waiting(found: Plan, sources: Sequence[SourceRow], pauses: Mapping[str, int]) -> tuple[Waiting, ...]:
    waits: list[Waiting] = []
    at = now()
    for source in sources:
        module = found.modules[source.module]
        name = module.id
        held = source.held if source.held_until and source.held_until > at else 0
        until = pauses.get(name, 0)
        if source.leased and until:
            waits.append(Waiting(name, source.leased, "the source's rate", until))
        elif source.leased:
            waits.append(Waiting(name, source.leased, "being asked"))
        if _why_unauthorised(found, module, source) and found.authorisation is not None:
            waits.append(Waiting(name, source.waiting, "not authorised", found.authorisation.begins))
            continue
        if held:
            waits.append(Waiting(name, held, source.reason or "a rate limit", source.held_until))
        if source.waiting > held:
            waits.append(Waiting(name, source.waiting - held, "in the queue"))
    return tuple(waits)


def pauses_of(ports: Ports, row: ScanRow) -> dict[str, int]:
    """The modules of a scan that wait for their source's rate, and until when."""
    at, place = now(), (UUID(bytes=row.workspace), row.uuid)
    return {key[2]: until for key, until in paused(ports).items() if key[:2] == place and until > at}


async def _subjects(
    view: Reader, row: ScanRow, views: Sequence[ItemView]
) -> tuple[dict[bytes, CarriedSubject], dict[bytes, tuple[int, int]]]:
    about = list({each.subject for each in views})
    entities = await frontier_store.entities(view, row.key, about)
    others = await frontier_store.subjects(view, row.key, [each for each in about if each not in entities])
    judges = await frontier_store.entities(view, row.key, list({judge for _, judge in others.values()}))
    judges[NO_JUDGE] = (Entity("", ()), IN_SCOPE, 0)
    carried: dict[bytes, CarriedSubject] = {identity: found[0] for identity, found in entities.items()}
    carried.update((identity, subject) for identity, (subject, _) in others.items())
    places = {identity: (rank, distance) for identity, (_, rank, distance) in entities.items()}
    places.update((identity, judges[judge][1:]) for identity, (_, judge) in others.items())
    return carried, places


async def _has_items(ports: Ports, row: ScanRow, entity: Entity) -> bool:
    async with ports.sql.read() as view:
        _, wants = await plan_of(ports, view, row)
        ids = [item_id(asking.stem, entity.id) for asking in wants.asking]
        return bool(await item_store.existing(view, row.key, ids))


def _after(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace("-", ""))
    except ValueError:
        raise Invalid(f"{text[:64]!a} is not the id of an item") from None
