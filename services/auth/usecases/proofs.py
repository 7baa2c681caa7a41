"""That it is still the person who logged in, before the ways in which he logs in become others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct

from services.auth.domain.times import SECOND
from services.auth.store import accounts as account_store
from services.auth.store import sessions as session_store
from services.auth.usecases.codes import needs_code, use_code
from services.auth.usecases.passwords import passwords_of
from services.auth.usecases.throttle import slow_down_proofs
from services.contracts.resources import Proof
from services.kernel.calls import Caller
from services.kernel.errors import Denied, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports, Unit

#: Seconds for which a session is new.
NEW: Final = 600


class Shown(Struct, frozen=True):
    """An account whose person has shown what comes before a code; ``coded``: one has to follow."""

    account: account_store.Account
    coded: bool


@asynccontextmanager
async def proven(ports: Ports, caller: Caller, proof: Proof) -> AsyncIterator[tuple[Unit, account_store.Account]]:
    """A unit of work for who has shown that it is he, and his account, which nobody else changes meanwhile.

    Where his logins need a code, so does this, and one that he used is used up if the unit commits.

    Raises:
        Denied: he has not.
        Limited: there were too many tries.
    """
    shown = await see_first_factor(ports, caller, proof)
    async with see_code(ports, shown, proof) as unit:
        yield unit, shown.account


async def see_first_factor(ports: Ports, caller: Caller, proof: Proof, *, always: bool = False) -> Shown:
    """See what is to be seen of somebody before his code, which is enough where that is needed, unless ``always``.

    Raises:
        Denied: he has not shown that it is he.
        Limited: there were too many tries.
    """
    await slow_down_proofs(ports, caller.address, caller.person)
    async with ports.sql.read() as view:
        account = await account_store.read_account(view, caller.person)
    if account is None:
        raise NotFound("there is no such account")
    coded = await needs_code(ports, account.account)
    if always or not coded:
        await _see_password(ports, caller, account, proof)
    return Shown(account, coded)


@asynccontextmanager
async def see_code(ports: Ports, shown: Shown, proof: Proof) -> AsyncIterator[Unit]:
    """A unit of work for who has the code as well, if one has to follow; nobody else changes his account meanwhile.

    Raises:
        Denied: he has not.
    """
    account = shown.account
    async with ports.outbox.unit() as unit:
        await account_store.hold_account(unit.tx, account.account)
        if await account_store.read_account(unit.tx, account.account) != account:
            raise Denied("the password was changed at this moment")
        if shown.coded and not proof.code:
            raise Denied("this needs a code of your authenticator, or a recovery code")
        if shown.coded and not await use_code(ports, unit.tx, account.account, proof.code):
            raise Denied("the code is wrong, or was used before")
        yield unit


async def _see_password(ports: Ports, caller: Caller, account: account_store.Account, proof: Proof) -> None:
    """See that somebody has his password, or, where he has none, began his session now.

    Raises:
        Denied: he has not.
    """
    if account.password and not proof.password:
        raise Denied("this needs your password")
    if account.password or proof.password:
        if not await passwords_of(ports).verify(account.password, proof.password):
            raise Denied("the password is another one")
        return
    async with ports.sql.read() as view:
        session = await session_store.read_session(view, caller.session) if caller.session is not None else None
    if session is None or now() - session.created > NEW * SECOND:
        raise Denied("this needs a new session: log in again, and then at once")
