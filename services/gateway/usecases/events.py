"""Server-sent events as they come from a service, one by one (WHATWG HTML, section 9.2)."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from services.kernel.errors import Unavailable
from services.kernel.http_questions import read_problem, whole_events

_BETWEEN: Final = re.compile(rb"(?<=\r\n\r\n)|(?<=\n\n)")
_SEQUENCE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class Event(Struct, frozen=True):
    """One event as it came, or a comment; its name, and its place in the stream, where it has one."""

    raw: bytes
    name: str
    sequence: int | None

    @property
    def is_comment(self) -> bool:
        return self.raw.startswith(b":")

    @property
    def is_last(self) -> bool:
        return self.name in {"end", "problem"}


async def events_of(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """One event, or comment, after the other; one that broke off is none."""
    async with aclosing(whole_events(chunks)) as whole:
        async for some in whole:
            for raw in _BETWEEN.split(some):
                if raw.endswith((b"\r\n\r\n", b"\n\n")):
                    fields = dict(_fields(raw))
                    yield Event(raw, fields.get(b"event", ""), sequence_of(fields.get(b"id", "")))


def _fields(event: bytes) -> Iterator[tuple[bytes, str]]:
    """Those that say what an event is."""
    for line in event.splitlines():
        name, _, value = line.partition(b":")
        if name in {b"id", b"event"}:
            yield name, value.removeprefix(b" ").decode("utf-8", "replace")


def raise_unavailable(service: str, event: Event) -> None:
    """Raise what a stream says that failed, where it may be asked for again."""
    data = next((line[5:] for line in event.raw.splitlines() if line.startswith(b"data:")), b"")
    error = read_problem(service, 500, data)
    if isinstance(error, Unavailable):
        raise error


def sequence_of(said: str) -> int | None:
    """The place in a stream that an id names."""
    return int(said) if _SEQUENCE.fullmatch(said) else None
