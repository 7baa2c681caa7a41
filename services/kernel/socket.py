"""Calls over the data folder's socket: how other processes talk to the one that owns the folder.

A frame is four bytes of length, big endian, and MessagePack. The caller sends one `Ask`; the owner sends `Part`s, the
first of which says that the question is ``taken`` and the last of which is ``end`` or an error. A connection carries
one question at a time; whoever hangs up ends a stream.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from services.kernel.calls import A, Caller, Calls, Endpoint, LocalCalls, Q, operator
from services.kernel.errors import BY_CODE, UNKNOWN, Incompatible, Invalid, MirageError, Unavailable, meaning
from services.kernel.wording import fault_of

LIMIT: Final = 64_000_000
#: An owner that says nothing for so long after the deadline of a question hangs.
GRACE: Final = 2.0
_LENGTH: Final = struct.Struct(">I")

_log = structlog.get_logger(__name__)


class OwnerLost(Unavailable):
    """Nobody owns the data folder, or its owner went away; somebody else may take it over.

    ``taken``: the owner had begun to answer, so that what was asked for may have happened.
    """

    def __init__(self, reason: str, *, taken: bool = False) -> None:
        super().__init__(reason)
        self.taken = taken


class _HungUp(Exception):
    """The other end is gone, or speaks out of turn."""


class Ask(Struct, frozen=True):
    service: str
    name: str
    workspace: UUID
    caller: str
    seconds: float
    question: msgspec.Raw


class Part(Struct, frozen=True, omit_defaults=True):
    taken: bool = False
    answer: msgspec.Raw = msgspec.Raw()
    end: bool = False
    code: str = ""
    reason: str = ""


class SocketServer:
    """Answers calls on a Unix socket that only its owner may open."""

    def __init__(self, calls: LocalCalls, path: Path) -> None:
        self._calls = calls
        self._path = path
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen; `Invalid` when the path is none that a socket can have."""
        self._path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        except OSError as error:
            raise Invalid(f"no socket can be at {self._path}, name a shorter data folder: {error.strerror}") from error
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Hang up on everybody; what they asked for ends unanswered."""
        if self._server is not None:
            self._server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while True:
                frame = await _read(reader)
                try:
                    await self._answer(frame, reader, writer)
                except _HungUp:
                    raise
                except Exception as error:  # noqa: BLE001  whatever it is, the caller learns of it
                    await _write(writer, _failure(error))
        except (_HungUp, asyncio.CancelledError):
            # Nobody awaits this task but `close`, and streams of Python 3.11 log one that ends as cancelled.
            pass
        except Invalid as error:
            with contextlib.suppress(_HungUp):
                await _write(writer, _failure(error))
        finally:
            self._open.discard(task)
            await _close(writer)

    async def _answer(self, frame: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ask = msgspec.msgpack.decode(frame, type=Ask)
        except msgspec.MsgspecError as error:
            raise Invalid(f"that is no question: {error}") from error
        caller = operator(ask.workspace, ask.caller)
        endpoint = self._calls.endpoint(ask.service, ask.name)
        question = _decode_question(ask.question, endpoint)
        await _write(writer, Part(taken=True))
        if endpoint.streams:
            await _while_connected(reader, self._stream(endpoint, question, caller, writer))
        else:
            answer = await self._calls.ask(endpoint, question, caller, seconds=ask.seconds)
            await _write(writer, Part(answer=_encode(answer), end=True))

    async def _stream(
        self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, writer: asyncio.StreamWriter
    ) -> None:
        async with contextlib.aclosing(self._calls.follow(endpoint, question, caller)) as parts:
            async for part in parts:
                await _write(writer, Part(answer=_encode(part)))
        await _write(writer, Part(end=True))


class SocketCalls(Calls):
    """Asks the process that owns a data folder; `OwnerLost` when there is none (any more)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ping(self) -> None:
        """Raise `OwnerLost` unless somebody listens."""
        _, writer = await self._connect()
        await _close(writer)

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        try:
            async with (
                asyncio.timeout(seconds + GRACE) as deadline,
                contextlib.aclosing(self._parts(endpoint, question, caller, seconds)) as parts,
            ):
                async for part in parts:
                    return part
        except TimeoutError:
            if not deadline.expired():
                raise
            reason = f"the process that owns the data folder did not answer {endpoint.name} within {seconds:g} s"
            raise Unavailable(reason) from None
        raise Unavailable(f"{endpoint.service} said nothing to {endpoint.name}")

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        async with contextlib.aclosing(self._parts(endpoint, question, caller, 0.0)) as parts:
            async for part in parts:
                yield part

    async def _parts(
        self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, seconds: float
    ) -> AsyncGenerator[A, None]:
        reader, writer = await self._connect()
        taken = False
        try:
            ask = Ask(endpoint.service, endpoint.name, caller.workspace, caller.name, seconds, _encode(question))
            await _write(writer, ask)
            while True:
                part = _decode_part(await _read(reader))
                taken = taken or part.taken
                if part.code:
                    raise BY_CODE.get(part.code, MirageError)(part.reason)
                if memoryview(part.answer).nbytes:
                    yield _decode_answer(part.answer, endpoint)
                if part.end:
                    return
        except _HungUp as error:
            raise OwnerLost("the process that owns the data folder went away", taken=taken) from error
        finally:
            await _close(writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise OwnerLost("no process owns the data folder") from error


async def _while_connected(reader: asyncio.StreamReader, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` until it is done or the other end hangs up; a stream that is silent would not notice by writing."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _HungUp
        working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > LIMIT:
            raise Invalid(f"a frame of {length} bytes is larger than one may be")
        return await reader.readexactly(length)
    except (OSError, EOFError) as error:
        raise _HungUp from error


async def _write(writer: asyncio.StreamWriter, frame: Struct) -> None:
    content = msgspec.msgpack.encode(frame)
    if len(content) > LIMIT:
        raise Invalid(f"a frame of {len(content)} bytes is larger than one may be")
    try:
        writer.write(_LENGTH.pack(len(content)) + content)
        await writer.drain()
    except OSError as error:
        raise _HungUp from error


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _encode(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def _decode_question(raw: msgspec.Raw, endpoint: Endpoint[Q, A]) -> Q:
    """Decode strictly: a field that nobody knows may be the one that mattered."""
    try:
        fields = msgspec.msgpack.decode(raw, type=dict[str, msgspec.Raw])
        unknown = fields.keys() - set(endpoint.takes.__struct_encode_fields__)
        if unknown:
            raise Invalid(f"{endpoint.name} takes no {', '.join(sorted(unknown))}")
        return msgspec.msgpack.decode(raw, type=endpoint.takes)
    except msgspec.MsgspecError as error:
        raise Invalid(f"the question {endpoint.name} cannot be read: {fault_of(error, endpoint.takes)}") from error


def _decode_part(frame: bytes) -> Part:
    try:
        return msgspec.msgpack.decode(frame, type=Part)
    except msgspec.MsgspecError as error:
        raise Incompatible(f"the process that owns the data folder speaks another version: {error}") from error


def _decode_answer(raw: msgspec.Raw, endpoint: Endpoint[Q, A]) -> A:
    try:
        return msgspec.msgpack.decode(raw, type=endpoint.answers)
    except msgspec.MsgspecError as error:
        raise Incompatible(f"the process that owns the data folder speaks another version: {error}") from error


def _failure(error: Exception) -> Part:
    """What the caller is told of an error; a fault of the code stays in the log."""
    if isinstance(error, MirageError):
        return Part(code=meaning(error).code, reason=str(error), end=True)
    _log.error("a question failed", exc_info=error)
    return Part(
        code=UNKNOWN.code, reason="a fault of Mirage; the process that owns the data folder logged it", end=True
    )
