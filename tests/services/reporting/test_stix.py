"""STIX 2.1: ids as the specification has them, objects that stix2 and the validator of OASIS take, and the way back."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import stix2
from jsonschema_rs import validator_for
from stix2.registry import STIX2_OBJ_MAPS

from services.contracts import entities
from services.contracts.claims import Entity
from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources.exports import TLP
from services.contracts.resources.storage import Facts
from services.reporting.domain.exports.stix import StixBundle
from services.reporting.domain.exports.stix_extension import EXTENSION, SCHEMA, definition
from services.reporting.domain.exports.stix_findings import pattern_of
from services.reporting.domain.exports.stix_objects import is_standard, made
from services.reporting.domain.exports.stix_reading import StixReading
from tests.servers.running import REQUIRED
from tests.services.reporting.worlds import (
    ABOUT,
    AT,
    every_entity,
    every_relation,
    every_value,
    everything,
    facts,
    finding,
    led,
    network,
    said,
    written,
)

WWW = entities.hostname("www.example.org")
ADDRESS = entities.ip_address("192.0.2.1")
#: Addresses that are in use, and that the validator takes for none: it knows neither quotes nor RFC 6531.
NOT_FOR_THE_VALIDATOR = {'"john doe"@example.org', '"a\\"b@c"@example.org', "jürgen@xn--mnchen-3ya.de"}


def bundle(
    pieces: list[Facts], *findings: Any, profile: str = "opencti", tlp: str | None = None
) -> list[dict[str, Any]]:
    export = StixBundle(ABOUT, TemporaryFile, profile=profile, tlp=tlp)  # type: ignore[arg-type]
    found = json.loads(written(export, pieces, findings))
    assert (found["type"], list(found)) == ("bundle", ["type", "id", "objects"])
    objects: list[dict[str, Any]] = found["objects"]
    return objects


def of_type(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["type"] == kind]


@pytest.mark.parametrize("entity", [each for each in every_entity() if not made(each, {}).custom], ids=lambda e: e.type)
def test_an_observable_has_the_id_that_stix2_makes(entity: Entity) -> None:
    form = made(entity, {name: [value] for name, value in every_value(entity)})
    assert form.id == made(entity, {}).id, "what it is like makes it no other thing"
    known = STIX2_OBJ_MAPS["2.1"]["observables"].get(form.kind)
    if form.domain:
        assert known is None
        return
    properties = {name: value for name, value in form.properties.items() if name != "extensions"}
    assert known(**properties)["id"] == form.id


@pytest.mark.parametrize("profile", ["opencti", "strict"])
def test_stix2_takes_every_object_of_every_type_of_entity_and_relation(profile: str) -> None:
    about = entities.domain("example.org")
    found = bundle(
        everything(), finding(about), finding(about, category="malicious", number=2), profile=profile, tlp="red"
    )
    for each in found:
        stix2.parse(each, allow_custom=profile == "opencti")
    assert not [one for one, count in Counter(each["id"] for each in found).items() if count > 1]
    references = {
        value
        for each in found
        for name, values in each.items()
        if name.endswith(("_ref", "_refs"))
        for value in (values if isinstance(values, list) else [values])
    }
    assert references <= {each["id"] for each in found}, "nothing refers to what is not there"


def test_the_strict_profile_has_what_the_standard_has_and_nothing_else() -> None:
    export = StixBundle(ABOUT, TemporaryFile, profile="strict", tlp=None)
    objects = json.loads(written(export, everything()))["objects"]
    known = {kind for kinds in STIX2_OBJ_MAPS["2.1"].values() for kind in kinds}
    assert {each["type"] for each in objects} <= known
    assert not [each for each in objects if "extensions" in each]
    for kind in ("phone_number", "dns_record", "crypto_key"):
        assert kind in export.left_out, "what is left out is said"
    assert set(ENTITY_TYPES) - {each.type for each in every_entity() if is_standard(each)} == {
        *("dns_record", "wifi_network", "web_tracker", "fingerprint", "code_repository", "phone_number", "identifier"),
        *("crypto_address", "payment_instrument", "transaction", "registration", "credential", "crypto_key"),
    }


def test_what_goes_out_comes_back_through_stix2() -> None:
    text = written(StixBundle(ABOUT, TemporaryFile, profile="opencti", tlp="green"), everything())
    parsed = stix2.parse(text.decode(), allow_custom=True)
    reading = StixReading()
    reading.add(json.loads(stix2.serialization.serialize(each)) for each in parsed["objects"])
    reading.finish()
    back = {(each.type, each.key) for each in reading.entities.values()}
    given = {(each.type, each.key) for each in every_entity()}
    assert back - given == {("url", ("https://example.org/paste",))}, "where a publication is"
    assert given <= back
    assert {each.id for each in reading.relations} == {each.id for each in every_relation()}
    by_id = {each.id: each for each in reading.relations}
    for relation in every_relation():
        assert by_id[relation.id].details == relation.details


def test_what_others_have_written_is_read_as_far_as_it_is_something() -> None:
    reading = StixReading()
    domain = {"type": "domain-name", "id": "domain-name--1", "value": "WWW.Example.org."}
    address = {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "192.0.2.1"}
    resolves = {
        "type": "relationship", "id": "relationship--1", "relationship_type": "resolves-to",
        "source_ref": "domain-name--1", "target_ref": "ipv4-addr--1",
    }  # fmt: skip
    nothing = [{"type": "domain-name"}, 7, {"type": ["x"], "id": {}}]
    unsound = [
        {"type": "url", "id": "url--1", "value": "::"},
        {"type": "file", "id": "file--1", "hashes": "no"},
        {"type": "network-traffic", "id": "n--1", "dst_ref": "nobody"},
        {**resolves, "target_ref": 1},
    ]
    reading.add([resolves, domain, address, *nothing, *unsound])
    reading.finish()
    assert {(each.type, each.value) for each in reading.entities.values()} == {
        ("hostname", "www.example.org"), ("ip_address", "192.0.2.1"),
    }  # fmt: skip
    (relation,) = reading.relations
    assert (relation.type, relation.qualifiers) == ("resolves_to", {"record": "A"})
    assert reading.left_out == {"url": 1, "no object": 3, "file": 1, "network-traffic": 1, "relationship": 1}


def test_the_same_is_exported_the_same_and_ids_do_not_depend_on_the_scan() -> None:
    assert bundle(everything()) == bundle(everything())
    later = StixBundle(type(ABOUT)(scan="ab" * 16, at=AT + 1), TemporaryFile, profile="opencti", tlp=None)
    again = {each["id"] for each in json.loads(written(later, everything()))["objects"]}
    once = bundle(everything())
    assert {each["id"] for each in once if each["type"] != "observed-data"} <= again


def test_each_module_that_spoke_of_an_observable_is_one_observation_with_its_evidence() -> None:
    told = (
        said("web", AT, evidence="a"),
        said("web", AT + 2_000_000, evidence="b"),
        said("crtsh", AT + 1, evidence="c"),
    )
    objects = bundle([Facts(entities=(facts(WWW, said=told, values=[("tag", "mail")]),))])
    by_name = {each["name"]: each["id"] for each in of_type(objects, "identity")}
    observed = {each["created_by_ref"]: each for each in of_type(objects, "observed-data")}
    web, crtsh = observed[by_name["web@1"]], observed[by_name["crtsh@1"]]
    assert (web["first_observed"], web["last_observed"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:22.000Z")
    assert (web["number_observed"], crtsh["number_observed"]) == (2, 1)
    evidence = {each["external_id"] for each in web["external_references"]}
    assert {proof.hex() for each in told[:2] for proof in each.evidence} <= evidence
    assert not {proof.hex() for proof in told[2].evidence} & evidence
    assert web["extensions"][EXTENSION]["mirage_attributes"] == [{"name": "tag", "value": "mail"}]
    assert "mirage_attributes" not in crtsh["extensions"][EXTENSION]
    assert web["extensions"][EXTENSION]["mirage_role"] == "in_scope"


def test_an_entity_that_only_relations_name_is_observed_by_who_named_it() -> None:
    named = facts(ADDRESS, said=(), named=(said("dns_records"),))
    objects = bundle([Facts(entities=(named,))])
    assert [each["object_refs"] for each in of_type(objects, "observed-data")] == [[made(ADDRESS, {}).id]]


def test_a_relation_says_which_it_is_who_said_it_and_when() -> None:
    relation = led("exposes", ADDRESS, entities.service("192.0.2.1", "tcp", 443))
    resolves = led("resolves_to", WWW, ADDRESS, qualifiers={"record": "A"}, details={"ttl": 5})
    objects = bundle([Facts(entities=(facts(WWW),), relations=(relation, resolves))])
    by_type = {each["relationship_type"]: each for each in of_type(objects, "relationship")}
    assert by_type["related-to"]["extensions"][EXTENSION] == {
        "extension_type": "property-extension", "mirage_relation": "exposes",
    }  # fmt: skip
    assert by_type["resolves-to"]["extensions"][EXTENSION]["mirage_qualifiers"] == {"record": "A"}
    (proof,) = by_type["related-to"]["external_references"]
    assert proof == {"source_name": "web@1", "external_id": relation.said[0].evidence[0].hex()}
    assert {each["id"] for each in of_type(objects, "ipv4-addr")} == {by_type["related-to"]["source_ref"]}, (
        "what only a relation names follows"
    )


def test_a_finding_is_a_note_and_an_indicator_where_it_is_of_something_malicious() -> None:
    about = [Facts(entities=(facts(WWW),))]
    (note,) = of_type(bundle(about, finding(WWW)), "note")
    assert (note["abstract"], note["object_refs"], note["confidence"]) == (
        "A database answers", [made(WWW, {}).id], 70,
    )  # fmt: skip
    assert "severity:high" in note["labels"]
    assert {"source_name": "web@1", "external_id": "ab" * 32} in note["external_references"]
    objects = bundle(about, finding(WWW, category="malicious"))
    (indicator,) = of_type(objects, "indicator")
    assert indicator["pattern"] == "[domain-name:value = 'www.example.org']"
    assert not of_type(objects, "note")


def test_a_finding_about_what_is_not_exported_is_counted_and_not_written() -> None:
    export = StixBundle(ABOUT, TemporaryFile, profile="opencti", tlp=None)
    objects = json.loads(written(export, [Facts(entities=(facts(WWW),))], (finding(WWW), finding(ADDRESS))))["objects"]
    assert len(of_type(objects, "note")) == 1
    assert export.left_out == "findings about what is not exported (--all exports it): 1"


def test_quotes_do_not_end_a_pattern() -> None:
    hostile = Entity("url", ("https://example.org/' OR url:value = '\\",))
    stix2.Indicator(pattern=pattern_of(hostile), pattern_type="stix", valid_from="2026-01-01T00:00:00Z")
    assert pattern_of(hostile) == "[url:value = 'https://example.org/\\' OR url:value = \\'\\\\']"


@pytest.mark.parametrize("tlp", TLP)
def test_everything_is_marked_by_the_published_marking(tlp: str) -> None:
    objects = bundle([Facts(entities=(facts(WWW),))], finding(WWW), tlp=tlp)
    (marking,) = of_type(objects, "marking-definition")
    assert marking["name"] == f"TLP:{tlp.upper().replace('-', '+')}"
    others = [each for each in objects if each["type"] not in {"marking-definition", "extension-definition"}]
    unmarked = [each for each in others if each.get("object_marking_refs") != [marking["id"]]]
    assert [each["name"] for each in unmarked] == ["Mirage"]


def test_the_extension_is_published_with_its_schema_and_every_object_keeps_to_it() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert json.loads(definition()["schema"]) == schema
    extension = validator_for({**schema, "$ref": "#/$defs/extension"})
    for each in bundle(everything()):
        if EXTENSION in each.get("extensions", {}):
            extension.validate(each["extensions"][EXTENSION])
        if each.get("extensions", {}).get(EXTENSION, {}).get("extension_type") == "new-sco":
            validator_for({**schema, "$ref": f"#/$defs/{each['type']}"}).validate(each)


def test_an_instant_beyond_the_calendar_is_the_last_one_there_is() -> None:
    certificate = entities.certificate("ab" * 32)
    objects = bundle([Facts(entities=(facts(certificate, values=[("not_after", 2**62)]),))])
    (found,) = of_type(objects, "x509-certificate")
    assert found["validity_not_after"] == "9999-12-31T23:59:59.000Z"


@pytest.mark.server
@pytest.mark.parametrize("profile", ["opencti", "strict"])
def test_the_validator_of_oasis_takes_every_type_of_entity_and_relation(profile: str, tmp_path: Path) -> None:
    cache = Path(os.environ.get("MIRAGE_SERVERS_CACHE", Path.home() / ".cache" / "mirage-servers"))
    validator = cache / "stix-validator" / "bin" / "stix2_validator"
    if not validator.exists():
        asked = os.environ.get(REQUIRED, "")
        (pytest.fail if asked == "all" or "stix-validator" in asked else pytest.skip)("see tests/servers/README.md")
    about = entities.domain("example.org")
    findings = finding(about), finding(about, category="malicious", number=2)
    for number, pieces in enumerate((everything(), list(network(50)))):
        objects = bundle(pieces, *findings, profile=profile, tlp="amber-strict")
        skipped = {each["id"] for each in objects if each.get("value") in NOT_FOR_THE_VALIDATOR}
        file = tmp_path / f"{number}.json"
        kept = [each for each in objects if each["id"] not in skipped]
        file.write_text(
            json.dumps({"type": "bundle", "id": f"bundle--{'0' * 8}-0000-4000-8000-{'0' * 12}", "objects": kept})
        )
        command = [validator, "--version", "2.1", file]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        assert "[X]" not in done.stdout, "\n".join(line for line in done.stdout.splitlines() if "[X]" in line)
        assert "Valid" in done.stdout
