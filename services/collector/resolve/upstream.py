import os
import socket
from array import array
from collections import deque
from collections.abc import Iterator
from math import inf
from typing import Final

from services.collector.resolve.chunk import Query
from services.kernel.hostport import join_host_port

FIRST_WINDOW: Final = 64
LEAST_WINDOW: Final = 32
MOST_WINDOW: Final = 1_000
MOST_PENDING: Final = 8_000

SLOW: Final = 0.5  # seconds
TOLERATED_LOSS: Final = 0.05
TOLERATED_QUEUE: Final = 0.01  # seconds
CUT_EVERY: Final = 1.0  # seconds
MEMORY: Final = 50  # outcomes that the average of losses spans

FAILING: Final = 0.5
HEALTHY: Final = 0.25
FAILING_STREAK: Final = 3
SHORTEST_EJECTION: Final = 2.0  # seconds
LONGEST_EJECTION: Final = 60.0
DEAD: Final = 5.0  # seconds

CHANNELS: Final = 4
CHANNEL_QUERIES: Final = 20_000
CHANNEL_AGE: Final = 60.0  # seconds
RECEIVE_BUFFER: Final = 1 << 21


def random_ids() -> Iterator[int]:
    while True:
        yield from array("H", os.urandom(8192))


class Channel:
    """A connected socket with a random source port, and the queries that wait on it, by id, oldest first."""

    __slots__ = ("born", "ids", "pending", "recv", "send", "sent", "socket", "upstream")

    def __init__(self, upstream: "Upstream", connected: socket.socket, now: float) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.upstream = upstream
        self.socket = connected
        self.send = connected.send
        self.recv = connected.recv
        self.pending: dict[int, Query] = {}
        self.ids = random_ids()
        self.born = now
        self.sent = 0

    def is_worn(self, now: float) -> bool:
        """Whether its port has been in use for long enough to be guessed."""
        return self.sent > CHANNEL_QUERIES or now - self.born > CHANNEL_AGE


class Upstream:
    """A recursive resolver: how much it may be asked at once, and whether it deserves to be.

    The window of unanswered queries doubles while all goes well, then creeps up. It stops growing when even the
    fastest answers are held up in a queue, and shrinks when more than a few queries in a hundred are lost. Queries
    that are out for long wait for somebody behind the resolver, and leave their place in the window to others.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.label = join_host_port(address, port)
        self.channels: deque[Channel] = deque()
        self.retired: list[Channel] = []
        self.pending = 0
        self.answered = 0
        self.lost = 0
        self.fastest = inf
        self.ejected_until = 0.0
        self.unopenable = False
        self._window = float(FIRST_WINDOW)
        self._slow = 0
        self._silent_since = inf
        self._loss = 0.0
        self._streak = 0
        self._floor = inf
        self._growth = 2.0
        self._cut_at = -inf
        self._penalty = SHORTEST_EJECTION

    @property
    def sockets(self) -> tuple[Channel, ...]:
        return (*self.channels, *self.retired)

    @property
    def room(self) -> int:
        return min(int(self._window) - self.pending + self._slow, MOST_PENDING - self.pending)

    @property
    def free(self) -> float:
        """The share of its window that is free."""
        return 1 - (self.pending - self._slow) / self._window

    @property
    def is_failing(self) -> bool:
        return self._loss > FAILING or self._streak >= FAILING_STREAK

    @property
    def is_healthy(self) -> bool:
        return self._loss < HEALTHY and not self._streak

    def is_dead(self, now: float) -> bool:
        """Whether it has not answered anything for so long that waiting for it makes no sense."""
        return now - self._silent_since > DEAD

    def judge(self, now: float, lag: float) -> None:
        """Draw the conclusions from what happened since the last time; ``lag`` is how late this process runs."""
        self._slow = sum(query.sent < now - SLOW for channel in self.sockets for query in channel.pending.values())
        outcomes = self.answered + self.lost
        if not outcomes:
            return
        self._streak = 0 if self.answered else self._streak + self.lost
        self._silent_since = inf if self.answered else min(self._silent_since, now)
        lost = self.lost / outcomes
        self._loss += min(1.0, outcomes / MEMORY) * (lost - self._loss)
        if lost > TOLERATED_LOSS:
            if now - self._cut_at > CUT_EVERY:
                self._cut_at = now
                self._growth = 1.05
                self._window = max(self._window * 0.7, LEAST_WINDOW)
        elif self.answered:
            self._floor = min(self._floor * 1.002, self.fastest)
            if self.fastest < 2 * self._floor + TOLERATED_QUEUE + 2 * lag and self.answered >= self._window / 2:
                self._window = min(self._window * self._growth, MOST_WINDOW)
            self._penalty = max(self._penalty * 0.99, SHORTEST_EJECTION)
        self.answered = self.lost = 0
        self.fastest = inf

    def eject(self, now: float) -> None:
        """Ask it nothing for a while, longer each time; afterwards it is on probation."""
        self.ejected_until = now + self._penalty
        self._penalty = min(self._penalty * 2, LONGEST_EJECTION)
        self._loss = 0.0
        self._streak = FAILING_STREAK - 1
        self._window = LEAST_WINDOW
