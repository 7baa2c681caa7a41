import contextlib
import string

import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.resolve.names import BadMessage, normalise, read_name, to_wire, unquoted
from services.collector.resolve.rdata import CODES, read_data, type_code, type_name
from services.collector.resolve.wire import (
    MOST_ADDRESSES,
    Mismatch,
    build_query,
    build_question,
    read_answer,
    read_transfer,
)
from tests.examples import examples

RECORDS = {
    "A": ("198.18.0.1", "198.18.0.1"),
    "AAAA": ("2001:db8:0:0::1", "2001:db8::1"),
    "CNAME": ("WWW.Example.NET.", "www.example.net"),
    "DNAME": ("other.example.", "other.example"),
    "NS": ("ns1.example.", "ns1.example"),
    "PTR": (r"we\.ird\032name.example.", r"we\.ird\032name.example"),
    "MX": ("10 Mail.example.", "10 mail.example"),
    "SRV": ("1 2 5060 sip.example.", "1 2 5060 sip.example"),
    "SOA": ("ns.example. Root.example. 2026 3600 600 86400 60", "ns.example root.example 2026 3600 600 86400 60"),
    "TXT": (r'"v=spf1 -all" "a \"b\" \\ \200" ""', r'"v=spf1 -all" "a \"b\" \\ \200" ""'),
    "CAA": ('0 Issue "ca.example; policy=ev"', '0 issue "ca.example; policy=ev"'),
    "NSEC": ("B.example. A MX RRSIG NSEC TYPE1234", "b.example A MX RRSIG NSEC TYPE1234"),
    "DS": ("60485 13 2 " + "ab" * 32, "60485 13 2 " + "ab" * 32),
    "TLSA": ("3 1 1 " + "cd" * 32, "3 1 1 " + "cd" * 32),
    "HTTPS": ('1 . alpn="h2,h3"', '1 . alpn="h2,h3"'),
    "NAPTR": ('1 2 "u" "E2U+sip" "" .', '1 2 "u" "E2U+sip" "" .'),
    "TYPE65280": (r"\# 3 abcdef", r"\# 3 abcdef"),
}


def response(name: str, type: str, *rrsets: tuple[str, str, str], rcode: int = 0, soa: bool = False) -> bytes:
    message = dns.message.make_response(dns.message.make_query(name + ".", type))
    message.set_rcode(rcode)
    for owner, kind, data in rrsets:
        message.answer.append(dns.rrset.from_text(owner + ".", 300, "IN", kind, data))
    if soa:
        message.authority.append(
            dns.rrset.from_text("example.", 300, "IN", "SOA", "ns.example. root.example. 1 3600 600 86400 60")
        )
    return message.to_wire()


def read(wire: bytes, name: str, type: str):
    return read_answer(wire, build_question(name, type), name, type, "192.0.2.53:53", 7, 9)


@pytest.mark.parametrize("type", RECORDS)
def test_data_are_read_in_their_normal_form(type: str) -> None:
    data, normal = RECORDS[type]
    answer = read(response("www.example", type, ("www.example", type, data)), "www.example", type)
    assert answer.status == "found"
    assert answer.values == (normal,)
    assert (answer.records[0].owner, answer.records[0].ttl, answer.rcode) == ("www.example", 300, 0)
    assert (answer.server, answer.at, answer.elapsed) == ("192.0.2.53:53", 7, 9)


@pytest.mark.parametrize("type", RECORDS)
def test_a_record_that_is_cut_off_raises_only_parse_errors(type: str) -> None:
    wire = response("www.example", type, ("www.example", type, RECORDS[type][0]))
    for end in range(len(wire)):
        with pytest.raises(BadMessage):
            read(wire[:end], "www.example", type)


def test_a_query_asks_once_with_edns() -> None:
    message = dns.message.from_wire(build_query(0xBEEF, build_question("www.example", "MX")))
    assert message.id == 0xBEEF
    assert message.question[0].to_text() == "www.example. IN MX"
    assert (message.edns, message.payload) == (0, 1232)
    assert message.flags == dns.flags.RD
    plain = dns.message.from_wire(build_query(1, build_question(".", "NS"), recursion=False, edns=False))
    assert (plain.edns, plain.flags) == (-1, 0)


def test_the_chain_of_aliases_is_followed_and_nothing_beside_it() -> None:
    wire = response(
        "www.example",
        "A",
        ("evil.example", "A", "198.18.6.6"),
        ("cdn.example.net", "A", "198.18.0.1"),
        ("www.example", "CNAME", "Edge.example.net."),
        ("edge.example.net", "CNAME", "cdn.example.net."),
    )
    answer = read(wire, "www.example", "A")
    assert answer.chain == ("edge.example.net", "cdn.example.net")
    assert answer.values == ("198.18.0.1",)


