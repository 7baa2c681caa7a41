"""The outbox: what a unit of work says leaves soon after it commits, and never where it does not.

What a handler emits is written in its transaction, so nothing is said that did not happen and nothing that happened
stays unsaid. With the inbox (`services.kernel.inbox`): at least once on the wire, exactly once in effect.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from secrets import randbelow
from typing import Final
from uuid import UUID

import structlog

from services.kernel.bus import Bus
from services.kernel.errors import Unavailable
from services.kernel.messages import Because, Envelope, bundle, envelop, message_id, message_type, now
from services.kernel.request import current_trace
from services.kernel.service import Unit
from services.kernel.sql import Row, Sql, Tx
from services.kernel.trail import put_entry, take_entry_back

#: Seconds until a bus is tried again that is away.
BUS_AWAY: Final = 1.0
RELAY_BATCH: Final = 64
#: Seconds for which more may come after a batch: under load batches get larger, and the first message never waits.
RELAY_GATHERS: Final = 0.03
#: Seconds after which the outbox is looked into, whoever has written to it.
RELAY_LOOKS: Final = 5.0

_log = structlog.get_logger(__name__)

_OUTBOX: Final = ("position", "id", "type", "workspace", "filter", "time", "data", "cause", "traceparent")


class Outbox:
    """Writes what units emit, and relays it to the bus as soon as something was committed.

    The first unit of a question that commits carries the entry of it for the audit trail (`services.kernel.trail`).

    What one instance writes it relays in order; several relay beside each other, and nobody may depend on their order.
    """

    def __init__(self, sql: Sql, bus: Bus, service: str) -> None:
        self._sql = sql
        self._bus = bus
        self._service = service
        self._wake = asyncio.Event()
        self._wake.set()
        self._relaying = asyncio.Lock()
        self._positions: Iterator[int] | None = None

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Open a unit of work; its messages go out soon after it commits."""
        stored, unit = False, None
        try:
            async with self._sql.begin() as tx:
                unit = Unit(tx, self._service)
                unit.because(Because(None, current_trace()))
                yield unit
                put_entry(unit)
                await self.store(unit)
                stored = bool(unit.emitted or unit.bundles)
        except Exception:
            take_entry_back(unit)
            raise
        finally:
            # Also where the end of it was not seen: what was cancelled in its commit may have been committed.
            if stored:
                self._wake.set()
        for call in unit.afterwards:
            call()

    async def store(self, unit: Unit) -> None:
        """Write the messages of ``unit`` to the outbox, within its transaction."""
        if not unit.emitted and not unit.bundles:
            return
        positions = self._positions or await self._continue(unit.tx)
        rows = [
            (
                next(positions),
                envelope.id.bytes,
                envelope.type,
                envelope.workspace.bytes,
                envelope.filter,
                envelope.time,
                envelope.data,
                envelope.cause and envelope.cause.bytes,
                envelope.traceparent,
            )
            for envelope in self._envelopes(unit)
        ]
        while rows:
            written = await unit.tx.insert_new("outbox", _OUTBOX, ("position",), rows)
            taken = {row[0] for row in rows} - {row[0] for row in written}
            # By another process of the service, whose clock is ahead: count on above all that waits.
            rows = sorted(row for row in rows if row[0] in taken)
            if rows:
                self._positions = None
                positions = await self._continue(unit.tx)
                rows = [(next(positions), *row[1:]) for row in rows]

    async def _continue(self, tx: Tx) -> Iterator[int]:
        """Count on from the clock, and above all that waits: the clock may have been put back since it was written."""
        row = await tx.fetch_one("SELECT MAX(position) FROM outbox")
        last = row[0] if row else None
        if self._positions is None:  # or another unit was here meanwhile
            self._positions = count(max(now() << 8, (last or 0) + 1 + randbelow(1 << 20)))
        return self._positions

    def _envelopes(self, unit: Unit) -> Iterator[Envelope]:
        at = now()
        for message, workspace, key, token, because in unit.emitted:
            identity = message_id(message_type(type(message)), workspace, key)
            yield envelop(
                message, source=self._service, workspace=workspace, id=identity, filter=token, because=because, at=at
            )
        for messages, workspace, because in unit.bundles:
            yield from bundle(messages, source=self._service, workspace=workspace, because=because, at=at)

    def wake(self) -> None:
        """Say that a unit was committed whose messages wait in the outbox."""
        self._wake.set()

    async def relay(self) -> None:
        """Publish what waits, then wait for more; runs as long as the service does."""
        self._wake.set()
        while True:
            await self._wait_for_more()
            try:
                while True:
                    async with self._relaying:
                        if not await self._relay_some():
                            break
                await asyncio.sleep(RELAY_GATHERS)
            except Unavailable as error:
                _log.warning("outbox waits", service=self._service, reason=str(error))
                self._wake.set()
                await asyncio.sleep(BUS_AWAY)

    async def _wait_for_more(self) -> None:
        """Wait until this instance has committed something; or to see what another did not live to send, or to say."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RELAY_LOOKS):
                await self._wake.wait()
        self._wake.clear()

    async def flush(self, seconds: float) -> None:
        """Wait until all has left that waits now, so many seconds at most: another instance sends the rest."""
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(seconds):
                last = await self._last()
                while await self._waits(last):
                    self._wake.set()
                    await asyncio.sleep(RELAY_GATHERS)

    async def _last(self) -> int:
        async with self._sql.read() as view:
            row = await view.fetch_one("SELECT MAX(position) FROM outbox")
        return row[0] if row and row[0] is not None else -1

    async def _waits(self, last: int) -> bool:
        async with self._sql.read() as view:
            row = await view.fetch_one("SELECT position FROM outbox WHERE position <= :last LIMIT 1", last=last)
        return row is not None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While this is open nothing leaves; what is on its way has arrived before."""
        async with self._relaying:
            yield

    async def _relay_some(self) -> bool:
        """Publish the first that waits; say whether more may."""
        if self._sql.sole_writer:
            return await self._relay_alone()
        # Other instances take others meanwhile; what is not published in the end is there again.
        async with self._sql.begin() as tx:
            rows = await tx.take_rows("outbox", ("position",), _OUTBOX, RELAY_BATCH)
            await self._publish(sorted(rows))
        return len(rows) == RELAY_BATCH

    async def _relay_alone(self) -> bool:
        """As above, where a transaction that waits for the bus would make all others wait."""
        async with self._sql.read() as view:
            rows = await view.fetch(
                f"SELECT {', '.join(_OUTBOX)} FROM outbox ORDER BY position LIMIT :limit",  # noqa: S608  columns only
                limit=RELAY_BATCH,
            )
        if rows:
            await self._publish(rows)
            async with self._sql.begin() as tx:
                await tx.execute_in("DELETE FROM outbox WHERE position IN :keys", [row[0] for row in rows])
        return len(rows) == RELAY_BATCH

    async def _publish(self, rows: Sequence[Row]) -> None:
        envelopes = [
            Envelope(
                id=UUID(bytes=identity),
                type=kind,
                source=self._service,
                workspace=UUID(bytes=workspace),
                time=at,
                data=data,
                filter=token,
                cause=UUID(bytes=cause) if cause else None,
                traceparent=traceparent,
            )
            for _, identity, kind, workspace, token, at, data, cause, traceparent in rows
        ]
        if envelopes:
            await self._bus.publish(envelopes)
