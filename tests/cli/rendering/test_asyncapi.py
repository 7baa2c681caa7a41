"""The AsyncAPI document says what the declarations say, by the rules of AsyncAPI 3.0."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.catalogue import load_services
from services.cli.rendering.asyncapi import asyncapi_document
from services.kernel.messages import message_type
from services.kernel.service import load
from tests.golden.samples import MESSAGES

ROOT = Path(__file__).parents[3]
SERVICES = load_services()
DOCUMENT = json.loads((ROOT / "services" / "contracts" / "asyncapi.json").read_bytes())
#: The fields that the specification has for each kind of object, those that it asks for in capitals.
FIELDS = {
    "document": "ASYNCAPI id INFO servers defaultContentType channels operations components",
    "info": "TITLE VERSION description termsOfService contact license tags externalDocs",
    "channel": "address messages title summary description servers parameters tags externalDocs bindings",
    "parameter": "enum default description examples location",
    "operation": "ACTION CHANNEL title summary description security tags externalDocs bindings traits messages reply",
    "message": (
        "headers payload correlationId contentType name title summary description tags externalDocs bindings examples"
        " traits"
    ),
}


def test_the_committed_document_is_what_the_declarations_say() -> None:
    assert (ROOT / "services" / "contracts" / "asyncapi.json").read_text() == asyncapi_document(SERVICES), (
        "./mirage render"
    )


def test_descriptions_are_not_indented_as_the_code_is() -> None:
    described = [schema.get("description", "") for schema in DOCUMENT["components"]["schemas"].values()]
    assert any("\n" in text for text in described)
    assert not [text for text in described if "\n    " in text]


def test_objects_have_the_fields_of_the_specification() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    has_fields(DOCUMENT, "document")
    has_fields(DOCUMENT["info"], "info")
    for channel in DOCUMENT["channels"].values():
        has_fields(channel, "channel")
        for parameter in channel["parameters"].values():
            has_fields(parameter, "parameter")
    for operation in DOCUMENT["operations"].values():
        has_fields(operation, "operation")
        assert operation["action"] in {"send", "receive"}
    for message in DOCUMENT["components"]["messages"].values():
        has_fields(message, "message")


def has_fields(said: dict[str, Any], kind: str) -> None:
    known = FIELDS[kind].split()
    needed = {name for name in said if name.upper() in known} | {name for name in known if not name.isupper()}
    assert {name for name in said if not name.startswith("x-")} <= needed, kind
    assert {name for name in known if name.isupper()} <= {name.upper() for name in said}, kind


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        place = DOCUMENT
        for token in reference.removeprefix("#/").split("/"):
            place = place[token]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            assert set(value) == {"$ref"}, "what stands beside a reference is ignored in draft 7"
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_a_channel_has_exactly_the_parameters_of_its_address() -> None:
    for kind, channel in DOCUMENT["channels"].items():
        assert channel["address"].startswith(f"{kind}.")
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])


def test_who_publishes_sends_and_who_consumes_receives_by_its_durable_name() -> None:
    operations = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"].rpartition("/")[2])
        for operation in DOCUMENT["operations"].values()
    }
    assert operations == {
        (service.name, action, message_type(message))
        for service in SERVICES
        for action, messages in (("send", service.publishes), ("receive", service.consumes))
        for message in messages
    }
    queues = {
        operation["bindings"]["nats"]["queue"]
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "receive"
    }
    assert queues == {
        f"{service.name}__{handles.name}"
        for service in SERVICES
        for handles in (load(service.consumers) if service.consumers else ())
    }


def test_an_operation_speaks_of_messages_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_a_schema_is_one_of_draft_7(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({"$schema": "http://json-schema.org/draft-07/schema#", **schema})
    assert not {"prefixItems", "$defs", "const"} & set(re.findall(r'"([$\w]+)":', json.dumps(schema)))


@pytest.mark.parametrize("file", sorted(MESSAGES.glob("*.json")), ids=lambda file: file.stem)
def test_a_message_that_was_sent_is_one_by_its_schema(file: Path) -> None:
    """Whoever writes a consumer in another language has nothing but the schemas."""
    sample = json.loads(file.read_bytes())
    validator = validator_of(sample["type"])
    assert [str(error) for error in validator.iter_errors(sample)] == []
    assert not validator.is_valid({**sample, "type": "mirage.evt.nobody.said.v1"})
    for name in sample:
        assert not validator.is_valid({**sample, name: {"what it is": None}}), name


def validator_of(kind: str) -> jsonschema_rs.Draft7Validator:
    [name] = DOCUMENT["channels"][kind]["messages"]
    payload = DOCUMENT["components"]["messages"][name]["payload"]
    return jsonschema_rs.Draft7Validator({"allOf": [payload], "components": DOCUMENT["components"]})
