"""What Nomad sends over time, by aiohttp: answers held back until something changes, events, the output of tasks."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from services.kernel.errors import Unavailable
from services.kernel.pauses import pauses
from services.kernel.scheduler import Event
from services.kernel.scheduler.nomad_calls import Calls, meaning
from services.kernel.scheduler.nomad_records import events

#: Seconds for which an answer is held back; Nomad adds up to a sixteenth.
WAIT: Final = 30
#: Seconds without a sign of life; Nomad gives one every thirty on events, every second on output.
SILENCE: Final = 75.0
CONNECT: Final = 3.0
#: Bytes of one line of events: a job of many groups comes whole.
LINE: Final = 64 * 1024 * 1024
#: What nearly all events are about.
ABOUT: Final = ("jobs", "evaluations", "allocations", "nodes")


class Streams:
    """One connection for each stream; all end with `close`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self.reconnects = 0

    @asynccontextmanager
    async def request(
        self, method: str, path: str, parameters: Mapping[str, str], *, body: Any = None, silence: float = SILENCE
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give the answer while it comes.

        Raises:
            MirageError: one of its leaves, as Nomad's answer means it; `Unavailable` also when it breaks off.
        """
        calls = self._calls
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=silence)
        host = calls.host
        url = f"{'https' if calls.server.tls else 'http'}://{host}{path}"
        asked = {"namespace": calls.namespace, **parameters}
        try:
            async with self._opened().request(method, url, params=asked, json=body, timeout=timeout) as answer:
                if answer.status != 200:
                    raise meaning(calls.server, answer.status, await answer.text(errors="replace"))
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            calls.leave(host)
            raise Unavailable(f"{calls.server} does not answer") from error

    async def change(self, path: str, index: int, *, body: Any = None) -> tuple[int, Any]:
        """Wait until what is at ``path`` is newer than ``index``, or for `WAIT` seconds; return its index and it."""
        method = "GET" if body is None else "POST"
        asked = {"index": str(index), "wait": f"{WAIT}s"}
        async with self.request(method, path, asked, body=body) as answer:
            now = int(answer.headers.get("X-Nomad-Index") or 0)
            # An index that went down is of a server that was set up anew.
            return (now if now >= index else 0), msgspec.json.decode(await answer.read())

    async def events(self, topics: Sequence[str], after: int) -> AsyncGenerator[Event, None]:
        """Yield events without end; after a break from where it was, as soon as the server is back."""
        last = after
        waits = pauses()
        while True:
            try:
                parameters = {"index": str(last + 1)} if last else {}
                first = True
                async with self.request("GET", _with_topics(topics), parameters) as answer:
                    async for line in _lines(answer.content):
                        waits = pauses()
                        frame = msgspec.json.decode(line)
                        index = frame.get("Index", 0)
                        if first and 0 < index < last and await self._newest() < last:
                            last = 0  # it was set up anew, and does not only take in again what it had
                        first = first and not index
                        # While nothing new is there, the server begins with the newest, which was seen.
                        if index > last:
                            for event in events(frame):
                                yield event
                            last = index
            except Unavailable:
                if self._closed:
                    return
            self.reconnects += 1
            await asyncio.sleep(next(waits))

    async def _newest(self) -> int:
        """The index of the last change of what events are about, as a leader knows it that has taken in all."""
        return max([(await self.change(f"/v1/{kind}?per_page=1", 0))[0] for kind in ABOUT])

    async def output(self, allocation: str, parameters: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield what a task has written as it comes; Nomad's frames of JSON follow each other without a separator."""
        decoder, rest = json.JSONDecoder(), ""
        async with self.request("GET", f"/v1/client/fs/logs/{allocation}", parameters) as answer:
            async for chunk in answer.content.iter_any():
                rest += chunk.decode("ascii", "replace")
                while rest:
                    try:
                        frame, end = decoder.raw_decode(rest)
                    except json.JSONDecodeError:
                        break
                    rest = rest[end:].lstrip()
                    if data := frame.get("Data"):
                        yield msgspec.convert(data, bytes)

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unavailable(f"{self._calls.server} was closed")
        if self._session is None:
            token = self._calls.token
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._calls.server.context() or True, limit=0),
                headers={"X-Nomad-Token": token} if token else {},
                trust_env=False,
            )
        return self._session


def _with_topics(topics: Sequence[str]) -> str:
    from urllib.parse import urlencode

    return f"/v1/event/stream?{urlencode([('topic', topic) for topic in topics])}"


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream, however long: aiohttp's own limit is half a megabyte."""
    held = bytearray()
    async for chunk in content.iter_any():
        held += chunk
        *whole, last = held.split(b"\n")
        held = bytearray(last)
        for line in whole:
            if line.strip():
                yield bytes(line)
        if len(held) > LINE:
            raise Unavailable("an event of Nomad is too large")
