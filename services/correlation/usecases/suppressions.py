"""What people put aside: findings of a rule, on an entity, or both, with a reason and an end."""

from typing import Final
from uuid import uuid4

from services.contracts.claims import Malformed
from services.contracts.resources.correlation import Suppress, Suppression, SuppressionRef
from services.contracts.targets import recognise
from services.correlation.store import rules as store
from services.correlation.usecases.rules import find_rule
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_about

MAX_REASON: Final = 1_000
MOST: Final = 1_000


async def suppress(ports: Ports, caller: Caller, question: Suppress) -> Suppression:
    """Put findings aside: nothing of them is lost, and they come back when the suppression ends."""
    reason = question.reason.strip()
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise Invalid(f"say why, in at most {MAX_REASON:,} printable characters")
    if not question.rule and not question.entity:
        raise Invalid("say findings of which rule, on which entity, or both")
    at = now()
    if question.ends is not None and question.ends <= at:
        raise Invalid("it would have ended already")
    if question.rule:
        await find_rule(ports, caller.workspace, question.rule)
    entity = None
    if question.entity:
        try:
            entity = recognise(question.entity, type=question.type)
        except Malformed as error:
            raise Invalid(str(error)) from error
    said = Suppression(
        id=uuid4(),
        rule=question.rule,
        entity=entity.value if entity is not None else "",
        reason=reason,
        who=caller.name,
        at=at,
        ends=question.ends,
    )
    say_about(rule=question.rule, suppression=str(said.id))
    async with ports.outbox.unit() as unit:
        await unit.tx.lock(f"suppressions|{caller.workspace.hex}")
        if len(await store.read_suppressions(unit.tx, caller.workspace, MOST)) >= MOST:
            raise Conflict(f"a workspace has at most {MOST:,} suppressions")
        await store.write_suppression(unit.tx, caller.workspace, said, entity.id if entity is not None else None)
    return said


async def list_suppressions(ports: Ports, caller: Caller, _: Nothing) -> tuple[Suppression, ...]:
    async with ports.sql.read() as view:
        return tuple(await store.read_suppressions(view, caller.workspace, MOST))


async def lift_suppression(ports: Ports, caller: Caller, question: SuppressionRef) -> Nothing:
    say_about(suppression=str(question.suppression))
    async with ports.outbox.unit() as unit:
        if not await store.drop_suppression(unit.tx, caller.workspace, question.suppression):
            raise NotFound("there is no such suppression")
    return Nothing()