def test_a_loop_of_aliases_ends() -> None:
    wire = response("a.example", "A", ("a.example", "CNAME", "b.example."), ("b.example", "CNAME", "a.example."))
    answer = read(wire, "a.example", "A")
    assert answer.status == "nodata"
    assert answer.chain == ("b.example", "a.example")


def test_a_dname_stays_with_the_alias_made_from_it() -> None:
    wire = response(
        "www.old.example",
        "A",
        ("old.example", "DNAME", "new.example."),
        ("www.old.example", "CNAME", "www.new.example."),
        ("www.new.example", "A", "198.18.0.1"),
    )
    answer = read(wire, "www.old.example", "A")
    assert [record.type for record in answer.records] == ["DNAME", "CNAME", "A"]


def test_a_dangling_alias_is_kept_in_a_negative_answer() -> None:
    wire = response("www.example", "A", ("www.example", "CNAME", "gone.example.net."), rcode=3, soa=True)
    answer = read(wire, "www.example", "A")
    assert (answer.status, answer.chain, answer.negative_ttl) == ("nxdomain", ("gone.example.net",), 60)


@pytest.mark.parametrize(
    ("rcode", "status", "asked"),
    [
        (0, "nodata", True),
        (3, "nxdomain", True),
        (2, "servfail", False),
        (5, "refused", False),
        (1, "broken", False),
        (4, "broken", False),
        (9, "broken", False),
    ],
)
def test_every_rcode_has_its_status(rcode: int, status: str, asked: bool) -> None:
    answer = read(response("www.example", "A", rcode=rcode, soa=rcode in {0, 3}), "www.example", "A")
    assert (answer.status, answer.asked, answer.rcode) == (status, asked, rcode)
    assert answer.negative_ttl == (60 if asked else None)


def test_a_truncated_response_is_none() -> None:
    message = dns.message.make_response(dns.message.make_query("www.example.", "A"))
    message.flags |= dns.flags.TC
    assert read(message.to_wire(), "www.example", "A") is None


def test_the_question_must_be_the_one_asked() -> None:
    for name, kind in (("other.example", "A"), ("www.example", "AAAA"), ("www.example.com", "A")):
        with pytest.raises(Mismatch):
            read(response(name, kind), "www.example", "A")
    query = dns.message.make_query("www.example.", "A").to_wire()
    with pytest.raises(Mismatch):
        read(query, "www.example", "A")
    with pytest.raises(Mismatch):
        read(bytes(12), "www.example", "A")


def test_the_letters_of_the_echo_may_be_others() -> None:
    wire = response("wWw.eXample", "A", ("www.example", "A", "198.18.0.1"))
    assert read(wire, "www.example", "A").values == ("198.18.0.1",)


def test_an_owner_of_another_case_is_the_same_owner() -> None:
    query = dns.message.make_query("www.example.", "A")
    header = dns.message.make_response(query).to_wire()
    record = b"\x03WWW\x07EXAMPLE\0" + bytes.fromhex("00010001 0000012c 0004 c6120001")
    wire = header[:6] + b"\0\1" + header[8:] + record
    assert read(wire, "www.example", "A").values == ("198.18.0.1",)


@pytest.mark.parametrize(
    "tail",
    [
        b"\xc0\x0c",  # to itself
        b"\xc0\x0e\xc0\x0c",  # forwards
        b"\x01a\xc0\x0c",  # a label, then to itself
        b"\xff\xff",  # out of the message
        b"\x40a",  # a label kind that was given up
        b"\x80a",
    ],
)
def test_a_bad_pointer_is_an_error(tail: bytes) -> None:
    with pytest.raises((BadMessage, IndexError)):
        read_name(bytes(12) + tail, 12)


def test_a_chain_of_pointers_is_not_followed_for_long() -> None:
    wire = b"\0" + b"".join((0xC000 | max(at - 2, 0)).to_bytes(2, "big") for at in range(1, 4001, 2))
    with pytest.raises(BadMessage):
        read_name(wire, len(wire) - 2)


@pytest.mark.parametrize(
    "name",
    ["", "..", "a..", "a..b", ".a", "ä.example", "a" * 64 + ".example", ("a" * 60 + ".") * 5 + "example", r"a\999.b"],
)
def test_a_name_that_cannot_be_has_no_wire_form(name: str) -> None:
    for _ in range(2):
        with pytest.raises(BadMessage):
            to_wire(normalise(name))


