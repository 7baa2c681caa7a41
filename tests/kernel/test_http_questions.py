"""What is asked over HTTP arrives as it was meant, and what comes back is read as it was said."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, integers, none, sampled_from, text, uuids

from services.catalogue import load_services
from services.kernel import errors, http_questions
from services.kernel.calls import Endpoint
from services.kernel.errors import Incompatible, MirageError, Unavailable
from services.kernel.http_questions import read_answer, read_events, read_problem, whole_events, write_question
from services.kernel.openapi import WORKSPACE
from tests.kernel.asgi import request
from tests.kernel.organ import COMPOSE, FAIL, LISTEN, PLAY, ROLL, STUMBLE, Organ, Tune, compose_app

END = b"event: end\r\ndata: \r\n\r\n"
WORKSPACE_ID = UUID("5f2c1a6e-9d41-5c4e-8a51-2b7d0f3e6a90")

tunes = builds(
    Tune,
    number=uuids(),
    key=sampled_from(["c", "d"]),
    volume=integers(-(2**53), 2**53),
    loud=booleans(),
    by=none() | text(min_size=1),
)


@pytest.mark.parametrize("endpoint", [PLAY, COMPOSE], ids=["query", "body"])
@given(tune=tunes)
async def test_a_question_arrives_as_it_was_asked(endpoint: Endpoint[Any, Any], tune: Tune) -> None:
    asked = write_question(endpoint, tune)
    headers = {WORKSPACE: str(WORKSPACE_ID)}
    reply = await request(compose_app(Organ()), asked.method, asked.target, headers=headers, body=asked.body or b"")
    assert reply.status == 200, reply.body
    played = read_answer(endpoint, reply.body)
    assert msgspec.to_builtins(played) == {**msgspec.to_builtins(tune), "workspace": str(WORKSPACE_ID)}


@pytest.mark.parametrize("name", ["../etc", "a/b", "?x=1#y", "ü €", "%2F", ".."])
async def test_a_value_in_a_path_stays_one_value(name: str) -> None:
    asked = write_question(FAIL, FAIL.takes(name))
    assert asked.target.count("/") == 3
    assert "?" not in asked.target


@pytest.mark.parametrize("name", sorted(errors.MEANING, key=str))
async def test_an_error_arrives_as_the_same_error(name: type[MirageError]) -> None:
    asked = write_question(FAIL, FAIL.takes(name.__name__))
    reply = await request(compose_app(Organ()), asked.method, asked.target)
    error = read_problem("organ", reply.status, reply.body)
    assert (type(error), str(error)) == (name, "the reason")


@pytest.mark.parametrize(("status", "kind"), [(502, Unavailable), (404, errors.NotFound), (400, errors.Invalid)])
def test_an_error_of_somebody_between_is_one_of_ours(status: int, kind: type[MirageError]) -> None:
    assert type(read_problem("organ", status, b"<html>")) is kind


def test_an_answer_of_another_form_is_incompatible() -> None:
    with pytest.raises(Incompatible, match="organ answers play_tune in another way"):
        read_answer(PLAY, b'{"number": 1}')


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_stream_is_read_however_it_is_cut(size: int) -> None:
    reply = await request(compose_app(Organ()), "GET", LISTEN.path)
    assert [note.pitch async for note in read_events(LISTEN, cut(reply.body, size), "organ")] == [1, 2]


async def test_a_stream_that_fails_raises_what_it_failed_with() -> None:
    reply = await request(compose_app(Organ()), "GET", "/v1/stumbles/later")
    parts = read_events(STUMBLE, cut(reply.body, 10), "organ")
    assert (await anext(parts)).pitch == 1
    with pytest.raises(errors.Conflict, match="lost the page"):
        await anext(parts)


async def test_a_stream_without_its_end_broke_off() -> None:
    reply = await request(compose_app(Organ()), "GET", LISTEN.path)
    parts = read_events(LISTEN, cut(reply.body.removesuffix(END), 10), "organ")
    assert [(await anext(parts)).pitch, (await anext(parts)).pitch] == [1, 2]
    with pytest.raises(Unavailable, match="broke off"):
        await anext(parts)


async def test_the_parts_of_a_stream_that_resumes_have_their_sequence() -> None:
    reply = await request(compose_app(Organ()), "GET", ROLL.path)
    assert [hole.sequence async for hole in read_events(ROLL, cut(reply.body, 10), "organ")] == [1, 2, 3, 4]


def test_whatever_is_asked_by_an_address_can_be_written_into_one() -> None:
    for service in load_services():
        for endpoint in service.answers:
            if endpoint.method in {"GET", "DELETE"}:
                for field in msgspec.structs.fields(endpoint.takes):
                    assert "tuple" not in str(field.type), (endpoint.name, field.name)
                    assert "dict" not in str(field.type), (endpoint.name, field.name)


async def cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


# --- a stream that is passed on ---

EVENTS = b"id: 1\r\ndata: {}\r\n\r\n: nothing new\r\n\r\ndata: {}\n\nevent: end\r\ndata: \r\n\r\n"


@pytest.mark.parametrize("size", range(1, 24))
async def test_what_is_passed_on_of_a_stream_ends_between_events(size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(EVENTS), size):
            yield EVENTS[start : start + size]

    parts = [part async for part in whole_events(chunks())]
    assert b"".join(parts) == EVENTS
    assert all(part.endswith((b"\r\n\r\n", b"\n\n")) for part in parts)
    assert len(parts) > 1


async def test_an_event_that_does_not_end_is_passed_on_as_far_as_it_came_and_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: 1\n\ndata: "
        yield b"2"

    assert [part async for part in whole_events(chunks())] == [b"data: 1\n\n", b"data: 2"]
    monkeypatch.setattr(http_questions, "LONGEST_LINE", 6)
    with pytest.raises(Incompatible, match="an event of more than 6 bytes"):
        assert [part async for part in whole_events(chunks())] == []
