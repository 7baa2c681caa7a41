"""How a benchmark declares itself, and what it brings."""

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct


class Options(Struct, frozen=True):
    """How often each thing is measured, and in which worlds of the lab."""

    runs: int = 5
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)


class Figure(Struct, frozen=True, kw_only=True):
    """One number.

    ``bar``: what it has to reach, at least, or at most when ``at_most``; None when the project sets none. ``bare``: the
    same work without Mirage, in the same run. ``spread``: the lowest and highest of the runs that ``value`` is the
    median (of seeds: the worst) of. ``beside``: what else belongs to it, above all processor time, which other work on
    the machine disturbs less than the clock.
    """

    what: str
    value: float
    unit: str = ""
    bar: float | None = None
    at_most: bool = False
    bare: float | None = None
    spread: tuple[float, float] | None = None
    beside: str = ""

    @property
    def met(self) -> bool | None:
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


class Bench(Struct, frozen=True):
    """``bar``: the line of the design that it answers; ``run`` measures, in a process of its own."""

    name: str
    bar: str
    run: Callable[[Options], list[Figure]]


class Unable(Exception):
    """Something that a benchmark needs is not on this machine; says what."""


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def span(values: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and the highest; nothing of a single run."""
    return (min(values), max(values)) if len(values) > 1 else None
