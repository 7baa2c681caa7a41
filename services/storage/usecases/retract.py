"""Withdraws claims and restores them: nothing is deleted, the evidence stays, and nobody counts them meanwhile."""

from collections.abc import AsyncGenerator
from typing import Final

from services.contracts.endpoints import GET_PLAN
from services.contracts.resources import Retract, Retracted, Retraction, ScanId
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_about
from services.storage.domain import Changes, record_id, retraction_id
from services.storage.store import retractions
from services.storage.store.changes import note_named
from services.storage.store.intake import hold_entities
from services.storage.usecases import changes

#: Results in one transaction; most have half a dozen claims.
BATCH: Final = 100
LONGEST_REASON: Final = 1000


async def retract(ports: Ports, caller: Caller, question: Retract) -> AsyncGenerator[Retracted, None]:
    """Withdraw or restore what ``question`` says, batch by batch; done again after a crash, it is made whole.

    A retraction is about what is stored when it is made: what its module says later counts, until it is made again.
    What another retraction takes in too stays withdrawn.
    """
    record = _check(question)
    if question.scan is not None and not question.undo:
        await ports.calls.ask(GET_PLAN, ScanId(question.scan), caller)
    said = Retraction(
        module=question.module,
        version=question.version,
        scan=question.scan,
        record=record,
        reason=question.reason,
        at=now(),
    )
    await _say_whose(ports, caller, said)
    if not question.undo:
        async with ports.outbox.unit() as unit:
            await retractions.hold(unit.tx, caller.workspace)
            await retractions.note(unit.tx, caller.workspace, said)
    after = 0
    while True:
        async with ports.outbox.unit() as unit:
            tx = unit.tx
            # As the intake does: nobody deletes a scan meanwhile, who would wait for its claims and hold its row.
            await hold_entities(tx, [caller.workspace])
            await retractions.hold(tx, caller.workspace)
            results = await retractions.results_of(tx, caller.workspace, said, after, BATCH)
            stand = await retractions.standing(tx, caller.workspace)
            if question.undo:
                stand = [each for each in stand if retraction_id(each) != retraction_id(said)]
            claims = await retractions.refold(tx, caller.workspace, results, stand, now())
            if not results and question.undo:
                await retractions.drop(tx, caller.workspace, said)
            changed = Changes()
            await note_named(tx, caller.workspace, claims, changed)
            await changes.say(unit, changed)
        if not results:
            return
        after = results[-1].number
        yield Retracted(len(claims))


async def _say_whose(ports: Ports, caller: Caller, said: Retraction) -> None:
    """Have the audit trail name module and record, if there is such a result: else they are but texts of who asks."""
    async with ports.sql.read() as view:
        found = await retractions.results_of(view, caller.workspace, said, 0, 1)
    named = {"module": said.module, "version": said.version, "record": said.record}
    if found:
        say_about(**{name: str(value) for name, value in named.items() if value not in {"", None}})


async def list_retractions(ports: Ports, caller: Caller, _: Nothing) -> tuple[Retraction, ...]:
    async with ports.sql.read() as view:
        return tuple(await retractions.standing(view, caller.workspace))


def _check(question: Retract) -> str:
    """Return the record that a question names, in lower case; raise `Invalid` for one that makes no sense."""
    if not (question.module or question.scan or question.record):
        raise Invalid("say whose claims: those of a module, of a scan, or on a record")
    if question.version is not None and not question.module:
        raise Invalid("a version is one of a module; say of which")
    if not (question.module + question.reason).isprintable():
        raise Invalid("the name of a module and a reason are printable text")
    if not question.undo and not 0 < len(question.reason.strip()) <= LONGEST_REASON:
        raise Invalid(f"say why, in at most {LONGEST_REASON} characters")
    return record_id(question.record).hex()
