"""Where a consumer stands, for adapters that keep count themselves: what is handed out, given back, not yet seen."""

import asyncio
import heapq
from collections import OrderedDict, deque

from msgspec import Struct

from services.kernel.bus import Consumer, Delivery


class Handed(Struct, frozen=True):
    """A message in the hands of somebody until ``until`` (the loop's clock)."""

    until: float
    tries: int


class Place:
    """One consumer's place. Everything here is touched by the event loop only and costs no more than what it moves.

    A message is either *fresh* (a sequence after ``cursor``), in *flight*, or *returned* (given back or timed out; then
    ready now or later). Messages keep their order within each of these, and returned ones go before fresh ones.
    """

    def __init__(self, id: int, stream: int, declared: Consumer) -> None:
        self.id = id
        self.stream = stream
        self.declared = declared
        self.cursor = 0
        self.newest = 0
        self.kept = 0
        self.arrived = asyncio.Event()
        self.turn = asyncio.Lock()
        self.echoes: deque[Delivery] = deque()
        self._flight: OrderedDict[int, Handed] = OrderedDict()
        self._returned: dict[int, int] = {}
        self._ready: list[int] = []
        self._later: list[tuple[float, int]] = []

    @property
    def in_flight(self) -> int:
        return len(self._flight)

    @property
    def has_fresh(self) -> bool:
        return self.newest > self.cursor

    def returned(self, limit: int) -> dict[int, int]:
        """The oldest messages that wait to be delivered again, with how often each was delivered."""
        taken: dict[int, int] = {}
        while self._ready and len(taken) < limit:
            sequence = heapq.heappop(self._ready)
            if sequence in self._returned and sequence not in taken:
                taken[sequence] = self._returned[sequence]
        return taken

    def hand_out(self, sequence: int, tries: int, now: float) -> None:
        self._returned.pop(sequence, None)
        self._flight[sequence] = Handed(now + self.declared.ack_wait, tries)

    def give_back(self, sequence: int, tries: int, due: float) -> None:
        """Deliver again at ``due``; one that somebody else has meanwhile is theirs."""
        handed = self._flight.get(sequence)
        if handed is None or handed.tries != tries:
            return
        del self._flight[sequence]
        self.wait_again(sequence, tries, due)

    def wait_again(self, sequence: int, tries: int, due: float) -> None:
        self._returned[sequence] = tries
        heapq.heappush(self._later, (due, sequence))

    def extend(self, sequence: int, tries: int, now: float) -> None:
        handed = self._flight.get(sequence)
        if handed is not None and handed.tries == tries:
            self._flight[sequence] = Handed(now + self.declared.ack_wait, tries)
            self._flight.move_to_end(sequence)

    def forget(self, sequence: int) -> None:
        self._flight.pop(sequence, None)
        self._returned.pop(sequence, None)

    def accept(self, sequences: list[int], removed: int) -> None:
        """They are gone, and there may be room for others."""
        self.kept -= removed
        for sequence in sequences:
            self.forget(sequence)
        self.arrived.set()

    def pass_time(self, now: float) -> bool:
        """Make ready what is due and what was not answered in time; say whether anything waits to be delivered."""
        while self._flight:
            sequence, handed = next(iter(self._flight.items()))
            if handed.until > now:
                break
            self.give_back(sequence, handed.tries, handed.until)
        while self._later and self._later[0][0] <= now:
            sequence = heapq.heappop(self._later)[1]
            if sequence in self._returned:
                heapq.heappush(self._ready, sequence)
        while self._ready and self._ready[0] not in self._returned:
            heapq.heappop(self._ready)
        return bool(self._ready) or self.has_fresh

    def next_due(self) -> float | None:
        """When `pass_time` has something to do again; ``ack_wait`` being the same for all, the first runs out first."""
        first = next(iter(self._flight.values())).until if self._flight else None
        if not self._later:
            return first
        return self._later[0][0] if first is None else min(first, self._later[0][0])
