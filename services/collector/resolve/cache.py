import asyncio
from asyncio import Task
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from time import monotonic
from typing import Final

from services.collector.resolve.answer import Addresses

MOST_NAMES: Final = 20_000
MOST_BYTES: Final = 32_000_000  # of the responses behind them
LEAST_TTL: Final = 1.0  # seconds
MOST_TTL: Final = 300.0
FAILURE_TTL: Final = 5.0

LookUp = Callable[[str], Awaitable[Addresses]]


class AddressCache:
    """The addresses of names while their TTLs last (at least a second); whoever asks meanwhile shares the asking."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._known: dict[str, tuple[float, Addresses]] = {}
        self._size = 0
        self._asking: dict[str, Task[Addresses]] = {}

    async def get(self, name: str) -> Addresses:
        found = self._known.get(name)
        if found and found[0] > monotonic():
            return found[1]
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._fill(name))
        return await asyncio.shield(task)

    async def _fill(self, name: str) -> Addresses:
        try:
            found = literal(name) or await self._look_up(name)
        finally:
            del self._asking[name]
        self._forget(name)
        while len(self._known) >= MOST_NAMES or self._size > MOST_BYTES:
            self._forget(next(iter(self._known)))
        self._known[name] = monotonic() + lifetime(found), found
        self._size += size(found)
        return found

    def _forget(self, name: str) -> None:
        _, found = self._known.pop(name, (0.0, None))
        if found:
            self._size -= size(found)

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()


def size(found: Addresses) -> int:
    return sum(len(answer.wire) for answer in found.answers)


def literal(name: str) -> Addresses | None:
    """An address given in the place of a name."""
    try:
        return Addresses(name, (str(ip_address(name)),), (), ())
    except ValueError:
        return None


def lifetime(found: Addresses) -> float:
    """How long to believe it, in seconds: as long as its shortest-lived part."""
    ttls: list[float] = [MOST_TTL]
    for answer in found.answers:
        if not answer.asked:
            ttls.append(FAILURE_TTL)
        elif answer.status == "found":
            ttls += [record.ttl for record in answer.records]
        elif answer.negative_ttl is not None:
            ttls.append(answer.negative_ttl)
    return max(min(ttls), LEAST_TTL)
