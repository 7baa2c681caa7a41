"""What goes along with a piece of work: until when it is worth anything, and the trace that it belongs to.

Both are inherited by whatever is asked for its sake, in this process and in others: the time left shrinks on the way.
The trace is the ``traceparent`` of W3C Trace Context (https://www.w3.org/TR/trace-context/).
"""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

TRACE: Final = "traceparent"
#: The header by which an answer says the id of its trace.
REQUEST_ID: Final = b"x-request-id"
#: Seconds that the caller still waits, as a header; relative, since clocks of machines differ.
SECONDS: Final = "Mirage-Seconds"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Work(Struct, frozen=True):
    """``ends``: of the event loop's clock; None where nobody waits."""

    traceparent: str = ""
    ends: float | None = None


_NONE: Final = Work()
_current: Final[ContextVar[Work]] = ContextVar("work", default=_NONE)


def current_trace() -> str:
    """The trace of what is being worked on; empty where there is none."""
    return _current.get().traceparent


def seconds_left(most: float) -> float:
    """The seconds that whoever began this still waits, ``most`` at most; 0 when they are over."""
    ends = _current.get().ends
    return most if ends is None else max(0.0, min(most, ends - asyncio.get_running_loop().time()))


@contextmanager
def work(*, traceparent: str | None = None, seconds: float | None = None) -> Iterator[None]:
    """Let what is done in the block belong to a trace, and be over in some seconds; what is None stays as it is."""
    before = _current.get()
    ends = before.ends if seconds is None else asyncio.get_running_loop().time() + seconds_left(seconds)
    token = _current.set(Work(before.traceparent if traceparent is None else traceparent, ends))
    try:
        yield
    finally:
        _current.reset(token)


def continue_trace(given: str = "") -> str:
    """One more step of the trace that ``given`` names, or the first one of a new trace."""
    match = _TRACEPARENT.fullmatch(given)
    trace = match[1] if match and set(match[1]) != {"0"} else os.urandom(16).hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01"


def trace_id(traceparent: str) -> str:
    """What all steps of a trace have in common; empty where there is none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""
