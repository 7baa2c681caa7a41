"""What was sent once can be read for ever: today's Structs read every sample of every message version."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from services.contracts import commands, facts, progress
from services.kernel.messages import message_type
from tests.golden.samples import MESSAGES, make_sample, message_types, parts_of, read_samples, shown_by

TYPES = message_types()
FILES = sorted(MESSAGES.glob("*.json"))
WRITE = ".venv/bin/python -m tests.golden.write"

each_type = pytest.mark.parametrize("kind", TYPES)
each_sample = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@each_type
def test_a_type_is_named_after_what_it_is_whose_it_is_and_its_version(kind: str) -> None:
    assert re.fullmatch(r"mirage\.(evt|cmd|progress)\.[a-z]+\.[a-z_]+\.v[1-9][0-9]*", kind)


def test_every_message_of_the_contracts_is_said_or_heard_by_a_service() -> None:
    declared = {
        value
        for module in (commands, facts, progress)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Struct) and _is_message(value)
    }
    assert declared == set(TYPES.values())


def _is_message(struct: type[Struct]) -> bool:
    return str(struct.__struct_config__.tag).startswith("mirage.")


@each_type
def test_every_part_of_a_message_is_shown_by_a_sample(kind: str) -> None:
    shown = {part for sample in read_samples(kind) for part in shown_by(TYPES[kind], json.loads(sample))}
    assert parts_of(TYPES[kind]) - shown == set(), WRITE


@each_sample
def test_a_sample_is_of_a_message_that_there_is(file: Path) -> None:
    kind, _, later = file.stem.partition("-")
    assert kind in TYPES, "a version that nobody reads any more goes with its samples"
    assert later == "" or int(later) > 1


@each_sample
def test_today_s_struct_reads_the_sample_and_loses_nothing_of_it(file: Path) -> None:
    message = TYPES[file.stem.partition("-")[0]]
    said = json.loads(file.read_bytes())
    read = msgspec.json.decode(file.read_bytes(), type=message)
    assert message_type(type(read)) == said["type"]
    assert lost(said, json.loads(msgspec.json.encode(read))) == []


@each_type
def test_a_message_without_its_optional_fields_is_read(kind: str) -> None:
    """An older sender does not know what came later: a field that was added has a default."""
    whole = make_sample(TYPES[kind], 0)
    fields = {field.encode_name: field for field in msgspec.structs.fields(TYPES[kind])}
    least = {name: value for name, value in whole.items() if name == "type" or fields[name].required}
    msgspec.json.decode(json.dumps(least), type=TYPES[kind])


def lost(said: Any, read: Any, place: str = "$") -> list[str]:
    """Where ``read`` has not what was said."""
    if isinstance(said, dict) and isinstance(read, dict):
        return [
            fault
            for name, value in said.items()
            for fault in (lost(value, read[name], f"{place}.{name}") if name in read else [f"{place}.{name}"])
        ]
    if isinstance(said, list) and isinstance(read, list) and len(said) <= len(read):
        return [
            fault
            for index, (one, other) in enumerate(zip(said, read, strict=False))
            for fault in lost(one, other, f"{place}[{index}]")
        ]
    return [] if said == read else [f"{place}: {said!r} became {read!r}"]


def test_a_lost_field_is_noticed() -> None:
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}, 4]}) == []
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {"c": 3}]}) == ["$.a[1].b"]
    assert lost({"a": 1}, {"a": "1"}) == ["$.a: 1 became '1'"]
