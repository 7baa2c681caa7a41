"""Where a command finds the services: in this process, in the one that owns the data folder, or behind a server."""

import asyncio
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from services.catalogue import load_services
from services.kernel.calls import Calls
from services.kernel.errors import Unavailable
from services.kernel.folder import SOCKET, Owned
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.socket import OwnerLost, SocketCalls, SocketServer

#: How long an owner may take to start answering, or to be gone.
SETTLING: Final = 10.0
LOOK_AGAIN: Final = 0.05


class Hull:
    """Runs the services on the data folder, or reaches the process that does.

    Whoever comes first owns the folder and answers the others over its socket; when the owner dies, `reconnect` makes
    the next one the owner, and what was running goes on. When a part of this process ends that should not, the block
    is left with that error.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runtime: Runtime | None = None
        self._calls: Calls | None = None
        self._stack = AsyncExitStack()
        self._host: asyncio.Task[object] | None = None
        self._failure: BaseException | None = None
        self._interrupted = False

    @property
    def calls(self) -> Calls:
        assert self._calls is not None
        return self._calls

    async def __aenter__(self) -> Self:
        self._host = asyncio.current_task()
        try:
            await self.reconnect()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if self._failure is not None:
            if self._interrupted and self._host is not None:
                self._host.uncancel()
            raise self._failure

    async def reconnect(self) -> None:
        """Own the folder if nobody does, else talk to its owner.

        Raises:
            Owned: another process has it and does not answer.
        """
        deadline = time.monotonic() + SETTLING
        while True:
            try:
                return await self._own()
            except Owned as owned:
                owner = SocketCalls(self.settings.folder / SOCKET)
                try:
                    await owner.ping()
                except OwnerLost:
                    if time.monotonic() > deadline:
                        raise owned from None
                else:
                    self._calls = owner
                    return None
            await asyncio.sleep(LOOK_AGAIN)

    async def lost(self, error: Unavailable) -> bool:
        """Whether ``error`` came of an owner that died; if so, another one (maybe this process) has taken over."""
        if not isinstance(error, OwnerLost):
            return False
        await self.reconnect()
        return True

    async def _own(self) -> None:
        runtime = await self._stack.enter_async_context(Runtime(load_services(), self.settings))
        server = SocketServer(runtime.calls, runtime.folder.socket)
        await server.start()
        self._stack.push_async_callback(server.close)
        self._stack.callback(asyncio.create_task(self._watch_over(runtime)).cancel)
        self.runtime = runtime
        self._calls = runtime.calls

    async def _watch_over(self, runtime: Runtime) -> None:
        """Leave the block when a part of the process fails: nothing that waits for it would ever end."""
        try:
            await runtime.failure()
        except Exception as error:  # noqa: BLE001  raised again by __aexit__
            self._failure = error
            if self._host is not None:
                self._interrupted = self._host.cancel()
