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
    """One circuit, closed at first; ``clock`` counts seconds and never goes back.

    How a question went counts only as long as the circuit stands as it did when that was asked: of many that were under
    way when it opened, none says anything of how it is later.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._open_for = OPEN
        self._until: float | None = None
        self._trying = False
        #: How often it has opened and closed.
        self._turns = 0

    @property
    def is_open(self) -> bool:
        return self._until is not None

    def enter(self) -> int:
        """Begin to ask, and return the turn to which the question belongs, which its end has to name.

        Raises:
            Unavailable: the circuit is open, and nobody is asked.
        """
        if self._until is not None:
            if self._trying or self._clock() < self._until:
                raise Unavailable(f"{self._name} failed {self._failures} times in a row and is left alone for a moment")
            self._trying = True
        return self._turns

    def succeed(self, turn: int) -> None:
        if turn != self._turns:
            return
        if self._until is not None:
            self._turns += 1
        self._failures = 0
        self._open_for = OPEN
        self._until = None
        self._trying = False

    def fail(self, turn: int) -> None:
        if turn != self._turns:
            return
        self._failures += 1
        if self._until is not None:
            self._open_for = min(LONGEST, 2 * self._open_for)
            self._until = self._clock() + self._open_for
        elif self._failures >= FAILURES:
            self._until = self._clock() + self._open_for
            self._turns += 1
        self._trying = False

    def leave(self, turn: int) -> None:
        """It is not known how it went: who asked did not wait for it."""
        if turn == self._turns:
            self._trying = False
