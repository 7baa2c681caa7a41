"""What is good no more, and that every gateway learns of it within a second.

A revocation has a number; whatever lets somebody in says how many were known when it was given, so that what was given
before is told from what was given after, whatever clocks say. Gateways read the list; a heartbeat on the bus says
which number is the last, once a second and at once after each new one.
"""

import asyncio
from contextlib import suppress
from typing import Final
from uuid import uuid4

import structlog

from services.auth.domain.times import SECOND
from services.auth.store import revocations as revocation_store
from services.contracts.access import ACCESS_SECONDS
from services.contracts.progress import Heartbeat
from services.contracts.resources import Revocation, Revocations, RevocationsQuery
from services.kernel.calls import Caller
from services.kernel.errors import MirageError
from services.kernel.messages import EVERYWHERE, envelop, now
from services.kernel.service import Ports
from services.kernel.sql import Tx

#: Seconds between two heartbeats, and for which a revocation matters: all that it is about is over then.
BEAT: Final = 1.0
MATTERS: Final = ACCESS_SECONDS + 60

_log = structlog.get_logger(__name__)


async def revoke(tx: Tx, *subjects: str) -> None:
    """Have all be good no more that was given about these until now."""
    await tx.lock("revocations")  # a number that is seen has none below it that comes later
    at = now()
    for subject in subjects:
        number = max(await revocation_store.last_revocation(tx) + 1, at)
        await revocation_store.add_revocation(tx, number, subject, at + MATTERS * SECOND)


async def list_revocations(ports: Ports, caller: Caller, question: RevocationsQuery) -> Revocations:
    async with ports.sql.read() as view:
        last = await revocation_store.last_revocation(view)
        found = await revocation_store.read_revocations(view, question.after, now())
    _heeded(ports).set()
    return Revocations(last, tuple(Revocation(number, subject) for number, subject in found))


async def beat(ports: Ports) -> None:
    """Say which revocation is the last, as long as anybody heeds it: in a fleet always."""
    if not ports.settings.bus:
        await _heeded(ports).wait()
    while True:
        try:
            async with ports.sql.read() as view:
                last = await revocation_store.last_revocation(view)
            said = envelop(Heartbeat(last=last, at=now()), source="auth", workspace=EVERYWHERE, id=uuid4())
            await ports.bus.publish([said])
        except MirageError as error:
            _log.warning("no heartbeat", reason=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await _revoked(ports).wait()
        _revoked(ports).clear()


def tell(ports: Ports) -> None:
    """Have the next heartbeat come at once: a revocation was committed."""
    _revoked(ports).set()


def _heeded(ports: Ports) -> asyncio.Event:
    return ports.event("revocations heeded")


def _revoked(ports: Ports) -> asyncio.Event:
    return ports.event("revoked")