@pytest.mark.parametrize("type", ["", "AAAAA", "TYPE", "TYPE65536", "TYPE-1", "TYPE١"])
def test_a_type_that_cannot_be_has_no_number(type: str) -> None:
    with pytest.raises(BadMessage):
        type_code(type)


def test_types_have_their_registered_numbers() -> None:
    for name, code in CODES.items():
        assert dns.rdatatype.from_text(name) == code
    assert (type_code("TYPE1234"), type_name(1234), type_name(1)) == (1234, "TYPE1234", "A")


labels = st.binary(min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=8).filter(lambda each: sum(map(len, each)) + len(each) < 255)


@examples(150, database=None)
@given(names)
def test_any_name_survives_the_way_to_text_and_back(labels: list[bytes]) -> None:
    wire = dns.name.Name([*labels, b""]).to_wire()
    text, end = read_name(wire, 0)
    assert end == len(wire)
    assert normalise(text) == text
    assert to_wire(text) == wire.lower()


@examples(150, database=None)
@given(st.text(alphabet=string.ascii_letters + string.digits + "-_.\\ä", max_size=80))
def test_a_name_has_the_wire_form_that_others_give_it(name: str) -> None:
    for _ in range(2):  # the second time from what the first one kept
        try:
            ours = to_wire(normalise(name))
        except BadMessage:
            ours = None
        try:
            theirs = (
                dns.name.from_text(name, origin=dns.name.root).to_wire().lower() if name.isascii() and name else None
            )
        except (dns.exception.DNSException, ValueError):
            theirs = None
        if "\\" not in name:
            assert ours == theirs


@examples(150, database=None)
@given(st.lists(st.binary(max_size=255), max_size=5))
def test_strings_survive_their_quotes(strings: list[bytes]) -> None:
    wire = b"".join(bytes([len(each)]) + each for each in strings)
    assert unquoted(read_data(CODES["TXT"], wire, 0, len(wire))) == tuple(strings)


@examples(150, database=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_only_parse_errors(wire: bytes) -> None:
    with contextlib.suppress(BadMessage):
        read(wire, "www.example", "A")
    with contextlib.suppress(BadMessage):
        read_transfer(wire, 1, "example")


UNUSUAL = {13, 18, 29, 36, 37, 42, 45, 55, 108, 249, 250, 256, 260, 65280}


@examples(150, database=None)
@given(st.sampled_from(sorted({*CODES.values()} | UNUSUAL)), st.binary(max_size=80), st.integers(0, 3))
def test_random_data_of_any_type_raise_only_parse_errors(code: int, data: bytes, count: int) -> None:
    head = response("www.example", "A")
    record = b"\xc0\x0c" + code.to_bytes(2, "big") + b"\0\1\0\0\0\1" + len(data).to_bytes(2, "big") + data
    wire = head[:6] + count.to_bytes(2, "big") + head[8:] + record * count
    with contextlib.suppress(BadMessage):
        read(wire, "www.example", type_name(code))
    with contextlib.suppress(BadMessage):
        read(wire, "www.example", "A")


@examples(150, database=None)
@given(st.data())
def test_a_damaged_response_raises_only_parse_errors(data) -> None:
    kind = data.draw(st.sampled_from(sorted(RECORDS)))
    wire = bytearray(response("www.example", kind, ("www.example", kind, RECORDS[kind][0]), soa=True))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadMessage):
        read(bytes(wire), "www.example", kind)


def test_no_more_addresses_are_read_than_a_host_has() -> None:
    message = dns.message.make_response(dns.message.make_query("h.example.", "A"))
    values = [f"198.18.{number // 256}.{number % 256}" for number in range(4_000)]
    message.answer.append(dns.rrset.from_text("h.example.", 300, "IN", "A", *values))
    wire = message.to_wire()
    answer = read_answer(wire, build_question("h.example", "A"), "h.example", "A", "", 0, 0)
    assert answer is not None
    assert (answer.status, len(answer.records), answer.wire) == ("found", MOST_ADDRESSES, wire)


def test_an_answer_that_has_only_other_records_than_addresses_stays_without_any() -> None:
    message = dns.message.make_response(dns.message.make_query("h.example.", "A"))
    values = [f'"{number}"' for number in range(MOST_ADDRESSES + 1)]
    message.answer.append(dns.rrset.from_text("h.example.", 300, "IN", "TXT", *values))
    answer = read_answer(message.to_wire(), build_question("h.example", "A"), "h.example", "A", "", 0, 0)
    assert answer is not None
    assert (answer.status, answer.negative_ttl) == ("nodata", None)
