from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from typing import Any, Final

from msgspec import structs

from services.collector.resolve.answer import Answer

#: Bytes of responses with records that a chunk keeps: so many, and so many more for each question.
ROOM: Final = 131_072
ROOM_EACH: Final = 2_048


class Chunk:
    """Questions that were put together, and the places where their answers go; no future or task each.

    An answer for which there is no ``room`` left is none: who answers does not decide how much is kept.
    """

    __slots__ = ("answers", "done", "left", "next", "pairs", "room")

    def __init__(self, pairs: Sequence[tuple[str, str]], loop: AbstractEventLoop) -> None:
        self.pairs = pairs
        self.answers: list[Any] = [None] * len(pairs)  # all are `Answer` when it is done
        self.next = 0
        self.left = len(pairs)
        self.room = ROOM + ROOM_EACH * len(pairs)
        self.done: Future[list[Answer]] = loop.create_future()
        if not pairs:
            self.done.set_result([])

    def settle(self, index: int, answer: Answer) -> None:
        if answer.records:
            self.room -= len(answer.wire)
            if self.room < 0:
                answer = structs.replace(answer, status="broken", records=(), wire=b"")
        self.answers[index] = answer
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(self.answers)

    def abandon(self) -> None:
        """Ask nothing more of it; what is out already comes back to nobody."""
        self.next = len(self.pairs)
        self.done.cancel()


class Query:
    """One question on its way, perhaps for the second time; ``failure`` is the best answer so far that is none."""

    __slots__ = ("chunk", "deadline", "failure", "index", "name", "question", "sent", "tries", "type")

    def __init__(self, chunk: Chunk, index: int, name: str, type: str, question: bytes) -> None:
        self.chunk = chunk
        self.index = index
        self.name = name
        self.type = type
        self.question = question
        self.sent = 0.0
        self.deadline = 0.0
        self.tries = 0
        self.failure: Answer | None = None
