"""`directory` of one process: what is registered is well until it leaves."""

import asyncio
from collections.abc import AsyncIterator

from services.kernel.directory import Directory, Instance, Known, check_instance
from services.kernel.errors import Unavailable


class LocalDirectory(Directory):
    def __init__(self) -> None:
        self._services: dict[str, dict[str, Instance]] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    async def register(self, instance: Instance) -> None:
        self._check_open()
        check_instance(instance)
        known = self._services.setdefault(instance.service, {})
        if known.get(instance.id) != instance:
            known[instance.id] = instance
            self._tell(instance.service)

    async def deregister(self, service: str, id: str) -> None:
        self._check_open()
        if self._services.get(service, {}).pop(id, None) is not None:
            self._tell(service)

    async def resolve(self, service: str) -> list[Instance]:
        self._check_open()
        return self._list(service)

    async def survey(self, service: str) -> list[Known]:
        self._check_open()
        return [Known(instance, well=True) for instance in self._list(service)]

    async def watch(self, service: str) -> AsyncIterator[list[Instance]]:
        changed = asyncio.Event()
        changed.set()
        watchers = self._watchers.setdefault(service, set())
        watchers.add(changed)
        last: list[Instance] | None = None
        try:
            while True:
                await changed.wait()
                self._check_open()
                changed.clear()
                if (found := self._list(service)) != last:
                    last = found
                    yield list(found)
        finally:
            watchers.discard(changed)

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._closed = True
        for service in self._watchers:
            self._tell(service)

    def _list(self, service: str) -> list[Instance]:
        return [instance for _, instance in sorted(self._services.get(service, {}).items())]

    def _tell(self, service: str) -> None:
        for watcher in self._watchers.get(service, ()):
            watcher.set()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the directory is closed")
