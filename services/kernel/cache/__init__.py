"""The port `cache`: small values that may be lost, counters and token buckets that a fleet shares."""

from abc import ABC, abstractmethod

from msgspec import Struct


class Bucket(Struct, frozen=True):
    """A token bucket: ``rate`` tokens a second, at most ``burst`` saved up."""

    rate: float
    burst: float


class Cache(ABC):
    """Values, counters and buckets are three sets of keys. Each call happens at once, whoever else calls."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """Return a value that is there and not expired."""

    @abstractmethod
    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for at most ``seconds``."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Forget a value and a counter."""

    @abstractmethod
    async def add(self, key: str, amount: int, seconds: float) -> int:
        """Add to a counter that starts at 0 and expires ``seconds`` after its first change; return the new value."""

    @abstractmethod
    async def take(self, key: str, bucket: Bucket, tokens: float = 1.0) -> float:
        """Take tokens and return 0, or take none and return the seconds until they will be there.

        A bucket that nobody has used is full.

        Raises:
            Invalid: the bucket never holds so many.
        """

    @abstractmethod
    async def empty(self, key: str, bucket: Bucket, seconds: float) -> None:
        """Let no token out of a bucket for ``seconds``: its source asked for a pause. Then there is one.

        A longer pause, or wait, that there was already stays.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the cache answers."""

    @abstractmethod
    async def close(self) -> None: ...
