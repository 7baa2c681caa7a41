"""`values` in Consul's key-value store."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from services.kernel.consul import WAIT_SECONDS, Consul, jittered
from services.kernel.errors import Conflict, Unavailable
from services.kernel.long_poll import Answer, LongPoll
from services.kernel.server import Server
from services.kernel.values import Value, Values, check_key, check_prefix, check_values

#: Seconds after an absence of Consul in which values that it has lost go on to hold: their owner writes them again.
PATIENCE_SECONDS: Final = 60.0


class ConsulValues(Values):
    """A path in the URL goes before each key, for fleets that share a Consul."""

    def __init__(self, server: Server, *, wait: float = WAIT_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        self._consul = Consul(server)
        self._root = f"{server.path}/" if server.path else ""
        self._wait = wait
        self._patience = patience
        self._polls: dict[str, LongPoll[bytes]] = {}
        self._closed = False

    async def get(self, key: str) -> Value | None:
        self._check_open()
        check_key(key)
        _, pair = await self._consul.get(self._root + key)
        return None if pair is None else Value(pair.value or b"", pair.modify_index)

    async def read(self, prefix: str) -> dict[str, Value]:
        self._check_open()
        check_prefix(prefix)
        _, pairs = await self._consul.read(self._root + prefix)
        return {pair.key.removeprefix(self._root): Value(pair.value or b"", pair.modify_index) for pair in pairs}

    async def put(self, key: str, value: bytes, *, cas: int | None = None) -> None:
        self._check_open()
        check_values({key: value})
        if not await self._consul.put(self._root + key, value, cas=cas):
            raise Conflict(f"{key} is not at version {cas}")

    async def put_all(self, values: Mapping[str, bytes | None]) -> None:
        self._check_open()
        check_values(values)
        if len(values) == 1:
            # A transaction has room for half of the longest value only.
            for key, value in values.items():
                await (self.delete(key) if value is None else self.put(key, value))
        elif values:
            await self._consul.change({self._root + key: value for key, value in values.items()})

    async def delete(self, key: str) -> None:
        self._check_open()
        check_key(key)
        await self._consul.delete(self._root + key)

    async def watch(self, prefix: str) -> AsyncIterator[Mapping[str, bytes]]:
        self._check_open()
        check_prefix(prefix)
        async with contextlib.aclosing(self._poll(prefix).changes()) as changes:
            async for found in changes:
                yield dict(found)

    async def ping(self) -> None:
        self._check_open()
        await self._consul.ping()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for poll in self._polls.values():
            await poll.close()
        await self._consul.close()

    def measures(self) -> dict[str, float]:
        return {
            "calls": self._consul.calls,
            "watched": len(self._polls),
            "stale_seconds": max((poll.away for poll in self._polls.values()), default=0.0),
        }

    def _poll(self, prefix: str) -> LongPoll[bytes]:
        poll = self._polls.get(prefix)
        if poll is None:

            async def ask(index: int, wait: float) -> tuple[int, Answer[bytes]]:
                found, pairs = await self._consul.read(self._root + prefix, index, wait)
                return found, Answer({pair.key.removeprefix(self._root): pair.value or b"" for pair in pairs})

            poll = self._polls[prefix] = LongPoll(ask, wait=jittered(self._wait), patience=self._patience)
        return poll

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the values are closed")
