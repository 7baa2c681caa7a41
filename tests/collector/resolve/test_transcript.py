import contextlib

import dns.message
import dns.rrset
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.resolve import Answer, BadMessage
from services.collector.resolve.transcript import decode, encode
from services.collector.resolve.wire import build_question, read_answer, read_transfer
from tests.examples import examples

AT = 1_790_000_000_000_000


def response(name: str, kind: str, *records: tuple[str, str], rcode: int = 0) -> Answer:
    message = dns.message.make_response(dns.message.make_query(name + ".", kind))
    message.set_rcode(rcode)
    for each, data in records:
        message.answer.append(dns.rrset.from_text(name + ".", 300, "IN", each, data))
    if not records:
        soa = "ns.example. root.example. 1 3600 600 86400 60"
        message.authority.append(dns.rrset.from_text("example.", 300, "IN", "SOA", soa))
    question = build_question(name, kind)
    return read_answer(message.to_wire(), question, name, kind, "192.0.2.53:53", AT + len(name), 1234)


CHUNK = [
    response("www.example", "A", ("A", "198.18.0.1")),
    response("example", "TXT", ("TXT", '"v=spf1 -all" "\\200"')),
    response("absent.example", "A", rcode=3),
    response("empty.example", "AAAA"),
    response("dangling.example", "A", ("CNAME", "gone.example.net."), rcode=3),
    response("refused.example", "A", rcode=5),
    Answer("silent.example", "A", "timeout", server="[2001:db8::53]:53", at=AT, elapsed=8_000_000),
    Answer("ä.example", "A", "broken"),
]


def compact(answer: Answer) -> Answer:
    return answer if answer.records else msgspec.structs.replace(answer, wire=b"")


def test_a_transcript_gives_the_answers_back() -> None:
    assert decode(encode(CHUNK)) == [compact(answer) for answer in CHUNK]


def test_the_same_answers_make_the_same_transcript() -> None:
    transcript = encode(CHUNK)
    assert encode(CHUNK) == transcript
    assert encode(decode(transcript)) == transcript


def test_what_was_found_is_kept_as_it_came() -> None:
    transcript = encode(CHUNK)
    for answer in CHUNK:
        assert (answer.wire in transcript) == bool(answer.records) or not answer.wire


def test_negative_answers_are_compact() -> None:
    absent = [response(f"absent{number}.example", "A", rcode=3) for number in range(200)]
    assert len(encode(absent)) < 50 * len(absent)


def test_a_zone_transfer_is_kept_message_by_message() -> None:
    query = dns.message.make_query("example.", "AXFR")
    first, later = dns.message.make_response(query), dns.message.make_response(query)
    later.question.clear()
    soa = "ns.example. root.example. 1 3600 600 86400 60"
    first.answer.append(dns.rrset.from_text("example.", 300, "IN", "SOA", soa))
    later.answer.append(dns.rrset.from_text("www.example.", 300, "IN", "A", "198.18.0.1"))
    answers = []
    for message in (first, later):
        wire = message.to_wire()
        _, records = read_transfer(wire, query.id, "example")
        answers.append(Answer("example", "AXFR", "found", 0, tuple(records), wire=wire, server="192.0.2.53", at=AT))
    assert answers[1].records[0].owner == "www.example"
    assert decode(encode(answers)) == answers


def test_an_empty_chunk_is_a_transcript() -> None:
    assert decode(encode([])) == []


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xc0",
        msgspec.msgpack.encode(("mirage-dns", 2, 0, [], [])),
        msgspec.msgpack.encode(("other", 1, 0, [], [])),
        msgspec.msgpack.encode(("mirage-dns", 1, 0, [], [("a", "A", 0, 0, 0, b"")])),
        msgspec.msgpack.encode(("mirage-dns", 1, 0, ["s"], [("a", "A", 0, 0, 0, b"x")])),
        msgspec.msgpack.encode(("mirage-dns", 1, 0, ["s"], [("a", "A", 0, 0, 0, b"", 99)])),
        msgspec.msgpack.encode(("mirage-dns", 1, 0, ["s"], [("a", "A", 0, 0, -1, b"", 0)])),
        msgspec.msgpack.encode(("mirage-dns", 1, 0, ["s"], [("a", "NOTYPE", 0, 0, 0, b"x")])),
    ],
)
def test_what_is_no_transcript_is_refused(damage: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(damage)


@examples(150, database=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_only_parse_errors(noise: bytes) -> None:
    with contextlib.suppress(BadMessage):
        decode(noise)


@examples(150, database=None)
@given(st.data())
def test_a_damaged_transcript_raises_only_parse_errors(data) -> None:
    transcript = bytearray(encode(CHUNK))
    for _ in range(data.draw(st.integers(1, 3))):
        transcript[data.draw(st.integers(0, len(transcript) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadMessage):
        decode(bytes(transcript))
