"""A port that answers over HTTP, and how it ends: no request is dropped that can still be answered in time."""

import asyncio
import socket
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.kernel.http_limits import LimitedProtocol, Limits, limited
from services.kernel.under_way import UnderWay

#: Seconds in which who asked has to take what is said at the end.
HANGING_UP: Final = 1.0
#: Seconds for which a connection is kept that nobody uses.
KEPT: Final = 30


class HttpServer:
    """Serves an ASGI application on a socket that listens, which it closes in the end."""

    def __init__(self, app: Any, listener: socket.socket, limits: Limits | None = None) -> None:
        self._listener = listener
        self._limits = limits
        self._under_way = UnderWay(app)
        protocol = limited(limits) if limits is not None else HttpToolsProtocol
        self._server = uvicorn.Server(uvicorn.Config(self._under_way, http=protocol, **_CONFIG))
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> "asyncio.Task[None]":
        """Serve, until the task that is returned ends: it does when this is closed."""
        # `serve` would take the signals.
        self._serving = asyncio.create_task(self._server._serve([self._listener]))  # noqa: SLF001
        if self._limits is not None:
            self._looking = asyncio.create_task(self._look(self._limits.look))
        return self._serving

    async def close(self, seconds: float) -> None:
        """Listen no more, and end when all requests that are under way are answered.

        Streams that can be resumed are told at once that they end; what else is under way after ``seconds`` then.
        """
        self._server.should_exit = True
        self._under_way.end_resumable()
        if not await self._ends_within(seconds):
            self._under_way.end_all()
            if not await self._ends_within(HANGING_UP):
                self._server.force_exit = True
                for connection in list(self._server.server_state.connections):
                    connection.transport.abort()
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(self._serving, *filter(None, [self._looking]), return_exceptions=True)
        self._listener.close()

    async def _ends_within(self, seconds: float) -> bool:
        done, _ = await asyncio.wait({self._serving}, timeout=seconds)
        return bool(done)

    async def _look(self, seconds: float) -> None:
        """Have each connection looked at from time to time."""
        while True:
            await asyncio.sleep(seconds)
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, LimitedProtocol):
                    connection.look()


_CONFIG: Final[dict[str, Any]] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "headers": [("X-Content-Type-Options", "nosniff")],  # what is told is what it is said to be, and no page
    "proxy_headers": False,  # or whoever comes through loopback would say where he comes from
    "timeout_keep_alive": KEPT,
}
