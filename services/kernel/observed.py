"""Around an ASGI application: every request belongs to a trace, is measured, and is one line of the log.

Every answer says the id of its trace, which is in the log of each process that took part.
"""

from time import perf_counter
from typing import Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from services.kernel import metrics
from services.kernel.request import REQUEST_ID, TRACE, continue_trace, trace_id, work
from services.kernel.tokens import without_tokens

#: Asked every few seconds by whoever looks after this process: worth a line only when it fails.
_QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
_NAME: Final = "endpoint"

_log = structlog.get_logger(__name__)


def name_request(scope: Scope, endpoint: str) -> None:
    """Say which endpoint a request asks."""
    scope["state"][_NAME] = endpoint


class Observed:
    """Middleware, the outermost one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == TRACE.encode()), b"")
        traceparent = continue_trace(given.decode("latin-1"))
        trace = trace_id(traceparent)
        scope.setdefault("state", {})[TRACE] = traceparent
        began, status = perf_counter(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (REQUEST_ID, trace.encode())]}
            await send(message)

        with work(traceparent=traceparent), structlog.contextvars.bound_contextvars(trace=trace):
            try:
                await self._app(scope, receive, send_noting)
            finally:
                _note(scope, status, perf_counter() - began)


def _note(scope: HTTPScope, status: int, seconds: float) -> None:
    endpoint = str(scope["state"].get(_NAME, "other"))
    metrics.request(endpoint, status, seconds)
    if scope["path"] not in _QUIET or status >= 500:
        path, ms = without_tokens(scope["path"])[:200], round(seconds * 1000, 1)
        _log.info("request", method=scope["method"], path=path, endpoint=endpoint, status=status, ms=ms)
