"""What is told of an error over HTTP: a problem document (RFC 9457)."""

import structlog

from services.kernel.errors import UNKNOWN, meaning
from services.kernel.openapi import Problem

_log = structlog.get_logger(__name__)


def problem_of(error: Exception) -> Problem:
    """What is told of an error; of one that is not ours nothing but that it is logged."""
    means = meaning(error)
    detail = str(error)
    if means is UNKNOWN:
        _log.error("a request failed", exc_info=error)
        detail = "a fault of Mirage; see its log"
    return Problem(
        type="about:blank",
        title=means.code.replace("_", " ").capitalize(),
        status=means.status,
        detail=detail,
        code=means.code,
    )
