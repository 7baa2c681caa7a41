"""MISP: an event that pymisp takes, objects of MISP's templates, relations as references, the same every time."""

import json
import logging
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

import pytest
from pymisp import MISPEvent, MISPObject

from services.contracts import entities
from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources.storage import Facts
from services.reporting.domain.exports.misp import MispEvent
from services.reporting.domain.exports.misp_objects import parts_of, template_of
from tests.services.reporting.worlds import (
    ABOUT,
    AT,
    every_entity,
    every_relation,
    everything,
    facts,
    finding,
    led,
    written,
)

WWW = entities.hostname("www.example.org")
ADDRESS = entities.ip_address("192.0.2.1")


class Collecting(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """What pymisp has warned of."""
    said: list[str] = []
    handler = Collecting(said)
    logging.getLogger("pymisp").addHandler(handler)
    yield said
    logging.getLogger("pymisp").removeHandler(handler)


def event(pieces: list[Facts], *findings: Any, tlp: Any = None) -> MISPEvent:
    text = written(MispEvent(ABOUT, TemporaryFile, tlp=tlp), pieces, findings)
    made = MISPEvent(strict_validation=False)
    made.load(json.loads(text))
    return made


def described(made: MISPEvent) -> dict[str, MISPObject]:
    return {each.uuid: each for each in made.objects}


def test_pymisp_takes_every_type_of_entity_and_every_relation_is_a_reference(warned: list[str]) -> None:
    made = event(everything(), finding(entities.domain("example.org")), tlp="amber-strict")
    assert not warned, "pymisp warns of what its templates do not have"
    entity_objects = [each for each in made.objects if each.name not in {"mirage-attributes", "annotation"}]
    assert len(entity_objects) == len(every_entity())
    references = [each for one in entity_objects for each in one.references]
    assert len(references) == len(every_relation())
    known = set(described(made))
    assert {each.referenced_uuid for one in made.objects for each in one.references} <= known
    assert [tag.name for tag in made.tags] == ["tlp:amber+strict"]
    assert len(known) == len(made.objects)


@pytest.mark.parametrize("entity", every_entity(), ids=lambda each: each.type)
def test_an_object_of_a_template_has_what_the_template_wants(entity: Any) -> None:
    name, parts = parts_of(entity)
    template = template_of(name)
    if template is None:
        assert name == f"mirage-{entity.type}"
        return
    made = MISPObject(name, strict=True)
    for part in parts:
        made.add_attribute(part.relation, value=part.value)
    assert [each.type for each in made.attributes] == [part.type for part in parts]
    made._validate()
    definition = MISPObject(name)
    assert (definition.template_uuid, definition["meta-category"]) == (template.uuid, template.category)


def test_types_with_a_name_in_misp_have_it() -> None:
    """But where it would say something else: a handle at a register is no registrar, a masked number none of a card."""
    others = {"registration", "crypto_key", "organization", "person", "account"}
    for entity in every_entity():
        wanted = set(filter(None, ENTITY_TYPES[entity.type].misp.split("|")))
        used = {part.type for part in parts_of(entity)[1]}
        own = entity.type in others or used == {"text"}
        assert own or used & wanted or entity.type in {"file", "location", "service", "dns_record"}, (entity, used)


def test_an_object_says_who_said_it_and_on_which_evidence() -> None:
    told = facts(WWW, values=[("tag", "mail")])
    made = event([Facts(entities=(told,), relations=(led("resolves_to", WWW, ADDRESS, qualifiers={"record": "A"}),))])
    host = next(each for each in made.objects if each.name == "domain-ip" and each.references)
    (name,) = host.attributes
    assert (name.object_relation, name.value, name.to_ids) == ("hostname", "www.example.org", False)
    proof = told.said[0].evidence[0].hex()
    assert "said by crtsh@1 web@1" in name.comment
    assert proof in name.comment
    (reference,) = host.references
    assert reference.relationship_type == "resolves-to"
    assert reference.comment.startswith("record: A; said by web@1; evidence ")
    assert described(made)[reference.referenced_uuid].attributes[0].value == "192.0.2.1"
    (attributes,) = [each for each in made.objects if each.name == "mirage-attributes"]
    assert [(each.object_relation, each.value) for each in attributes.attributes] == [("tag", "mail")]
    assert attributes.references[0].referenced_uuid == host.uuid


def test_a_finding_annotates_what_it_is_about() -> None:
    made = event([Facts(entities=(facts(WWW),))], finding(WWW))
    (annotation,) = [each for each in made.objects if each.name == "annotation"]
    text = annotation.get_attributes_by_relation("text")[0].value
    assert text.startswith("A database answers (high, 70 %, new)")
    assert "rule exposed_database@2; said by web@1" in annotation.comment
    about = described(made)[annotation.references[0].referenced_uuid]
    assert about.attributes[0].value == "www.example.org"


def test_the_same_scan_is_the_same_event() -> None:
    first, second = (written(MispEvent(ABOUT, TemporaryFile, tlp=None), everything()) for _ in range(2))
    assert first == second
    assert json.loads(first)["Event"]["timestamp"] == str(AT // 1_000_000)
