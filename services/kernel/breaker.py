"""A circuit breaker: who fails again and again is not asked for a while, then once, to see."""

from collections.abc import Callable
from typing import Final

from services.kernel.errors import Unavailable

#: Failures in a row that open the circuit.
FAILURES: Final = 8
#: Seconds for which it stays open, doubled each time that the trial fails.
OPEN: Final = 1.0
LONGEST: Final = 15.0


class Breaker:
    """One circuit, closed at first; ``clock`` counts seconds and never goes back."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._open_for = OPEN
        self._until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        return self._until is not None

    def enter(self) -> None:
        """Begin to ask.

        Raises:
            Unavailable: the circuit is open, and nobody is asked.
        """
        if self._until is None:
            return
        if self._trying or self._clock() < self._until:
            raise Unavailable(f"{self._name} failed {self._failures} times in a row and is left alone for a moment")
        self._trying = True

    def succeed(self) -> None:
        self._failures = 0
        self._open_for = OPEN
        self._until = None
        self._trying = False

    def fail(self) -> None:
        self._failures += 1
        if self._until is not None:
            self._open_for = min(LONGEST, 2 * self._open_for)
        if self._until is not None or self._failures >= FAILURES:
            self._until = self._clock() + self._open_for
        self._trying = False

    def leave(self) -> None:
        """It is not known how it went: who asked did not wait for it."""
        self._trying = False
