"""What is remembered of what comes from outside has a bound, and nobody can have all else be forgotten."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(remembered: dict[K, V], key: K, value: V, most: int) -> None:
    """Remember one thing more, of ``most`` at most: what was remembered first is forgotten first."""
    remembered.pop(key, None)
    while len(remembered) >= most:
        del remembered[next(iter(remembered))]
    remembered[key] = value
