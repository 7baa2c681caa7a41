"""Ids never change: stores, exports and other people's notes hold them."""

import json
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from services.contracts import entities, relations
from services.contracts.claims import ENTITY_NAMESPACE, RELATION_NAMESPACE, Entity, entity_id, relation_id
from services.contracts.entities import ENTITY_TYPES, entity, ip_address, name
from services.contracts.relations import RELATION_TYPES, relation, resolves_to

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/ids.json").read_text(encoding="utf-8"))


def test_the_vectors_reach_every_type() -> None:
    assert {row["type"] for row in GOLDEN["entities"]} == set(ENTITY_TYPES)
    assert {row["type"] for row in GOLDEN["relations"]} == set(RELATION_TYPES)
    assert (len(ENTITY_TYPES), len(RELATION_TYPES)) == (36, 26)


def test_the_namespaces_are_fixed() -> None:
    assert str(ENTITY_NAMESPACE) == GOLDEN["entity_namespace"]
    assert str(RELATION_NAMESPACE) == GOLDEN["relation_namespace"]


@pytest.mark.parametrize("row", GOLDEN["entities"], ids=lambda row: f"{row['type']}-{ascii(row['given'][-1])[:30]}")
def test_an_entity_keeps_its_id(row: dict) -> None:
    found = entity(row["type"], *row["given"])
    assert list(found.key) == row["key"]
    assert entity(row["type"], *row["key"]) == found
    assert str(UUID(bytes=found.id)) == row["id"]


@pytest.mark.parametrize("row", GOLDEN["relations"], ids=lambda row: row["type"])
def test_a_relation_keeps_its_id(row: dict) -> None:
    found = relation(row["type"], entity(*row["source"]), entity(*row["target"]), qualifiers=row["qualifiers"])
    assert str(UUID(bytes=found.id)) == row["id"]


@pytest.mark.parametrize("row", GOLDEN["relations"], ids=lambda row: row["type"])
def test_a_constructor_builds_what_its_type_says(row: dict) -> None:
    source, target = entity(*row["source"]), entity(*row["target"])
    qualifiers = {key: value == "yes" if key == "wildcard" else value for key, value in row["qualifiers"].items()}
    built = getattr(relations, row["type"])(source, target, **qualifiers)
    assert str(UUID(bytes=built.id)) == row["id"]


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES.keys() - {"file", "wifi_network"}))
def test_a_constructor_takes_the_parts_of_its_key(kind: str) -> None:
    for row in GOLDEN["entities"]:
        if row["type"] == kind:
            assert list(getattr(entities, kind)(*row["given"]).key) == row["key"]


def test_an_entity_id_is_the_uuid5_of_its_json() -> None:
    key = ("_x.example.org", "TXT", 'quote " backslash \\ é 日 / \x7f')
    text = json.dumps(["dns_record", *key], ensure_ascii=False, separators=(",", ":"))
    assert entity_id("dns_record", key) == uuid5(ENTITY_NAMESPACE, text).bytes


def test_a_relation_id_is_the_uuid5_of_type_ends_and_sorted_qualifiers() -> None:
    source, target = name("www.example.org"), ip_address("192.0.2.1")
    text = json.dumps(["serves", source.id.hex(), target.id.hex(), "host", "a", "sni", "b"], separators=(",", ":"))
    for qualifiers in ({"sni": "b", "host": "a"}, {"host": "a", "sni": "b"}):
        assert relation_id("serves", source, target, qualifiers) == uuid5(RELATION_NAMESPACE, text).bytes


def test_what_a_source_adds_is_not_in_the_id() -> None:
    plain, sure = Entity("domain", ("example.org",)), Entity("domain", ("example.org",), confidence=20, where="/0")
    assert plain.id == sure.id
    source, target = name("example.org"), ip_address("192.0.2.1")
    assert resolves_to(source, target, ttl=60).id == resolves_to(source, target, ttl=300).id
