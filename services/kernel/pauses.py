"""How long to wait between tries: doubled each time, partly left to chance, so that a fleet does not try as one."""

import random
from collections.abc import Iterator


def pauses(first: float = 0.1, longest: float = 10.0) -> Iterator[float]:
    """Yield seconds without end: between half of a step and all of it, each step twice the one before."""
    step = first
    while True:
        yield step * random.uniform(0.5, 1.0)
        step = min(longest, step * 2)
