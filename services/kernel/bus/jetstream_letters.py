"""Dead letters on JetStream: a stream with one message for each, under ``mirage.dead.<consumer>.<letter>``.

A letter is kept before its message is ended, so that a crash between the two leaves both, and burying again finds the
letter there. Reviving says the message to a subject that its consumer alone reads, under an id that is derived from the
letter's place, and then removes the letter: done twice, it is still said once.
"""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final
from uuid import UUID

from msgspec import Struct
from nats.aio.msg import Msg

from services.kernel.bus import DeadLetter, Delivery
from services.kernel.bus.jetstream_connection import Connection
from services.kernel.bus.jetstream_link import Link, Question, Refused, check_answer
from services.kernel.bus.jetstream_messages import (
    MESSAGE_ID,
    TRIES,
    from_text,
    read_envelope,
    to_headers,
    to_text,
    tries_before,
)
from services.kernel.bus.jetstream_reading import Reading
from services.kernel.bus.jetstream_streams import (
    DEAD,
    DEAD_SUBJECT,
    LAST_SEQUENCE,
    NO_CONSUMER,
    NO_STREAM,
    again_subject,
    refusal,
)
from services.kernel.errors import Corrupt
from services.kernel.messages import derive, now

REASON: Final = "Mirage-Reason"
AT: Final = "Mirage-At"
STREAM: Final = "Mirage-Stream"
REASON_BYTES: Final = 16_000
#: What headers may take beside the data of a letter.
HEADER_BYTES: Final = 32_000


class Kept(Struct, frozen=True):
    """A letter, where it is kept, and the stream of its message."""

    letter: DeadLetter
    sequence: int
    stream: str


class Letters:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, consumer: str, stream: str, delivery: Delivery, reason: str) -> None:
        """Keep a letter, unless there is one of this message already."""
        link = await self._connection.link()
        envelope = delivery.envelope
        subject = f"{DEAD_SUBJECT}.{consumer}.{derive(envelope.id, consumer).hex}"
        headers = {
            **to_headers(envelope),
            REASON: _short(reason),
            AT: str(now()),
            TRIES: str(delivery.tries),
            STREAM: stream,
            "Nats-Expected-Last-Subject-Sequence": "0",
        }
        del headers[MESSAGE_ID]  # a letter of a message that was revived is a new one
        data = envelope.data[: link.largest - HEADER_BYTES]  # only what is none of ours is larger
        try:
            await _publish(link, Question(subject, data, headers))
        except Refused as refused:
            if refused.number not in LAST_SEQUENCE:
                raise refusal(refused, "a dead letter") from refused

    async def newest(self, consumer: str, limit: int) -> list[DeadLetter]:
        """Look from further and further back until there are enough."""
        link = await self._connection.link()
        try:
            state = (await link.call(f"STREAM.INFO.{DEAD}"))["state"]
        except Refused as refused:
            if refused.number == NO_STREAM:
                return []
            raise refusal(refused, "a dead letter") from refused
        if not state["messages"]:
            return []
        first, last, span = state["first_seq"], state["last_seq"], limit
        while True:
            found: deque[DeadLetter] = deque(maxlen=limit)
            async with aclosing(self._after(max(first, last - span + 1) - 1, consumer)) as letters:
                async for letter in letters:
                    found.append(letter)
            if len(found) == limit or span > last - first:
                return list(reversed(found))
            span *= 8

    async def _after(self, sequence: int, consumer: str) -> AsyncGenerator[DeadLetter, None]:
        reading = Reading(self._connection, DEAD, [f"{DEAD_SUBJECT}.{consumer or '*'}.*"], sequence)
        try:
            while True:
                for place, message in await reading.next(wait=0):
                    yield _read(message, message.subject, place.sequence).letter
                if not reading.left:
                    return
        finally:
            await reading.close()

    async def find(self, identity: UUID) -> Kept | None:
        link = await self._connection.link()
        question = {"seq": 1, "next_by_subj": f"{DEAD_SUBJECT}.*.{identity.hex}"}
        message = await link.get(DEAD, question)
        if message is None:
            return None
        headers = message.headers or {}
        return _read(message, headers["Nats-Subject"], int(headers["Nats-Sequence"]))

    async def revive(self, ids: Sequence[UUID]) -> int:
        return sum([await self._revive(each) for each in dict.fromkeys(ids)])

    async def _revive(self, identity: UUID) -> bool:
        kept = await self.find(identity)
        if kept is None or not await self._has_consumer(kept):
            return False
        link = await self._connection.link()
        letter = kept.letter
        headers = {
            **to_headers(letter.envelope),
            MESSAGE_ID: f"{identity}.{kept.sequence}",
            TRIES: str(letter.tries),
        }
        try:
            await _publish(link, Question(again_subject(kept.stream, letter.consumer), letter.envelope.data, headers))
        except Refused as refused:
            raise refusal(refused, "a message that is revived") from refused
        await self._remove(link, kept.sequence)
        return True

    async def _has_consumer(self, kept: Kept) -> bool:
        link = await self._connection.link()
        try:
            await link.call(f"CONSUMER.INFO.{kept.stream}.{kept.letter.consumer}")
        except Refused as refused:
            if refused.number in {NO_CONSUMER, NO_STREAM}:
                return False
            raise refusal(refused, "a message that is revived") from refused
        return True

    async def drop(self, ids: Sequence[UUID]) -> int:
        return sum([await self._drop(each) for each in dict.fromkeys(ids)])

    async def _drop(self, identity: UUID) -> bool:
        kept = await self.find(identity)
        return kept is not None and await self._remove(await self._connection.link(), kept.sequence)

    async def _remove(self, link: Link, sequence: int) -> bool:
        try:
            await link.call(f"STREAM.MSG.DELETE.{DEAD}", {"seq": sequence, "no_erase": True})
        except Refused:
            return False  # somebody else was quicker
        return True


async def _publish(link: Link, question: Question) -> None:
    check_answer(await link.ask(question.subject, question.payload, question.headers), link.server, "a dead letter")


def _read(message: Msg, subject: str, sequence: int) -> Kept:
    headers = message.headers or {}
    *_, consumer, identity = subject.split(".")
    try:
        letter = DeadLetter(
            id=UUID(identity),
            consumer=consumer,
            reason=from_text(headers[REASON]),
            at=int(headers[AT]),
            tries=tries_before(message),
            envelope=read_envelope(headers, message.data),
        )
        return Kept(letter, sequence, headers[STREAM])
    except (KeyError, ValueError) as error:
        raise Corrupt(f"the dead letter {sequence} cannot be read: {error}") from error


def _short(reason: str) -> str:
    """The reason as a header: its beginning, where it is long."""
    text = to_text(reason)
    while len(text) > REASON_BYTES:
        reason = reason[: len(reason) * 2 // 3]
        text = to_text(reason)
    return text
