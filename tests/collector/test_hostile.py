"""Whatever a source sends, `parse` gives claims or `ParseError`, soon."""

import asyncio
import json
import time
from functools import cache
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.collector.context import Answer, DnsAnswer, HttpAnswer, ParseError, TcpAnswer, TextAnswer, TlsAnswer
from services.contracts.subjects import Subject
from tests.collector.recorded import CASES, load_module, read_case, readable_modules, replay
from tests.collector.test_cases import types_of

MANIFESTS = {file.manifest.id: file.manifest for file in readable_modules()}
MAX_CLAIMS = 100_000  # more from one subject fail a work item
SECONDS = 2.0  # of processor time, for answers that an honest parser reads in milliseconds

each_module = pytest.mark.parametrize("id", sorted(MANIFESTS))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        ["*.example.org", "a@example.org", "192.0.2.1/99", "2026-13-45T00:00:00Z", "9" * 400, "x." * 200]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@cache
def recorded_answers(id: str) -> list[tuple[Answer, Subject]]:
    answers: list[tuple[Answer, Subject]] = []
    for path in sorted((CASES / id).glob("*.json")):
        seen = read_case(path).seen
        answers += [(answer, seen) for answer in asyncio.run(replay(path)).answers]
    return answers


@st.composite
def json_with_one_value_changed(draw: st.DrawFn, document: Any) -> Any:
    if isinstance(document, dict) and document and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(document)))
        return {**document, name: draw(json_with_one_value_changed(document[name]))}
    if isinstance(document, list) and document and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(document) - 1))
        return [*document[:place], draw(json_with_one_value_changed(document[place])), *document[place + 1 :]]
    return draw(json_values)


@st.composite
def bodies(draw: st.DrawFn, body: bytes) -> bytes:
    """Noise, any JSON, or the body cut, overwritten somewhere, or with one JSON value replaced."""
    kind = draw(st.sampled_from(["noise", "json", "cut", "overwritten", "changed", "changed", "changed"]))
    if kind == "noise":
        return draw(st.binary(max_size=300))
    if kind == "json":
        return json.dumps(draw(json_values)).encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(body)))
    if kind == "cut":
        return body[:place]
    if kind == "changed":
        document = parsed(body)
        if document is not None:
            return json.dumps(draw(json_with_one_value_changed(document))).encode("utf-8", "surrogatepass")
    return body[:place] + draw(st.binary(max_size=20)) + body[place + draw(st.integers(0, 40)) :]


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@st.composite
def mutations(draw: st.DrawFn, answer: Answer) -> Answer:
    match answer:
        case HttpAnswer():
            headers = tuple((name, draw(st.just(value) | st.text(max_size=30))) for name, value in answer.headers)
            return msgspec.structs.replace(answer, body=draw(bodies(answer.body)), headers=headers)
        case TextAnswer():
            return msgspec.structs.replace(answer, body=draw(bodies(answer.body)))
        case DnsAnswer():
            names = st.text(max_size=60) | st.sampled_from(["*.example.org", ".", "", "a." * 130, '"\\000" "x"'])
            resolutions = tuple(
                msgspec.structs.replace(
                    resolution,
                    records=tuple(
                        msgspec.structs.replace(
                            record, owner=draw(st.just(record.owner) | names), data=draw(st.just(record.data) | names)
                        )
                        for record in resolution.records
                    ),
                )
                for resolution in answer.resolutions
            )
            return msgspec.structs.replace(answer, resolutions=resolutions)
        case TlsAnswer():
            return msgspec.structs.replace(answer, chain=tuple(draw(bodies(der)) for der in answer.chain))
        case TcpAnswer():
            banners = {port: draw(bodies(said)) for port, said in answer.banners.items()}
            return msgspec.structs.replace(answer, banners=banners)
    if type(answer) is Answer:  # of a module that asks nobody
        return answer
    raise AssertionError(f"no mutation of {type(answer).__name__}")


def read(id: str, answer: Answer, seen: Subject) -> None:
    """Parse as the runner does; anything but `ParseError`, a type outside `produces`, or dawdling is a fault."""
    started = time.process_time()
    try:
        claims = list(islice(load_module(id).parse(answer, seen), MAX_CLAIMS))
    except ParseError:
        claims = []
    assert time.process_time() - started < SECONDS
    assert len(claims) < MAX_CLAIMS
    undeclared = {name for claim in claims for name in types_of(claim, seen)} - set(MANIFESTS[id].produces)
    assert undeclared == set()
    msgspec.json.encode(claims)


@each_module
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_mutated_answer_raises_only_parse_errors(id: str, data: st.DataObject) -> None:
    answer, seen = data.draw(st.sampled_from(recorded_answers(id)))
    read(id, data.draw(mutations(answer)), seen)


@each_module
@pytest.mark.parametrize(
    "unit",
    [b"[", b'{"a":', b"<a", b"a.", b"\n", b" ", b"9", b"a@a", b"%2", b"\x00", b"//", b"<!--", b'"', b"a: b\n", b"\xff"],
    ids=repr,
)
def test_a_monotonous_answer_takes_no_time(id: str, unit: bytes) -> None:
    body = unit * (300_000 // len(unit))
    for answer, seen in recorded_answers(id):
        if isinstance(answer, HttpAnswer | TextAnswer):
            read(id, msgspec.structs.replace(answer, body=body), seen)
            break
