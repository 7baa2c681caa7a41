"""`values` of one process, gone with it."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from services.kernel.errors import Conflict, Unavailable
from services.kernel.values import Value, Values, check_key, check_prefix, check_values


class LocalValues(Values):
    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._version = 0
        self._watchers: set[asyncio.Event] = set()
        self._closed = False

    async def get(self, key: str) -> Value | None:
        self._check_open()
        check_key(key)
        return self._values.get(key)

    async def read(self, prefix: str) -> dict[str, Value]:
        self._check_open()
        check_prefix(prefix)
        return {key: self._values[key] for key in sorted(self._values) if key.startswith(prefix)}

    async def put(self, key: str, value: bytes, *, cas: int | None = None) -> None:
        self._check_open()
        check_values({key: value})
        known = self._values.get(key)
        if cas is not None and cas != (known.version if known else 0):
            raise Conflict(f"{key} is not at version {cas}")
        self._change({key: value})

    async def put_all(self, values: Mapping[str, bytes | None]) -> None:
        self._check_open()
        check_values(values)
        self._change(values)

    async def delete(self, key: str) -> None:
        self._check_open()
        check_key(key)
        self._change({key: None})

    async def watch(self, prefix: str) -> AsyncIterator[Mapping[str, bytes]]:
        check_prefix(prefix)
        changed = asyncio.Event()
        changed.set()
        self._watchers.add(changed)
        last: dict[str, bytes] | None = None
        try:
            while True:
                await changed.wait()
                changed.clear()
                found = {key: each.value for key, each in (await self.read(prefix)).items()}
                if found != last:
                    last = found
                    yield dict(found)
        finally:
            self._watchers.discard(changed)

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._closed = True
        self._tell()

    def _change(self, values: Mapping[str, bytes | None]) -> None:
        self._version += 1
        for key, value in values.items():
            known = self._values.get(key)
            if value is None:
                self._values.pop(key, None)
            elif known is None or known.value != value:
                self._values[key] = Value(bytes(value), self._version)
        self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the values are closed")
