"""Calls over the data folder's socket: how other processes talk to the one that owns the folder.

A frame is four bytes of length, big endian, and MessagePack. The caller sends one `Ask`; the owner sends `Part`s, the
last of which is ``end`` or an error. A connection carries one question at a time.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.kernel.calls import A, Caller, Calls, Endpoint, LocalCalls, Q
from services.kernel.errors import BY_CODE, Invalid, MirageError, Unavailable, meaning

LIMIT: Final = 64_000_000
_LENGTH: Final = struct.Struct(">I")


class Ask(Struct, frozen=True):
    service: str
    name: str
    workspace: UUID
    caller: str
    seconds: float
    question: msgspec.Raw


class Part(Struct, frozen=True, omit_defaults=True):
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
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
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
                ask = msgspec.msgpack.decode(await _read(reader), type=Ask)
                await self._answer(ask, writer)
        except (OSError, EOFError, msgspec.MsgspecError, Unavailable):
            pass
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        caller = Caller(workspace=ask.workspace, name=ask.caller)
        try:
            endpoint = self._calls.endpoint(ask.service, ask.name)
            question = _decode(ask.question, endpoint.takes)
            if endpoint.streams:
                async with contextlib.aclosing(self._calls.follow(endpoint, question, caller)) as parts:
                    async for part in parts:
                        await _write(writer, Part(answer=msgspec.Raw(msgspec.msgpack.encode(part))))
                await _write(writer, Part(end=True))
            else:
                answer = await self._calls.ask(endpoint, question, caller, seconds=ask.seconds)
                await _write(writer, Part(answer=msgspec.Raw(msgspec.msgpack.encode(answer)), end=True))
        except MirageError as error:
            await _write(writer, Part(code=meaning(error).code, reason=str(error), end=True))


class SocketCalls(Calls):
    """Asks the process that owns a data folder; `Unavailable` when there is none (any more)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        async with contextlib.aclosing(self._parts(endpoint, question, caller, seconds)) as parts:
            async for part in parts:
                return part
        raise Unavailable(f"{endpoint.service} said nothing to {endpoint.name}")

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        async with contextlib.aclosing(self._parts(endpoint, question, caller, 30.0)) as parts:
            async for part in parts:
                yield part

    async def _parts(
        self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, seconds: float
    ) -> AsyncGenerator[A, None]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise Unavailable("no process owns the data folder") from error
        try:
            raw = msgspec.Raw(msgspec.msgpack.encode(question))
            ask = Ask(endpoint.service, endpoint.name, caller.workspace, caller.name, seconds, raw)
            await _write(writer, ask)
            while True:
                part = msgspec.msgpack.decode(await _read(reader), type=Part)
                if part.code:
                    raise BY_CODE.get(part.code, MirageError)(part.reason)
                if bytes(part.answer):
                    yield msgspec.msgpack.decode(part.answer, type=endpoint.answers)
                if part.end:
                    return
        except (OSError, EOFError) as error:
            raise Unavailable("the process that owns the data folder went away") from error
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > LIMIT:
        raise Unavailable(f"a frame of {length} bytes is larger than one may be")
    return await reader.readexactly(length)


async def _write(writer: asyncio.StreamWriter, frame: Struct) -> None:
    content = msgspec.msgpack.encode(frame)
    writer.write(_LENGTH.pack(len(content)) + content)
    await writer.drain()


def _decode(raw: msgspec.Raw, form: type[Q]) -> Q:
    try:
        return msgspec.msgpack.decode(raw, type=form)
    except msgspec.MsgspecError as error:
        raise Invalid(f"the question cannot be read: {error}") from error
