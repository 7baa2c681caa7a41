"""What was asked and answered, as evidence: MessagePack of ["mirage-dns", 1, first time, servers, rows].

A row is [name, type, microseconds since the first time, elapsed, index of the server, response]; where nothing was
found the response is empty and [status, rcode, negative ttl] follow. Responses with any record are kept as they came,
and so are the messages of a zone transfer: type AXFR, found, a row each.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from services.collector.resolve.answer import Answer, Status
from services.collector.resolve.names import BadMessage
from services.collector.resolve.wire import build_question, read_answer, read_transfer

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
CODE_OF: Final = {status: code for code, status in enumerate(STATUSES)}


Index = Annotated[int, Meta(ge=0)]


class Row(Struct, frozen=True, array_like=True):
    name: str
    type: str
    after: int
    elapsed: int
    server: Index
    wire: bytes
    status: Index = 0
    rcode: int = -1
    negative_ttl: int | None = None


class Transcript(Struct, frozen=True, array_like=True):
    format: Literal["mirage-dns"]
    version: Literal[1]
    since: int
    servers: list[str]
    rows: list[Row]


DECODER: Final = msgspec.msgpack.Decoder(Transcript)


def encode(answers: Sequence[Answer]) -> bytes:
    """A chunk of answers, in their order."""
    since = answers[0].at if answers else 0
    servers: dict[str, int] = {}
    rows = [
        (answer.name, answer.type, answer.at - since, answer.elapsed, index, answer.wire)
        if answer.records
        else (
            answer.name,
            answer.type,
            answer.at - since,
            answer.elapsed,
            index,
            b"",
            CODE_OF[answer.status],
            answer.rcode,
            answer.negative_ttl,
        )
        for answer in answers
        for index in (servers.setdefault(answer.server, len(servers)),)
    ]
    return msgspec.msgpack.encode(("mirage-dns", 1, since, list(servers), rows))


def decode(transcript: bytes) -> list[Answer]:
    """The answers again, read anew from the kept responses; those without records lack their ``wire``.

    Raises:
        BadMessage: it is not a transcript, or a response in it is not one.
    """
    try:
        read = DECODER.decode(transcript)
        return [restored(row, read) for row in read.rows]
    except (msgspec.MsgspecError, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not a transcript: {error}") from error


def names(transcript: bytes) -> list[str]:
    """The names that were asked for, without reading what was answered.

    Raises:
        BadMessage: it is not a transcript.
    """
    try:
        return [row.name for row in DECODER.decode(transcript).rows]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not a transcript: {error}") from error


def restored(row: Row, read: Transcript) -> Answer:
    at, server = read.since + row.after, read.servers[row.server]
    if not row.wire:
        status = STATUSES[row.status]
        return Answer(row.name, row.type, status, row.rcode, (), row.negative_ttl, b"", server, at, row.elapsed)
    if row.type == "AXFR":
        rcode, records = read_transfer(row.wire, int.from_bytes(row.wire[:2], "big"), row.name)
        return Answer(row.name, "AXFR", "found", rcode, tuple(records), None, row.wire, server, at, row.elapsed)
    question = build_question(row.name, row.type)
    answer = read_answer(row.wire, question, row.name, row.type, server, at, row.elapsed)
    if answer is None:
        raise BadMessage("a truncated response")
    return answer
