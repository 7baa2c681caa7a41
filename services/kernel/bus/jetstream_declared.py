"""What a process has declared of JetStream, and declares again when its servers have lost it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, combinations
from typing import TypeVar

import structlog

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.jetstream_connection import Connection
from services.kernel.bus.jetstream_link import Gone
from services.kernel.bus.jetstream_streams import (
    DEAD,
    check_names,
    consumer_config,
    keep_consumer,
    keep_stream,
    letters_config,
    stream_config,
)
from services.kernel.bus.subjects import any_overlap, check_pattern
from services.kernel.errors import Conflict

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Held:
    """What a consumer has handed out here and heard nothing of, the oldest first."""

    def __init__(self, declared: Consumer) -> None:
        self.declared = declared
        self._replies: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def add(self, sequence: int, reply: str, now: float) -> None:
        while self._replies:
            oldest, (_, until) = next(iter(self._replies.items()))
            if until > now:
                break
            del self._replies[oldest]
        self._replies[sequence] = (reply, now + self.declared.ack_wait)
        self._replies.move_to_end(sequence)

    def remove(self, sequence: int) -> None:
        self._replies.pop(sequence, None)

    def take_all(self) -> list[str]:
        replies = [reply for reply, _ in self._replies.values()]
        self._replies.clear()
        return replies


class Declared:
    """Streams and consumers by their names, each as it was declared last.

    ``routes``: which stream keeps a subject, as far as somebody asked since. ``times``: how often there was a
    declaration. ``remade``: how much was declared again since it was lost.
    """

    def __init__(self, connection: Connection, replicas: int) -> None:
        self.streams: dict[str, Stream] = {}
        self.held: dict[str, Held] = {}
        self.routes: dict[str, str] = {}
        self.times = 0
        self.remade = 0
        self._connection = connection
        self._replicas = replicas
        self._declaring = asyncio.Lock()

    async def declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        for pattern in chain(*(each.subjects for each in streams), *(each.subjects for each in consumers)):
            check_pattern(pattern)
        check_names(streams, consumers)
        self._check_apart(streams, consumers)
        async with self._declaring:
            await self._declare(streams, consumers)

    async def declare_again(self, times: int) -> None:
        """Make what the server has lost, unless others have done so since it was declared for the ``times``-th time."""
        async with self._declaring:
            if times != self.times or not self.streams:
                return
            made = await self._declare([*self.streams.values()], [held.declared for held in self.held.values()])
        if made:
            self.remade += len(made)
            server = str(self._connection.server)
            _log.warning("the bus had lost what was declared, with all it kept", server=server, made=made)

    async def healed(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call, and once more after what the server has lost was declared again."""
        times = self.times
        try:
            return await call()
        except Gone:
            await self.declare_again(times)
            return await call()

    async def _declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> list[str]:
        """Declare one after the other; return the names of what was not there."""
        link = await self._connection.link()
        made = [DEAD] if await keep_stream(link, letters_config(self._replicas)) else []
        for stream in streams:
            if await keep_stream(link, stream_config(stream, self._replicas)):
                made.append(stream.name)
            self.streams[stream.name] = stream
        self.routes.clear()
        for consumer in consumers:
            if await keep_consumer(link, consumer.stream, consumer_config(consumer)):
                made.append(consumer.name)
            held = self.held.setdefault(consumer.name, Held(consumer))
            held.declared = consumer
        self.times += 1
        return made

    def _check_apart(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        """Say what is wrong with what is declared here before the server finds it half-way through."""
        declared = {**self.streams, **{each.name: each for each in streams}}
        for one, other in combinations(declared.values(), 2):
            if any_overlap(one.subjects, other.subjects):
                raise Conflict(f"{one.name} and {other.name} would both take the same subjects")
        for consumer in consumers:
            known = self.held.get(consumer.name)
            if known is not None and known.declared.stream != consumer.stream:
                raise Conflict(f"{consumer.name} already reads another stream")
