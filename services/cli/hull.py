"""Where a command finds the services: in this process, in the one that owns the data folder, or behind a server."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from msgspec import Struct

from services.catalogue import load_embedded, load_services
from services.kernel import letters
from services.kernel.calls import A, Caller, Calls, Endpoint, Nothing, Q, operator
from services.kernel.errors import Exhausted, MirageError, NotFound, Unavailable
from services.kernel.folder import SOCKET, Owned
from services.kernel.messages import workspace_id
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.socket import OwnerLost, SocketCalls, SocketServer

#: How long an owner may take to start answering, or to be gone.
SETTLING: Final = 10.0
LOOK_AGAIN: Final = 0.05
#: How long an owner may take to hold still.
HOLDING: Final = 30.0
#: Whom the questions below are for: an owner as such, not one of its services.
HULL: Final = "hull"
#: Bytes with which nothing can be done: SQLite begins with 32 kB beside each of a dozen files.
NO_ROOM: Final = 500_000
#: Answered by an owner that came to look: whoever needs work to be done asks it to do it as long as it is there.
WORK: Final = Endpoint(
    service=HULL,
    name="work",
    method="POST",
    path="/v1/work",
    takes=Nothing,
    answers=Nothing,
    summary="Begin to work",
    audited=False,
)
#: Answered by an owner that came to look, too: whether somebody asked it to work.
WORKS: Final = Endpoint(
    service=HULL,
    name="works",
    method="GET",
    path="/v1/work",
    takes=Nothing,
    answers=bool,
    summary="Say whether this process works",
)
OPERATOR: Final = operator(workspace_id("default"))
#: How many seconds a copy may take: of the databases, while scans stand still; of all, while room is not reclaimed.
HELD_SECONDS: Final = {"relays": 120.0, "segments": 7200.0}


class Held(Struct, frozen=True):
    """What is to be held; see `Runtime.relays_held` and `Runtime.segments_held`."""

    what: Literal["relays", "segments"]


#: Answered by every owner: it says one thing when it holds, and holds until whoever asked hangs up.
HOLD: Final = Endpoint(
    service=HULL,
    name="hold",
    method="POST",
    path="/v1/hold",
    takes=Held,
    answers=Nothing,
    summary="Hold still to be copied",
    streams=True,
    audited=False,
)


class Hull:
    """Runs the services on the data folder, or reaches the process that does.

    Whoever comes first owns the folder and answers the others over its socket; when the owner dies, `reconnect` makes
    the next one the owner, and what was running goes on. When a part of this process ends that should not, the block
    is left with that error. Without ``works`` it came to look: what is queued for collectors stays so, and no source is
    asked, unless another process comes that works.
    """

    def __init__(self, settings: Settings, *, works: bool = True) -> None:
        self.settings = settings
        self._works = works
        self.runtime: Runtime | None = None
        self._calls: Calls | None = None
        self._stack = AsyncExitStack()
        self._host: asyncio.Task[object] | None = None
        self._failure: BaseException | None = None
        self._interrupted = False
        self._reconnecting = asyncio.Lock()

    @property
    def calls(self) -> Calls:
        """How services are asked; a question that an owner took with it is asked of the next one."""
        return self.nearest if self.runtime is not None else CallsOfOwner(self)

    @property
    def nearest(self) -> Calls:
        """The services in this process, or the socket of the owner that is known."""
        assert self._calls is not None
        return self._calls

    async def __aenter__(self) -> Self:
        self._host = asyncio.current_task()
        try:
            await self._arrive()
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
            raise told_of_full_disk(self._failure, self.settings.folder) from self._failure.__cause__
        if isinstance(error, Exhausted | Unavailable) and _is_full(self.settings.folder):
            raise told_of_full_disk(error, self.settings.folder) from error

    async def _arrive(self) -> None:
        try:
            await self.reconnect()
        except MirageError as error:
            raise told_of_full_disk(error, self.settings.folder) from error.__cause__

    async def reconnect(self) -> None:
        """Own the folder if nobody does, else talk to its owner.

        Raises:
            Owned: another process has it and does not answer.
        """
        deadline = time.monotonic() + SETTLING
        async with self._reconnecting:
            while self.runtime is None:
                try:
                    await self._own()
                except Owned:
                    if await self._reach_owner():
                        return
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(LOOK_AGAIN)

    async def _reach_owner(self) -> bool:
        owner = SocketCalls(self.settings.folder / SOCKET)
        try:
            await owner.ping()
            if self._works:
                with suppress(NotFound):  # one that works anyway has no such door
                    await owner.ask(WORK, Nothing(), OPERATOR)
        except OwnerLost:
            return False
        self._calls = owner
        return True

    async def somebody_works(self) -> bool:
        """Whether the process that owns the folder works: if not, no scan goes on."""
        if self._works:
            return True
        try:
            return await self.calls.ask(WORKS, Nothing(), OPERATOR)
        except NotFound:  # as above
            return True

    @asynccontextmanager
    async def held(self, what: Literal["relays", "segments"]) -> AsyncIterator[None]:
        """While this is open, whoever owns the folder holds still; it is an error when that was not to the end.

        Raises:
            Unavailable: the owner was lost, or the block took longer than `HELD_SECONDS`.
        """
        async with aclosing(self.calls.follow(HOLD, Held(what), OPERATOR)) as parts:
            try:
                async with asyncio.timeout(HOLDING):
                    await anext(parts)
            except TimeoutError:
                raise Unavailable("the process that owns the data folder does not hold still") from None
            ending = asyncio.ensure_future(anext(parts))
            try:
                yield
                if ending.done():
                    ending.result()
            finally:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)

    async def heard(self, consumer: str) -> None:
        """Wait until a consumer has taken in what was said by now, where this process owns the folder.

        An owner that runs for longer does so at any time.
        """
        if self.runtime is not None:
            await self.runtime.settle(consumer, SETTLING)

    async def lost(self, error: Unavailable) -> bool:
        """Whether ``error`` came of an owner that died; if so, another one (maybe this process) has taken over."""
        if not isinstance(error, OwnerLost):
            return False
        await self.reconnect()
        return True

    async def _own(self) -> None:
        opened = Runtime(load_embedded(), self.settings, works=self._works, others=load_services())
        runtime = await self._stack.enter_async_context(opened)
        runtime.calls.serve(runtime, {HOLD: hold})
        if not self._works:
            runtime.calls.serve(runtime, {WORK: begin_work, WORKS: say_whether_it_works})
        runtime.calls.serve(runtime.bus, letters.DOORS)
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


def told_of_full_disk(error: BaseException, folder: Path) -> BaseException:
    """An error as it is; where the disk of the data folder is full, that nothing is lost by it, and what to do.

    SQLite cannot even read there: it needs some room beside each of its files, and calls it a failed disk.
    """
    if not isinstance(error, MirageError) or not (isinstance(error, Exhausted) or _is_full(folder)):
        return error
    said = str(error) if isinstance(error, Exhausted) else f"the disk is full ({error})"
    return Exhausted(f"{said}; all that {folder} has is kept: make room on its disk, then call again")


def _is_full(folder: Path) -> bool:
    return folder.exists() and shutil.disk_usage(folder).free < NO_ROOM


async def begin_work(runtime: Runtime, _caller: Caller, _question: Nothing) -> Nothing:
    """Answer `WORK`."""
    runtime.work()
    return Nothing()


async def say_whether_it_works(runtime: Runtime, _caller: Caller, _question: Nothing) -> bool:
    """Answer `WORKS`."""
    return runtime.works


async def hold(runtime: Runtime, _caller: Caller, question: Held) -> AsyncGenerator[Nothing, None]:
    """Answer `HOLD`."""
    async with runtime.relays_held() if question.what == "relays" else runtime.segments_held():
        yield Nothing()
        await asyncio.sleep(HELD_SECONDS[question.what])
    raise Unavailable("the data folder was not copied in the time for which its owner holds still")


class CallsOfOwner(Calls):
    """Asks whoever owns the folder of a hull, one owner after the other, this process among them.

    `OwnerLost` is left when a question may have been answered that must not be asked twice, or a stream has begun.
    """

    def __init__(self, hull: Hull) -> None:
        self._hull = hull

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        while True:
            try:
                return await self._hull.nearest.ask(endpoint, question, caller, seconds=seconds)
            except OwnerLost as lost:
                if lost.taken and not endpoint.idempotent:
                    raise
            await self._hull.reconnect()

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        begun = False
        while True:
            try:
                async with aclosing(self._hull.nearest.follow(endpoint, question, caller)) as parts:
                    async for part in parts:
                        begun = True
                        yield part
                return
            except OwnerLost:
                if begun:
                    raise
            await self._hull.reconnect()
