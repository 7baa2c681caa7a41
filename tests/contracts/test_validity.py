"""A claim from elsewhere is taken only in the form in which it would have been made here."""

import msgspec
import pytest

from services.contracts.attributes import attribute
from services.contracts.claims import Absence, Attribute, Claim, Entity, Malformed, Relation
from services.contracts.entities import ip_address, name
from services.contracts.relations import resolves_to
from services.contracts.validity import absence, check

WWW = name("www.example.org")
ADDRESS = ip_address("192.0.2.1")


@pytest.mark.parametrize(
    "claim",
    [WWW, resolves_to(WWW, ADDRESS, ttl=60), attribute(WWW, "wildcard", value=True), absence(WWW, "resolves_to")],
    ids=lambda claim: type(claim).__name__,
)
def test_what_was_made_here_is_valid(claim: Claim) -> None:
    check(msgspec.json.decode(msgspec.json.encode(claim), type=Claim))


@pytest.mark.parametrize(
    "claim",
    [
        Entity("hostname", ("WWW.example.org",)),
        Entity("hostname", ("example.org",)),
        Entity("ghost", ("x",)),
        Entity("service", ("192.0.2.1", "tcp")),
        Relation("resolves_to", WWW, ADDRESS),
        Relation("resolves_to", WWW, ADDRESS, {"record": "a"}),
        Relation("resolves_to", WWW, Entity("ip_address", ("192.0.2.01",)), {"record": "A"}),
        Relation("resolves_to", WWW, ADDRESS, {"record": "A", "port": "1"}),
        Relation("resolves_to", WWW, ADDRESS, {"record": "A"}, {"ttl": "1"}),
        Relation("resolves_to", ADDRESS, WWW, {"record": "A"}),
        Attribute(Entity("url", ("http://example.org",)), "title", "x"),
        Attribute(WWW, "title", " x"),
        Attribute(WWW, "http_status", 200),
        Absence(WWW, "nothing"),
    ],
    ids=ascii,
)
def test_what_could_not_have_been_made_here_is_malformed(claim: Claim) -> None:
    with pytest.raises(Malformed):
        check(claim)


def test_an_absence_is_of_what_there_could_be() -> None:
    for predicate in ("exists", "resolves_to", "has_record", "wildcard", "uses_mailserver"):
        assert absence(WWW, predicate) == Absence(WWW, predicate)
    for predicate in ("", "announced_by", "followers", "no such thing\x00"):
        with pytest.raises(Malformed):
            absence(WWW, predicate)
