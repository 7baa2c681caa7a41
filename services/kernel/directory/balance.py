"""Which instance of a service is called next: the less busy of two taken at random, of those that do not fail.

Two random choices: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001.
"""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from services.kernel.directory import Directory, Instance
from services.kernel.errors import Unavailable

#: Failures in a row after which an instance is left out.
FAILURES: Final = 3
#: Seconds for which it is left out at first, and at most; doubled each time that it fails on when it is back.
SHORTEST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 30.0


class Standing(Struct, frozen=True):
    """How an instance does, as this process sees it: ``out_until`` is a time of the balancer's clock."""

    in_flight: int = 0
    failures: int = 0
    out_until: float = 0.0
    out_for: float = 0.0

    def failed(self, now: float) -> "Standing":
        """After one more failure; those of calls that were under way when it was left out count for nothing."""
        if now < self.out_until:
            return self
        failures = self.failures + 1
        if failures < FAILURES:
            return Standing(self.in_flight, failures, out_for=self.out_for)
        seconds = min(LONGEST_SECONDS, self.out_for * 2) or SHORTEST_SECONDS
        return Standing(self.in_flight, failures, now + seconds, seconds)

    def counted(self, calls: int) -> "Standing":
        return Standing(self.in_flight + calls, self.failures, self.out_until, self.out_for)


#: Of an instance that nobody here has called yet.
NEW: Final = Standing()


class Balancer:
    """Spreads the calls of this process over the instances of ``service``.

    An instance that fails `FAILURES` times in a row is left out for a while; when it is back, its next failure leaves
    it out for twice as long. Never is more than half of the instances left out: when most fail, the fault is elsewhere.
    """

    def __init__(
        self,
        directory: Directory,
        service: str,
        *,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._service = service
        self._chance = chance or random.Random()
        self._clock = clock
        self._standings: dict[str, Standing] = {}
        #: How many there were when one was picked last.
        self.instances = 0

    async def pick(self, exclude: Collection[Instance] = ()) -> Instance:
        """Return the instance to call; not one of ``exclude``, which were tried already.

        Raises:
            Unavailable: there is none.
        """
        known = await self._directory.resolve(self._service)
        self.instances = len(known)
        self._forget(known)
        tried = {instance.id for instance in exclude}
        left = [instance for instance in known if instance.id not in tried]
        if not left:
            others = "other " if tried else ""
            raise Unavailable(f"no {others}instance of {self._service} is well")
        out = self._left_out(known)
        taken = [instance for instance in left if instance.id not in out] or left
        return min(self._chance.sample(taken, min(2, len(taken))), key=self._in_flight)

    @contextmanager
    def using(self, instance: Instance) -> Iterator[None]:
        """Count a call as under way while the block lasts."""
        self._standings[instance.id] = self.standing(instance).counted(1)
        try:
            yield
        finally:
            self._standings[instance.id] = self.standing(instance).counted(-1)

    def failed(self, instance: Instance) -> None:
        """Note that a call did not come to an answer, or to one that says that the instance is not well."""
        self._standings[instance.id] = self.standing(instance).failed(self._clock())

    def succeeded(self, instance: Instance) -> None:
        """Note that a call was answered; what failed before is forgiven."""
        self._standings[instance.id] = Standing(self.standing(instance).in_flight)

    def standing(self, instance: Instance) -> Standing:
        return self._standings.get(instance.id, NEW)

    def measures(self) -> dict[str, float]:
        now = self._clock()
        standings = self._standings.values()
        return {
            "in_flight": sum(each.in_flight for each in standings),
            "failing": sum(now < each.out_until for each in standings),
        }

    def _left_out(self, known: Sequence[Instance]) -> set[str]:
        """Those that fail, the longest out first, up to half of all."""
        now = self._clock()
        until = {instance.id: self.standing(instance).out_until for instance in known}
        failing = sorted((name for name in until if now < until[name]), key=until.__getitem__, reverse=True)
        return set(failing[: len(known) // 2])

    def _in_flight(self, instance: Instance) -> int:
        return self.standing(instance).in_flight

    def _forget(self, known: Sequence[Instance]) -> None:
        """Drop what is known of instances that are gone, once they are many."""
        if len(self._standings) > 2 * len(known) + 16:
            ids = {instance.id for instance in known}
            self._standings = {
                name: standing for name, standing in self._standings.items() if name in ids or standing.in_flight
            }
