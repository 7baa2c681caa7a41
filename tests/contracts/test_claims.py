"""Claims are compact on the wire, and equal when the same source version says the same."""

import msgspec
import pytest

from services.contracts.claims import Absence, Attribute, Claim, Entity, Relation, claim_key, claim_line, stated
from services.contracts.entities import (
    account,
    asn,
    dns_record,
    ip_address,
    location,
    name,
    organization,
    service,
    technology,
    url,
)
from services.contracts.relations import covers_name, resolves_to, serves

WWW = name("www.example.org")
ADDRESS = ip_address("192.0.2.1")

CLAIMS: list[Claim] = [
    WWW,
    ADDRESS,
    resolves_to(WWW, ADDRESS),
    resolves_to(WWW, ip_address("2001:db8::1")),
    serves(service("192.0.2.1", "tcp", 443), WWW),
    serves(service("192.0.2.1", "tcp", 443), WWW, sni="www.example.org"),
    covers_name(Entity("certificate", ("ab" * 32,)), WWW),
    covers_name(Entity("certificate", ("ab" * 32,)), WWW, wildcard=True),
    Attribute(WWW, "wildcard", value=True),
    Attribute(WWW, "soa_serial", value=1),
    Attribute(WWW, "soa_serial", value=1.0),
    Attribute(WWW, "soa_serial", value="1"),
    Attribute(WWW, "soa_serial", value=True),
    Absence(WWW, "exists"),
    Absence(WWW, "resolves_to"),
    Absence(WWW, "wildcard"),
]


def test_claims_come_back_from_the_wire_as_they_were() -> None:
    decode = msgspec.json.Decoder(list[Claim]).decode
    assert decode(msgspec.json.encode(CLAIMS)) == CLAIMS


def test_what_is_not_said_takes_no_room() -> None:
    assert msgspec.json.encode(WWW) == b'{"kind":"entity","type":"hostname","key":["www.example.org"]}'
    assert b"qualifiers" not in msgspec.json.encode(Relation("part_of", WWW, name("example.org")))
    assert b"confidence" not in msgspec.json.encode(CLAIMS)


def test_different_claims_have_different_keys_and_lines() -> None:
    assert len({claim_key(claim, "crtsh", 1) for claim in CLAIMS}) == len(CLAIMS)
    assert len({claim_line(claim) for claim in CLAIMS}) == len(CLAIMS)
    assert all(len(claim_key(claim, "crtsh", 1)) == 16 for claim in CLAIMS)


def test_another_module_or_version_says_something_else() -> None:
    keys = {claim_key(WWW, module, version) for module in ("crtsh", "otx") for version in (1, 2)}
    assert len(keys) == 4
    assert claim_key(WWW, "crtsh", 1) == claim_key(Entity("hostname", ("www.example.org",)), "crtsh", 1)


@pytest.mark.parametrize("claim", CLAIMS, ids=claim_line)
def test_what_is_added_to_a_claim_leaves_it_the_same_claim(claim: Claim) -> None:
    sure = stated(claim, confidence=40, valid_from=1, valid_to=2, where="/names/0")
    assert (sure.confidence, sure.valid_from, sure.valid_to, sure.where) == (40, 1, 2, "/names/0")
    assert claim_key(sure, "crtsh", 1) == claim_key(claim, "crtsh", 1)
    assert claim_line(sure) == claim_line(claim)


def test_details_and_the_order_of_qualifiers_leave_a_relation_the_same_claim() -> None:
    one = Relation("serves", WWW, ADDRESS, {"sni": "a", "host": "b"}, {"ttl": 1})
    other = Relation("serves", WWW, ADDRESS, {"host": "b", "sni": "a"}, {"ttl": 2})
    assert claim_key(one, "web", 1) == claim_key(other, "web", 1)
    assert claim_line(one) == claim_line(other)


def test_a_line_is_one_line_that_a_person_can_read() -> None:
    assert claim_line(CLAIMS[2]) == (
        '["relation","resolves_to",["hostname","www.example.org"],["ip_address","192.0.2.1"],{"record":"A"}]'
    )
    assert not any("\n" in claim_line(claim) for claim in CLAIMS)


def test_confidence_is_a_share() -> None:
    for confidence in (-1, 101):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(
                b'{"kind":"entity","type":"domain","key":["example.org"],"confidence":%d}' % confidence, type=Entity
            )


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (WWW, "www.example.org"),
        (asn(64496), "AS64496"),
        (service("192.0.2.1", "tcp", 443), "192.0.2.1:443/tcp"),
        (service("2001:db8::1", "udp", 53), "[2001:db8::1]:53/udp"),
        (dns_record("_dmarc.example.org", "TXT", "v=DMARC1; p=none"), "_dmarc.example.org TXT v=DMARC1; p=none"),
        (url("https://example.org"), "https://example.org/"),
        (technology("nginx"), "nginx"),
        (technology("nginx", "1.25.3"), "nginx 1.25.3"),
        (account("github", "octocat"), "github:octocat"),
        (organization("name", "Example Ltd", "GB"), "example ltd (GB)"),
        (organization("lei", "5493001KJTIIGC8Y1R12"), "lei:5493001KJTIIGC8Y1R12"),
        (location("country", "GB"), "country:GB"),
        (location("city", "London", "GB"), "city:london:GB"),
        (location("address", "1 High St"), "address:1 high st"),
    ],
    ids=lambda found: ascii(found)[:40],
)
def test_a_value_is_the_key_as_a_person_writes_it(found: Entity, value: str) -> None:
    assert found.value == value
