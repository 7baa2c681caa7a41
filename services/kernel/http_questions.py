"""How a question and its answer look over HTTP, from the side that asks: the other half of `services.kernel.app`."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from services.kernel.calls import A, Endpoint, Q
from services.kernel.errors import BY_CODE, Incompatible, Invalid, MirageError, Unavailable
from services.kernel.openapi import Problem, in_body

#: What streams come as, between services.
EVENTS: Final = "text/event-stream"
#: The longest line of a stream of events that is read.
LONGEST_LINE: Final = 16_000_000
_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
_STATUS: Final = {
    404: "not_found",
    403: "denied",
    401: "denied",
    429: "unavailable",
    400: "invalid",
    413: "invalid",
    431: "invalid",
}


class Asked(Struct):
    """A question as a request: ``target`` is the path and the query.

    Who asks may let go of ``body`` as soon as the answer has begun.
    """

    method: str
    target: str
    body: bytes | None


def write_question(endpoint: Endpoint[Q, Any], question: Q) -> Asked:
    """Put the fields of a question where its endpoint takes them.

    Raises:
        Invalid: a field of the path is empty: there is another endpoint at that, or none.
    """
    fields: dict[str, Any] = msgspec.to_builtins(question)
    if empty := next((name for name in endpoint.path_fields if fields[name] == ""), ""):
        raise Invalid(f"{endpoint.name} takes a {empty}, and this one is empty")
    path = _PARAMETER.sub(lambda match: quote(_text(fields[match[1]]), safe=""), endpoint.path)
    inside = in_body(endpoint)
    query = {
        name: _text(value)
        for name, value in fields.items()
        if name not in inside and name not in endpoint.path_fields and value is not None
    }
    body = msgspec.json.encode({name: fields[name] for name in inside}) if inside else None
    return Asked(endpoint.method, f"{path}?{urlencode(query)}" if query else path, body)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_answer(endpoint: Endpoint[Any, A], body: bytes) -> A:
    """Decode an answer; fields that are not known are skipped, so that a newer service does no harm."""
    try:
        return msgspec.json.decode(body, type=endpoint.answers)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Incompatible(f"{endpoint.service} answers {endpoint.name} in another way: {error}") from error


def read_problem(service: str, status: int, body: bytes) -> MirageError:
    """The error that the other side had, as it would be raised here."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return BY_CODE.get(_STATUS.get(status, ""), Unavailable)(f"{service} answered with status {status}")
    code = problem.code if problem.code in BY_CODE else _STATUS.get(problem.status, "")
    return BY_CODE.get(code, MirageError)(problem.detail)


async def read_events(
    endpoint: Endpoint[Any, A], chunks: AsyncIterator[bytes], service: str
) -> AsyncGenerator[A, None]:
    """The parts of a stream of server-sent events, up to its end.

    Raises:
        Unavailable: it broke off.
        MirageError: the other side says that it failed, and why.
    """
    event, data = "", b""
    async for line in _lines(chunks):
        if line:
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"event":
                event = value.decode("utf-8", "replace")
            elif field == b"data":
                data = value
            continue
        if event == "end":
            return
        if event == "problem":
            raise read_problem(service, 500, data)
        if data:
            yield read_answer(endpoint, data)
        event, data = "", b""
    raise Unavailable(f"the stream of {service} broke off")


async def whole_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream of server-sent events, cut between events: what is said after any of them is read.

    Raises:
        Incompatible: an event is longer than one may be.
    """
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        end = _end_of_events(begun, len(begun) - len(chunk) - 3)
        if end:
            yield bytes(begun[:end])
            del begun[:end]
        elif len(begun) > LONGEST_LINE:
            raise Incompatible(f"an event of more than {LONGEST_LINE} bytes is none")
    if begun:
        yield bytes(begun)


def _end_of_events(content: bytearray, start: int) -> int:
    """Where the last whole event ends that does so after ``start``, 0 where none does."""
    found = [(content.rfind(between, max(0, start)), len(between)) for between in (b"\n\n", b"\r\n\r\n")]
    return max(place + length if place >= 0 else 0 for place, length in found)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    left = b""
    async for chunk in chunks:
        *whole, left = (left + chunk).split(b"\n")
        if len(left) > LONGEST_LINE:
            raise Incompatible(f"a line of more than {LONGEST_LINE} bytes is no event")
        for line in whole:
            yield line.removesuffix(b"\r")
