"""What auth hears, and what it does beside answering."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.auth.domain.times import DAY
from services.auth.store import accounts as account_store
from services.auth.store import revocations as revocation_store
from services.auth.store import sessions as session_store
from services.auth.usecases.revocations import beat, revoke, tell
from services.contracts.access import of_account, of_member
from services.contracts.facts import OperatorChanged, RoleChanged
from services.kernel.messages import now
from services.kernel.service import Handles, Ports, Received, Unit

#: Seconds between two looks for what is over.
TIDIED: Final = 3600.0


async def role_changed(ports: Ports, unit: Unit, batch: Sequence[Received[RoleChanged]]) -> None:
    """Have what lets somebody in by a former role be good no more."""
    for each in batch:
        if not each.message.member:  # or they would let in again who is invited again
            await session_store.end_tokens_in(unit.tx, each.workspace, each.message.account, each.message.at)
    subjects = {of_member(each.message.account, each.workspace) for each in batch}
    await revoke(unit.tx, *sorted(subjects))
    unit.then(lambda: tell(ports))


async def operator_changed(ports: Ports, unit: Unit, batch: Sequence[Received[OperatorChanged]]) -> None:
    """Have whatever lets somebody in be good no more, in any workspace: it says whether he is an operator."""
    subjects = {of_account(each.message.account) for each in batch}
    await revoke(unit.tx, *sorted(subjects))
    unit.then(lambda: tell(ports))


async def tidy(ports: Ports) -> None:
    """Forget what is over: sessions a month after their end, codes, revocations that matter no more."""
    while True:
        async with ports.sql.begin() as tx:
            await session_store.forget_sessions(tx, now() - 30 * DAY)
            await account_store.forget_resets(tx, now())
            await revocation_store.forget_revocations(tx, now())
        await asyncio.sleep(TIDIED)


CONSUMERS: Final = (
    Handles(name="role_changed", takes=RoleChanged, handle=role_changed, batch=50),
    Handles(name="operator_changed", takes=OperatorChanged, handle=operator_changed, batch=50, everywhere="only"),
)
TASKS: Final = (beat, tidy)
