"""Where a command finds the services: in this process, in the one that owns the data folder, or behind a server."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from services.catalogue import load_services
from services.kernel.calls import Calls
from services.kernel.errors import Unavailable
from services.kernel.folder import SOCKET, Owned
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.socket import SocketCalls, SocketServer


class Hull:
    """Runs the services on the data folder, or reaches the process that does.

    Whoever comes first owns the folder and answers the others over its socket; when the owner dies, `reconnect` makes
    the next one the owner, and what was running goes on.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runtime: Runtime | None = None
        self._calls: Calls | None = None
        self._stack = AsyncExitStack()

    @property
    def calls(self) -> Calls:
        assert self._calls is not None
        return self._calls

    async def __aenter__(self) -> Self:
        await self.reconnect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def reconnect(self) -> None:
        """Own the folder if nobody does, else talk to its owner."""
        try:
            runtime = await self._stack.enter_async_context(Runtime(load_services(), self.settings))
        except Owned:
            self._calls = SocketCalls(self.settings.folder / SOCKET)
            return
        server = SocketServer(runtime.calls, runtime.folder.socket)
        await server.start()
        self._stack.push_async_callback(server.close)
        self.runtime = runtime
        self._calls = runtime.calls

    async def lost(self, error: Unavailable) -> bool:
        """Whether ``error`` came of an owner that died; if so, another one (maybe this process) has taken over."""
        if self.runtime is not None:
            return False
        await self.reconnect()
        return True
