"""Withdraws claims and restores them: nothing is deleted, the evidence stays, and nobody counts them meanwhile."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts.endpoints import GET_PLAN, LIST_MODULES
from services.contracts.resources import Retract, Retracted, Retraction, ScanId
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_about
from services.storage.domain import Changes, record_id, retraction_id
from services.storage.store import retractions, support
from services.storage.store.changes import note_named
from services.storage.store.intake import hold_entities
from services.storage.usecases import changes
from services.storage.usecases.support import work_out

#: Results in one transaction; most have half a dozen claims.
BATCH: Final = 100
LONGEST_REASON: Final = 1000


async def retract(ports: Ports, caller: Caller, question: Retract) -> AsyncGenerator[Retracted, None]:
    """Withdraw or restore what ``question`` says, batch by batch; done again after a crash, it is made whole.

    What comes later is withdrawn as it comes (D55). What another retraction takes in too stays withdrawn. Then it is
    worked out, scan by scan, what has lost its support by that, or got it back.
    """
    record = _check(question)
    if question.scan is not None and not question.undo:
        await ports.calls.ask(GET_PLAN, ScanId(question.scan), caller)
    said = Retraction(
        module=question.module,
        version=question.version,
        source=question.source,
        modules=(),
        scan=question.scan,
        record=record,
        since=question.since,
        reason=question.reason,
        at=now(),
    )
    said = await _with_modules(ports, caller, said, undo=question.undo)
    await _say_whose(ports, caller, said)
    async with ports.outbox.unit() as unit:
        await retractions.hold(unit.tx, [caller.workspace])
        if question.undo:
            await retractions.begin_undoing(unit.tx, caller.workspace, said)
        else:
            await retractions.note(unit.tx, caller.workspace, said)
    after, scans = 0, set[bytes]()
    while True:
        async with ports.outbox.unit() as unit:
            tx = unit.tx
            # As the intake does: nobody deletes a scan meanwhile, who would wait for its claims and hold its row.
            await hold_entities(tx, [caller.workspace])
            await retractions.hold(tx, [caller.workspace])
            results = await retractions.results_of(tx, caller.workspace, said, after, BATCH)
            stand = await retractions.standing(tx, caller.workspace)
            claims = await retractions.refold(tx, caller.workspace, results, stand, now())
            fresh = {scan for scan, _ in claims}
            changed = Changes()
            await note_named(tx, caller.workspace, claims, changed)
            await changes.say(unit, changed, fresh)
        if not results:
            break
        after, scans = results[-1].number, scans | fresh
        yield Retracted(len(claims))
    async with ports.sql.read() as view:
        # With what a crash left before it was worked out; where that is not said again, the service sees to it.
        scans |= {scan.bytes for space, scan in await support.due(view) if space == caller.workspace}
    for scan in sorted(scans):
        async for derived in work_out(ports, caller.workspace, UUID(bytes=scan)):
            yield Retracted(0, derived)
    if question.undo:
        async with ports.outbox.unit() as unit:
            await retractions.hold(unit.tx, [caller.workspace])
            await retractions.drop(unit.tx, caller.workspace, said)


async def _with_modules(ports: Ports, caller: Caller, said: Retraction, *, undo: bool) -> Retraction:
    """With the modules of the source: those that the registry has now, or that were withdrawn with it."""
    if not said.source:
        return said
    if undo:
        async with ports.sql.read() as view:
            stand = await retractions.standing(view, caller.workspace, with_ending=True)
        same = (each.modules for each in stand if retraction_id(each) == retraction_id(said))
        modules = next(same, ())
    else:
        listed = [module.declared for module in await ports.calls.ask(LIST_MODULES, Nothing(), caller)]
        source = said.source.casefold()
        modules = tuple(sorted({each.id for each in listed if source in (each.source.casefold(), *each.hosts)}))
    if not modules:
        what = "is withdrawn" if undo else "is asked by any module"
        raise NotFound(f"no source {said.source!a} {what}")
    return replace(said, modules=modules)


async def _say_whose(ports: Ports, caller: Caller, said: Retraction) -> None:
    """Have the audit trail name module, source and record, if there is such a result: else they are but texts."""
    async with ports.sql.read() as view:
        found = await retractions.results_of(view, caller.workspace, said, 0, 1)
    named = {"module": said.module, "version": said.version, "source": said.source, "record": said.record}
    if found:
        say_about(**{name: str(value) for name, value in named.items() if value not in {"", None}})


async def list_retractions(ports: Ports, caller: Caller, _: Nothing) -> tuple[Retraction, ...]:
    async with ports.sql.read() as view:
        return tuple(await retractions.standing(view, caller.workspace, with_ending=True))


def _check(question: Retract) -> str:
    """Return the record that a question names, in lower case; raise `Invalid` for one that makes no sense."""
    words = (question.module, question.source, question.scan, question.record)
    if not any(words) and question.since is None:
        raise Invalid("say whose claims: those of a module, a source or a scan, on a record, or since when")
    if question.version is not None and not question.module:
        raise Invalid("a version is one of a module; say of which")
    if not (question.module + question.source + question.reason).isprintable():
        raise Invalid("the names of a module and of a source, and a reason, are printable text")
    if not question.undo and not 0 < len(question.reason.strip()) <= LONGEST_REASON:
        raise Invalid(f"say why, in at most {LONGEST_REASON} characters")
    return record_id(question.record).hex()
