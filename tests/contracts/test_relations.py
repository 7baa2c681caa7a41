"""Relations join what the matrix lets them join, with the qualifiers and details of their type."""

import json
from itertools import product
from pathlib import Path

import pytest

from services.contracts import relations
from services.contracts.claims import Entity, Malformed, OutsideVocabulary
from services.contracts.entities import ENTITY_TYPES, entity, ip_address, name, service, url
from services.contracts.relations import (
    RELATION_TYPES,
    alias_of,
    covers_name,
    has_contact,
    links_to,
    presents,
    relation,
    resolves_to,
    serves,
    uses_mailserver,
)

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/ids.json").read_text(encoding="utf-8"))
ONE_OF_EACH = {row["type"]: entity(row["type"], *row["given"]) for row in GOLDEN["entities"]}
WWW, DOMAIN = name("www.example.org"), name("example.org")
REQUIRED = {"record": "CNAME", "role": "technical"}


@pytest.mark.parametrize("type_name", RELATION_TYPES)
def test_a_relation_joins_what_the_matrix_says_and_nothing_else(type_name: str) -> None:
    known = RELATION_TYPES[type_name]
    qualifiers = {key: REQUIRED[key] for key in known.required}
    for source, target in product(ENTITY_TYPES, repeat=2):
        ends = ONE_OF_EACH[source], ONE_OF_EACH[target]
        if (source, target) in known.pairs:
            assert relation(type_name, *ends, qualifiers=qualifiers).type == type_name
        else:
            with pytest.raises(OutsideVocabulary):
                relation(type_name, *ends, qualifiers=qualifiers)


@pytest.mark.parametrize("type_name", RELATION_TYPES)
def test_a_domain_is_valid_wherever_a_hostname_is(type_name: str) -> None:
    pairs = RELATION_TYPES[type_name].pairs
    if type_name == "same_as":
        assert all(source == target for source, target in pairs)
        return
    for source, target in pairs:
        assert source != "hostname" or ("domain", target) in pairs
        assert target != "hostname" or (source, "domain") in pairs


def test_every_type_has_a_constructor_and_says_what_it_is() -> None:
    for known in RELATION_TYPES.values():
        assert callable(getattr(relations, known.name))
        assert known.name in relations.__all__
        assert known.doc.endswith((".", "…"))
        assert known.pairs
        assert known.required <= known.qualifiers.keys()
        assert not known.qualifiers.keys() & known.details.keys()


@pytest.mark.parametrize(
    ("source", "kind", "target"),
    [
        ("hostname", "resolves_to", "ip_address"),
        ("hostname", "alias_of", "hostname"),
        ("ip_address", "part_of", "netblock"),
        ("netblock", "announced_by", "asn"),
        ("service", "presents", "certificate"),
        ("certificate", "covers_name", "email_address"),
        ("registration", "has_contact", "person"),
        ("email_address", "controls", "account"),
        ("email_address", "controls", "crypto_key"),
        ("account", "controls", "code_repository"),
        ("person", "member_of", "organization"),
        ("ip_address", "affected_by", "vulnerability"),
        ("ip_address", "runs", "technology"),
        ("domain", "has_record", "dns_record"),
        ("domain", "uses", "cloud_tenant"),
        ("dns_record", "mentions", "netblock"),
        ("url", "mentions", "phone_number"),
        ("phone_number", "located_at", "location"),
    ],
)
def test_the_matrix_has_what_sources_say(source: str, kind: str, target: str) -> None:
    assert (source, target) in RELATION_TYPES[kind].pairs


def test_identifying_qualifiers_make_another_relation() -> None:
    address = ip_address("192.0.2.1")
    assert resolves_to(WWW, address).qualifiers == {"record": "A"}
    assert resolves_to(WWW, ip_address("2001:db8::1")).qualifiers == {"record": "AAAA"}
    assert alias_of(WWW, DOMAIN).id != alias_of(WWW, DOMAIN, record="DNAME").id
    certificate = ONE_OF_EACH["certificate"]
    https = service("192.0.2.1", "tcp", 443)
    assert len({presents(https, certificate).id, presents(https, certificate, sni="www.example.org").id}) == 2
    assert covers_name(certificate, DOMAIN).id != covers_name(certificate, DOMAIN, wildcard=True).id


def test_qualifiers_have_normal_forms() -> None:
    found = serves(service("192.0.2.1", "tcp", 443), WWW, sni="WWW.Example.ORG.", host="")
    assert found.qualifiers == {"sni": "www.example.org"}
    assert has_contact(DOMAIN, entity("email_address", "a@example.org"), role=" Abuse ").qualifiers == {"role": "abuse"}
    assert links_to(url("https://a.org"), url("https://b.org"), element="Script").qualifiers == {"element": "script"}


def test_details_that_are_not_known_are_left_out() -> None:
    assert uses_mailserver(DOMAIN, WWW).details == {}
    assert uses_mailserver(DOMAIN, WWW, preference=0, ttl=300).details == {"preference": 0, "ttl": 300}
    assert links_to(url("https://a.org"), url("https://b.org"), text=" a\x00\n b ").details == {"text": "a\\x00 b"}


@pytest.mark.parametrize(
    ("qualifiers", "details"),
    [
        ({}, {}),
        ({"record": ""}, {}),
        ({"record": "MX"}, {}),
        ({"record": "A", "port": "1"}, {}),
        ({"record": "A"}, {"preference": 1}),
        ({"record": "A"}, {"ttl": "300"}),
        ({"record": "A"}, {"ttl": True}),
    ],
)
def test_unknown_missing_and_mistyped_parts_are_malformed(qualifiers: dict, details: dict) -> None:
    with pytest.raises(Malformed):
        relation("resolves_to", WWW, ip_address("192.0.2.1"), qualifiers=qualifiers, details=details)


def test_an_unknown_type_is_malformed() -> None:
    with pytest.raises(Malformed):
        relation("sends_to\x00", WWW, DOMAIN)
    with pytest.raises(Malformed):
        resolves_to(WWW, Entity("ghost", ("x",)))
