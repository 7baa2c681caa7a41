"""Writes of who works on a scan, as long as he holds it: who lost it, or whose scan was deleted, writes no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.correlation.store import pending
from services.correlation.store.pending import ScanState
from services.kernel.errors import NotFound
from services.kernel.messages import now
from services.kernel.service import Ports, Unit
from services.kernel.sql import Tx

#: Microseconds for which a scan is held by who works on it, unless he says that he still does.
HOLD: Final = 60_000_000


@asynccontextmanager
async def writing(ports: Ports, state: ScanState) -> AsyncIterator[Tx]:
    """A transaction of a step; it waits for who deletes the scan, or he for it.

    Raises:
        NotFound: the scan was deleted, or somebody else works on it by now.
    """
    async with ports.sql.begin() as tx:
        await _check(tx, state)
        yield tx


@asynccontextmanager
async def saying(ports: Ports, state: ScanState) -> AsyncIterator[Unit]:
    """The same, with what is said to others."""
    async with ports.outbox.unit() as unit:
        await _check(unit.tx, state)
        yield unit


async def _check(tx: Tx, state: ScanState) -> None:
    if not await pending.hold_on(tx, state, now() + HOLD):
        raise NotFound("the scan was deleted, or is somebody else's by now")
