import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from services.collector.resolve.answer import Record, Status
from services.collector.resolve.names import BadMessage
from services.collector.resolve.stream import read_message, write_message
from services.collector.resolve.wire import FAILURES, build_query, build_question, read_transfer
from services.kernel.egress import Egress, Guard, TimedOut, TooMuch

NOTAUTH: Final = 9
LEAST_CHARGED: Final = 512  # bytes that a message counts as, since a small one takes as much memory as that


class Part(Struct, frozen=True):
    """One message of a zone transfer: its records, and the message as it came."""

    records: tuple[Record, ...]
    wire: bytes


class TransferFailed(Exception):
    """The server would not, or could not, give the zone; ``status`` is how it said so."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def transfer(
    egress: Egress,
    server: tuple[str, int],
    zone: str,
    allow: Guard | None,
    limit: float,
    max_bytes: int,
) -> AsyncIterator[Part]:
    """See `Resolver.transfer`. A zone begins with its SOA record and ends with the same again."""
    deadline = asyncio.get_running_loop().time() + limit
    try:
        question = build_question(zone, "AXFR")
    except BadMessage as error:
        raise TransferFailed("broken", str(error)) from error
    reader, writer = await egress.open(*server, timeout=limit, allow=allow)
    try:
        key = secrets.randbits(16)
        write_message(writer, build_query(key, question, recursion=False, edns=False))
        received = boundaries = 0
        while boundaries < 2:
            async with asyncio.timeout_at(deadline):
                wire = await read_message(reader)
            received += max(len(wire), LEAST_CHARGED)
            if received > max_bytes:
                raise TooMuch(f"the zone {zone} is larger than {max_bytes} bytes")
            rcode, records = read_transfer(wire, key, zone)
            if rcode:
                refused = rcode == NOTAUTH or FAILURES.get(rcode) == "refused"
                raise TransferFailed("refused" if refused else FAILURES.get(rcode, "broken"), f"rcode {rcode}")
            if not boundaries and (not records or records[0].type != "SOA" or records[0].owner != zone):
                raise TransferFailed("refused" if not records else "broken", "no zone begins here")
            if not records:
                raise TransferFailed("broken", "a message without records")
            boundaries += sum(record.type == "SOA" and record.owner == zone for record in records)
            yield Part(tuple(records), wire)
    except TimeoutError as error:
        raise TimedOut(f"the transfer of {zone} took too long") from error
    except (OSError, BadMessage) as error:
        raise TransferFailed("broken", str(error)) from error
    finally:
        writer.close()
