"""What is told of an error over HTTP: a problem document (RFC 9457)."""

from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from typing import Any

import msgspec
import structlog

from services.kernel.errors import UNKNOWN, Limited, Unauthenticated, meaning
from services.kernel.openapi import PROBLEM, Problem
from services.kernel.request import current_trace, trace_id

_log = structlog.get_logger(__name__)


def problem_of(error: Exception) -> Problem:
    """What is told of an error; of one that is not ours nothing but that it is logged."""
    means = meaning(error)
    detail = str(error)
    if means is UNKNOWN:
        _log.error("a request failed", exc_info=error)
        detail = "a fault of Mirage; see its log"
    return make_problem(means.status, means.code, detail)


def make_problem(status: int, code: str, detail: str) -> Problem:
    """The document for an error that is known by its code; its title is the code in words."""
    title = code.replace("_", " ").capitalize()
    request_id = trace_id(current_trace())
    return Problem(type="about:blank", title=title, status=status, detail=detail, code=code, request_id=request_id)


def headers_of(error: Exception) -> dict[str, str]:
    """What else is told of an error over HTTP: how to be known (RFC 6750), or when to ask again."""
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Limited):
        return {"Retry-After": str(max(1, ceil(error.seconds)))}
    return {}


async def send_problem(
    send: Callable[[Any], Awaitable[None]], problem: Problem, *, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer a request of ASGI by a problem; ``headers`` are beside the one that says what it is."""
    said = [(b"content-type", PROBLEM.encode()), *headers]
    await send({"type": "http.response.start", "status": problem.status, "headers": said})
    await send({"type": "http.response.body", "body": msgspec.json.encode(problem), "more_body": False})
