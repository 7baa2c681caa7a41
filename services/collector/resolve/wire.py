"""DNS messages (RFC 1035, EDNS by RFC 6891): queries built, answers read and matched to their question."""

from socket import inet_ntoa
from struct import Struct
from struct import error as StructError  # noqa: N812  it is an exception with a lower-case name
from typing import Final

from services.collector.resolve.answer import Answer, Record, Status
from services.collector.resolve.names import BadMessage, read_name, to_wire
from services.collector.resolve.rdata import read_data, type_code, type_name

HEADER: Final = Struct("!6H").unpack_from
RECORD: Final = Struct("!HHIH").unpack_from
NUMBER: Final = Struct("!I").unpack_from

RESPONSE, OPCODE, TRUNCATED, RCODE = 0x8000, 0x7800, 0x0200, 0x000F
NO_ERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
IN: Final = 1
A, SOA, ANY = 1, 6, 255
#: Records of an answer about addresses that are read; no host has so many, and a response has room for 4,000.
MOST_ADDRESSES: Final = 256

HEADS: Final = {
    (recursion, edns): bytes([recursion, 0, 0, 1, 0, 0, 0, 0, 0, edns])
    for recursion in (False, True)
    for edns in (False, True)
}
TAILS: Final = {False: b"", True: b"\0\0\x29\x04\xd0\0\0\0\0\0\0"}  # EDNS version 0, 1232 bytes

FAILURES: Final[dict[int, Status]] = {SERVFAIL: "servfail", REFUSED: "refused"}


class Mismatch(BadMessage):
    """A message that is not the response to our question: late, stray or forged."""


def build_question(name: str, type: str) -> bytes:
    """The question section for a normalised name; raises `BadMessage` when there is no such question."""
    return to_wire(name) + type_code(type).to_bytes(2, "big") + b"\0\1"


def build_query(key: int, question: bytes, *, recursion: bool = True, edns: bool = True) -> bytes:
    return key.to_bytes(2, "big") + HEADS[recursion, edns] + question + TAILS[edns]


def read_answer(
    wire: bytes, question: bytes, name: str, type: str, server: str, at: int, elapsed: int
) -> Answer | None:
    """The response to ``question``, which is that for ``name`` and ``type``; None when it is truncated.

    The id is matched by the caller. Records that are not on the way from ``name`` along its CNAMEs are left out.

    Raises:
        Mismatch: it is not the response to this question.
        BadMessage: it is, and breaks the protocol.
    """
    if len(wire) < 12:
        raise Mismatch("too short for a response")
    try:
        _, flags, questions, answers, authorities, _ = HEADER(wire)
        cursor = 12 + len(question)
        rcode = flags & RCODE
        if flags & (RESPONSE | OPCODE) != RESPONSE:
            raise Mismatch("not the response to a query")
        if questions != 1 or wire[12:cursor] != question:
            compare(wire[12:cursor], question, questions, rcode)
        if flags & TRUNCATED:
            return None
        if rcode not in {NO_ERROR, NXDOMAIN}:
            return Answer(name, type, FAILURES.get(rcode, "broken"), rcode, (), None, wire, server, at, elapsed)
        if answers > MOST_ADDRESSES and type in {"A", "AAAA"}:
            answers, authorities = MOST_ADDRESSES, 0  # what follows is not looked for behind the rest
        records, cursor, direct = read_section(wire, cursor, answers, name)
        if not direct:
            records = along_chain(records, name)
        if records and rcode == NO_ERROR and (records[-1].type == type or has(records, type)):
            return Answer(name, type, "found", 0, tuple(records), None, wire, server, at, elapsed)
        ttl = read_negative_ttl(wire, cursor, authorities)
    except (StructError, IndexError) as error:
        raise BadMessage(f"a message that ends too early: {error}") from error
    status: Status = "nxdomain" if rcode == NXDOMAIN else "nodata"
    return Answer(name, type, status, rcode, tuple(records), ttl, wire, server, at, elapsed)


def compare(echoed: bytes, question: bytes, questions: int, rcode: int) -> None:
    """Raise `Mismatch` unless the question came back in other letters, or not at all because it was not read."""
    in_other_letters = echoed[:-4].lower() == question[:-4] and echoed[-4:] == question[-4:]
    if not (questions == 1 and in_other_letters) and not (questions == 0 and rcode in {FORMERR, NOTIMP}):
        raise Mismatch("the response to another question")


def has(records: list[Record], type: str) -> bool:
    return type == "ANY" or any(record.type == type for record in records)


def read_section(wire: bytes, cursor: int, count: int, name: str) -> tuple[list[Record], int, bool]:
    """``count`` records from ``cursor`` on, where they end, and whether all are owned by ``name``, as at offset 12."""
    records = []
    direct = True
    for _ in range(count):
        if wire[cursor] == 0xC0 and wire[cursor + 1] == 12:
            owner = name
            cursor += 2
        else:
            owner, cursor = read_name(wire, cursor)
            direct = direct and owner == name
        kind, network, ttl, size = RECORD(wire, cursor)
        start = cursor + 10
        cursor = start + size
        if cursor > len(wire):
            raise BadMessage("a record that runs out of its message")
        if network != IN:
            continue
        if ttl >= 1 << 31:
            ttl = 0  # RFC 2181, section 8
        if kind == A and size == 4:
            records.append(Record(owner, "A", ttl, inet_ntoa(wire[start:cursor])))
        else:
            records.append(Record(owner, type_name(kind), ttl, read_data(kind, wire, start, cursor)))
    return records, cursor, direct


def along_chain(records: list[Record], name: str) -> list[Record]:
    """Those records whose owner is ``name`` or what its CNAMEs lead to, and the DNAMEs that stand behind those."""
    targets = {record.owner: record.data for record in records if record.type == "CNAME"}
    owners = {name}
    while (target := targets.get(name)) and target not in owners:
        owners.add(target)
        name = target
    return [
        record
        for record in records
        if record.owner in owners
        or (record.type == "DNAME" and any(owner.endswith("." + record.owner) for owner in owners))
    ]


def read_negative_ttl(wire: bytes, cursor: int, count: int) -> int | None:
    """How long a negative answer holds, in seconds, by the SOA in the authority section (RFC 2308, section 5)."""
    for _ in range(count):
        length = wire[cursor]
        while 0 < length < 0xC0:
            cursor += 1 + length
            length = wire[cursor]
        cursor += 2 if length else 1
        kind, _, ttl, size = RECORD(wire, cursor)
        cursor += 10 + size
        if kind == SOA and size >= 22:
            (minimum,) = NUMBER(wire, cursor - 4)
            return min(int(ttl), int(minimum))
    return None


def read_transfer(wire: bytes, key: int, zone: str) -> tuple[int, list[Record]]:
    """The rcode and the records of one message of a zone transfer, which may leave the question out (RFC 5936 2.2).

    Raises:
        BadMessage: it is no such message.
    """
    try:
        answered, flags, questions, answers, _, _ = HEADER(wire)
        if answered != key or not flags & RESPONSE or flags & OPCODE or questions > 1:
            raise Mismatch("not a response to our transfer")
        cursor = 12
        if questions:
            asked, cursor = read_name(wire, cursor)
            if asked != zone:
                raise Mismatch("the transfer of another zone")
            cursor += 4
        records, _, _ = read_section(wire, cursor, answers, zone)
    except (StructError, IndexError) as error:
        raise BadMessage(f"a message that ends too early: {error}") from error
    return flags & RCODE, records
