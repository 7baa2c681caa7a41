"""The port `bus`: carries messages to every consumer at least once, in batches.

A *stream* keeps the messages of some subjects; a *consumer* is a durable place in it. Subjects are dotted tokens;
in patterns ``*`` stands for one token and a final ``>`` for one or more.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from services.kernel.messages import Envelope


class Stream(Struct, frozen=True):
    """Where messages are kept. A subject belongs to one stream.

    ``work``: until its one consumer has accepted them; consumers of one stream read disjoint subjects. ``facts``:
    until every declared consumer has, and at least for ``keep_seconds``. ``progress``: for ``keep_seconds``, whoever
    reads.
    """

    name: str
    subjects: tuple[str, ...]
    kind: Literal["work", "facts", "progress"]
    keep_seconds: int = 0


class Consumer(Struct, frozen=True):
    """A durable reader of ``subjects`` of one stream; ``ack_wait`` seconds after a pull a message comes again.

    At most ``max_in_flight`` messages are handed out without an answer.
    """

    name: str
    stream: str
    subjects: tuple[str, ...]
    ack_wait: float = 30.0
    max_in_flight: int = 10_000


class Delivery(Struct, frozen=True):
    """One message handed to one consumer for the ``tries``-th time; ``token`` is the adapter's own."""

    envelope: Envelope
    sequence: int
    tries: int
    token: object


class DeadLetter(Struct, frozen=True):
    """A message that a consumer gave up on, and why."""

    id: UUID
    consumer: str
    reason: str
    at: int
    tries: int
    envelope: Envelope


class Lag(Struct, frozen=True):
    """How far a consumer is behind: not yet handed out, and handed out without an answer."""

    waiting: int
    in_flight: int


class Bus(ABC):
    """Delivers every published message to each consumer of its subject at least once, oldest first.

    Publishing the same id again within the stream's memory (two minutes at least) is no second message. What is
    pulled and not answered within ``ack_wait`` comes again, as does what was in flight when the process died.
    """

    @abstractmethod
    async def declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        """Make these exist, or as they are now; a consumer that is new also gets what its stream still keeps.

        A consumer whose subjects have changed no longer gets what it no longer asks for.

        Raises:
            Conflict: two streams, or two consumers of work, would take the same subjects.
            Invalid: a pattern is malformed, or a consumer reads a stream that nobody declared.
        """

    @abstractmethod
    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Keep all of ``envelopes`` durably, or raise `Unavailable`, and then some may have been kept.

        Whoever is told so publishes all of them again, which is no second message. When no stream takes one of them
        yet, or one is `Invalid`, none is kept.
        """

    @abstractmethod
    async def pull(self, consumer: str, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` messages as soon as there is one, or none after ``wait`` seconds.

        Fewer than there are may come when they are large. One whose bytes were damaged where it is kept comes with
        them as its data, so that it is buried as any that cannot be read.

        Raises:
            Invalid: nobody declared this consumer.
        """

    @abstractmethod
    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Accept: they will not come again."""

    @abstractmethod
    async def nak(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """Give back: they come again after ``delay`` seconds, and meanwhile are not in flight."""

    @abstractmethod
    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Say that work on them goes on: ``ack_wait`` starts anew."""

    @abstractmethod
    async def bury(self, consumer: str, delivery: Delivery, reason: str) -> None:
        """Give up on a message: keep it as a dead letter, deliver it no more. Doing so twice leaves one letter."""

    @abstractmethod
    async def dead(self, consumer: str = "", limit: int = 100) -> list[DeadLetter]:
        """List dead letters, newest first."""

    @abstractmethod
    async def revive(self, ids: Sequence[UUID]) -> int:
        """Deliver dead letters once more to the consumer that gave up; return how many there were.

        Their tries are counted on: part of what a letter carries may have been taken in by an earlier one.
        """

    @abstractmethod
    async def drop_dead(self, ids: Sequence[UUID]) -> int:
        """Forget dead letters; return how many there were."""

    @abstractmethod
    def replay(self, subjects: Sequence[str], after: int | None) -> AsyncGenerator[tuple[int, Envelope], None]:
        """Yield kept messages in order, then new ones as they come, without end.

        ``after`` is a sequence already seen, or None for new messages only; one that was not given yet is the newest.
        """

    @abstractmethod
    async def lag(self, consumer: str) -> Lag: ...

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
