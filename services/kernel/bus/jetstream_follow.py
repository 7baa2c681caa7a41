"""Reading along in several streams at once: what is there in the order in which it was kept, then as it comes."""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping

from nats.aio.msg import Msg

from services.kernel.bus.jetstream_connection import Connection
from services.kernel.bus.jetstream_link import Gone, Link, Refused
from services.kernel.bus.jetstream_messages import Place
from services.kernel.bus.jetstream_reading import Reading
from services.kernel.bus.jetstream_streams import NO_STREAM
from services.kernel.errors import Unavailable

Found = tuple[Place, Msg]


async def beginnings(link: Link, streams: Collection[str], after: int | None) -> dict[str, int]:
    """After which sequence to read in each stream: one that was not given yet is the newest."""
    newest = {stream: await _newest(link, stream) for stream in streams}
    return newest if after is None else {stream: min(after, last) for stream, last in newest.items()}


async def _newest(link: Link, stream: str) -> int:
    try:
        state = (await link.call(f"STREAM.INFO.{stream}"))["state"]
    except Refused as refused:
        if refused.number == NO_STREAM:
            raise Gone(f"{stream} is not there (any more)") from refused
        raise Unavailable(f"{stream} cannot be read along: {refused}") from refused
    return int(state["last_seq"])


class Follower:
    """Reads the streams of ``beginnings``, each from after its sequence on."""

    def __init__(self, connection: Connection, beginnings: Mapping[str, tuple[int, tuple[str, ...]]]) -> None:
        self._readings = [
            Reading(connection, stream, subjects, after) for stream, (after, subjects) in beginnings.items()
        ]
        self._waiting: dict[asyncio.Task[list[Found]], Reading] = {}
        self._found: dict[Reading, deque[Found]] = {reading: deque() for reading in self._readings}

    async def next(self) -> list[Found]:
        """What is there, in order; or else what comes first."""
        if len(self._readings) == 1:
            return await self._readings[0].next()
        while True:
            idle = [each for each in self._readings if not self._found[each] and each not in self._waiting.values()]
            for reading, found in zip(idle, await asyncio.gather(*(each.next(0) for each in idle)), strict=True):
                self._found[reading] += found
            if any(self._found.values()):
                return self._oldest()
            self._waiting |= {asyncio.create_task(each.next()): each for each in idle}
            if not self._waiting:
                await asyncio.Event().wait()
            done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._found[self._waiting.pop(task)] += task.result()

    def _oldest(self) -> list[Found]:
        """All that was found up to where no older one can come: a stream may have more after its last."""
        upto = min((found[-1][0].at for reading, found in self._found.items() if found and reading.left), default=None)
        taken: list[Found] = []
        for found in self._found.values():
            while found and (upto is None or found[0][0].at <= upto):
                taken.append(found.popleft())
        return sorted(taken, key=lambda each: each[0].at)

    async def close(self) -> None:
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        for reading in self._readings:
            await reading.close()
