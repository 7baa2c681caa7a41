"""Ways to log in beside a password come and go: passkeys, and who somebody is at OpenID providers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from services.auth.store import accounts as account_store
from services.auth.store.ways import Way, count_ways, remove_way
from services.auth.usecases.proofs import proven
from services.contracts.resources import Proof
from services.kernel.calls import Caller
from services.kernel.errors import Conflict, NotFound
from services.kernel.service import Ports
from services.kernel.sql import Reader, Tx

#: Of one kind, of one account, and what each is called.
MOST: Final = 20
NAMES: Final[dict[Way, str]] = {"passkey": "passkeys", "identity": "logins at providers"}


@asynccontextmanager
async def one_more(ports: Ports, account: UUID, way: Way) -> AsyncIterator[Tx]:
    """A transaction in which an account gets one more, while nobody else changes how it is logged in to.

    Raises:
        Conflict: it has as many as one may have.
    """
    async with ports.outbox.unit() as unit:
        await account_store.hold_account(unit.tx, account)
        await see_room(unit.tx, account, way)
        yield unit.tx


async def see_room(view: Reader, account: UUID, way: Way) -> None:
    """See that an account may have one more.

    Raises:
        Conflict: it has as many as one may have.
    """
    if await count_ways(view, account, way) >= MOST:
        raise Conflict(f"you have {MOST} {NAMES[way]}: remove one first")


async def take_away(ports: Ports, caller: Caller, proof: Proof, way: Way, id: UUID) -> None:
    """Have one let its person in no more, who has shown that it is he.

    Raises:
        Denied: he has not.
        NotFound: he has no such one.
        Conflict: he could not log in any more.
    """
    async with proven(ports, caller, proof) as (unit, account):
        left = sum([await count_ways(unit.tx, account.account, each) for each in NAMES])
        if not account.password and left < 2:
            raise Conflict("this is your only way to log in: add another one first")
        if not await remove_way(unit.tx, account.account, way, id):
            raise NotFound(f"you have no such {way}")
