"""Operators of the installation: people who look after it, and see no workspace for that."""

from uuid import UUID

from services.contracts.facts import OperatorChanged
from services.contracts.people import plain_email
from services.contracts.resources import AccountRef, NewOperator, OperatorView
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.messages import EVERYWHERE, now
from services.kernel.service import Ports, Unit
from services.kernel.trail import say_about
from services.users.store import people as store


async def list_operators(ports: Ports, caller: Caller, question: Nothing) -> tuple[OperatorView, ...]:
    async with ports.sql.read() as view:
        return tuple(_show(row) for row in await store.list_members(view, EVERYWHERE))


async def add_operator(ports: Ports, caller: Caller, question: NewOperator) -> OperatorView:
    """Make a person who has an account an operator; one who is stays it.

    Raises:
        NotFound: nobody has this address.
    """
    async with ports.outbox.unit() as unit:
        await store.hold_members(unit.tx, EVERYWHERE)
        profile = await store.find_profile(unit.tx, plain_email(question.email))
        if profile is None:
            raise NotFound("nobody has an account with this address: invite them to a workspace first")
        say_about(account=profile.account)
        at = now()
        if await store.add_member(unit.tx, EVERYWHERE, profile.account, store.OPERATOR, at):
            _say_changed(unit, profile.account, at)
        found = await store.list_members(unit.tx, EVERYWHERE)
    return next(_show(row) for row in found if row.account == profile.account)


async def remove_operator(ports: Ports, caller: Caller, question: AccountRef) -> Nothing:
    """Have a person be no operator any more, at once.

    Raises:
        NotFound: it is none.
        Conflict: it is the last one, and whoever asks is not the operator of the machine.
    """
    async with ports.outbox.unit() as unit:
        await store.hold_members(unit.tx, EVERYWHERE)
        operators = await store.list_members(unit.tx, EVERYWHERE)
        if question.account not in {row.account for row in operators}:
            raise NotFound("there is no such operator")
        if len(operators) == 1 and caller.kind != "operator":
            raise Conflict("an installation has an operator: make somebody else one first")
        await store.remove_member(unit.tx, EVERYWHERE, question.account)
        _say_changed(unit, question.account, now())
    return Nothing()


def _say_changed(unit: Unit, account: UUID, at: int) -> None:
    unit.emit(OperatorChanged(account=account, at=at), workspace=EVERYWHERE, key=f"{account}|{at}")


def _show(row: store.MemberRow) -> OperatorView:
    return OperatorView(account=row.account, email=row.email, name=row.name, since=row.since)
