"""DNS messages over TCP (RFC 7766), as far as a client needs them."""

import secrets
from asyncio import StreamReader, StreamWriter
from time import monotonic, time_ns

from services.collector.resolve.answer import Answer
from services.collector.resolve.names import BadMessage
from services.collector.resolve.wire import Mismatch, build_query, read_answer
from services.kernel.egress import Egress, Guard


def write_message(writer: StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2, "big") + message)


async def read_message(reader: StreamReader) -> bytes:
    """The next message; raises `BadMessage` when the stream ends before it does, OSError when it breaks."""
    try:
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    except EOFError as error:  # which IncompleteReadError is
        raise BadMessage("the connection ended before the message did") from error


async def ask_over_tcp(
    egress: Egress,
    server: tuple[str, int],
    question: bytes,
    name: str,
    type: str,
    *,
    label: str,
    recursion: bool,
    connect_timeout: float,
    allow: Guard | None = None,
    exempt: bool = False,
) -> Answer:
    """Ask on a connection of its own; the caller limits the time.

    Raises:
        EgressError, OSError: no connection, or one that broke.
        BadMessage: what came is not an answer.
    """
    begun = monotonic()
    reader, writer = await egress.open(*server, timeout=connect_timeout, allow=allow, exempt=exempt)
    try:
        key = secrets.randbits(16)
        write_message(writer, build_query(key, question, recursion=recursion))
        wire = await read_message(reader)
    finally:
        writer.close()
    if wire[:2] != key.to_bytes(2, "big"):
        raise Mismatch("the response to another query")
    elapsed = int((monotonic() - begun) * 1_000_000)
    answer = read_answer(wire, question, name, type, label, time_ns() // 1000, elapsed)
    if answer is None:
        raise BadMessage("truncated even over TCP")
    return answer
