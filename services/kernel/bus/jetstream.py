"""`bus` on NATS JetStream, for a fleet: streams and durable consumers on the servers, pulled in batches.

A message that is delivered once more to one consumer alone comes through the same consumer, under a subject of its own
(``mirage.again.<stream>.<consumer>``). Unlike on a laptop facts go after a week, whoever has read them, and a message
that was given back counts as in flight until it comes again.

Streams and consumers that a server has lost are declared again by who misses them, be it a pull, a publication or a
`ping`; what they kept is lost.

An accepted message does not come again: the last acknowledgement of a batch is itself acknowledged, and the server
takes them in order. Whatever a crash leaves unsaid comes again, which the inbox makes harmless.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.kernel.bus import Bus, Consumer, DeadLetter, Delivery, Lag, Stream
from services.kernel.bus.jetstream_connection import Connection
from services.kernel.bus.jetstream_declared import Declared, Held
from services.kernel.bus.jetstream_follow import Follower, beginnings
from services.kernel.bus.jetstream_intake import NAK, PULL_BYTES, Brought, Intake, Request
from services.kernel.bus.jetstream_letters import Letters
from services.kernel.bus.jetstream_link import Gone, Link, Lost, Question, Refused, check_answer, is_unheard
from services.kernel.bus.jetstream_messages import to_envelope, to_headers, to_place, tries_before
from services.kernel.bus.jetstream_streams import (
    NO_CONSUMER,
    NO_STREAM,
    again_subject,
    refusal,
)
from services.kernel.bus.subjects import any_matches, any_overlap, check_pattern, check_subject, narrowed
from services.kernel.errors import Invalid, MirageError, Unavailable
from services.kernel.messages import Envelope
from services.kernel.pauses import pauses
from services.kernel.server import Server

ACK: Final = b"+ACK"
PROGRESS: Final = b"+WPI"
#: Seconds in which the server says that it has taken an answer: of a delivery that it lost in a crash it says nothing.
TAKEN: Final = 4.0
#: Subjects whose stream is remembered: workspaces come and go.
ROUTES: Final = 10_000
#: The least that a request for messages may wait (seconds): the server drops shorter ones unseen.
SHORTEST: Final = 0.001
_SECOND: Final = 1_000_000_000
_HEADER_BYTES: Final = 64


class Token(NamedTuple):
    """What the adapter must know of a delivery to answer it."""

    consumer: str
    reply: str


class JetStreamBus(Bus):
    """The bus of one process of a fleet.

    ``name`` is what the servers call the connection, ``inbox`` the beginning of the subjects at which it hears its
    answers (by itself `_INBOX`, or `_INBOX_<user>`), ``replicas`` on how many servers of a cluster messages are kept.
    """

    def __init__(self, server: Server, *, name: str = "mirage", inbox: str = "", replicas: int = 1) -> None:
        self._server = server
        self._connection = Connection(server, name, inbox)
        self._letters = Letters(self._connection)
        self._declared = Declared(self._connection, replicas)
        self._closed = False
        self._intakes: list[Intake] = []
        self._abandoning: set[asyncio.Task[None]] = set()
        self._beginning: set[asyncio.Task[dict[str, int]]] = set()
        self._counts = {"published": 0, "duplicates": 0, "pulled": 0, "pulling": 0, "given_back_late": 0}

    async def declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        self._check_open()
        await self._declared.declare(streams, consumers)

    # Publishing

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        if not envelopes:
            return
        if self._beginning:
            await asyncio.wait(self._beginning)  # who began to read along before has this as something new
        await self._declared.healed(lambda: self._publish(envelopes))
        self._counts["published"] += len(envelopes)

    async def _publish(self, envelopes: Sequence[Envelope]) -> None:
        link = await self._link()
        questions = [await self._question(link, each) for each in envelopes]
        answers = await link.ask_all(questions)
        for question, answer in zip(questions, answers, strict=True):
            try:
                taken = check_answer(answer, self._server, question.subject)
            except Refused as refused:
                raise refusal(refused, f"a message for {question.subject}") from refused
            except Unavailable:
                self._declared.routes.pop(question.subject, None)
                raise
            self._counts["duplicates"] += taken.duplicate

    async def _question(self, link: Link, envelope: Envelope) -> Question:
        subject = envelope.subject
        if subject not in self._declared.routes:
            await self._route(link, subject)
        headers = to_headers(envelope)
        size = len(envelope.data) + _HEADER_BYTES + sum(len(name) + len(value) + 4 for name, value in headers.items())
        if size > link.largest:
            raise Invalid(f"a {envelope.type} of {len(envelope.data)} bytes is larger than {self._server} takes")
        return Question(subject, envelope.data, headers)

    async def _route(self, link: Link, subject: str) -> None:
        """Make sure that a stream keeps ``subject``, before the first message of several is kept."""
        check_subject(subject)
        stream = next(
            (each.name for each in self._declared.streams.values() if any_matches(each.subjects, subject)), None
        )
        if stream is None:
            found = (await self._api(link, "STREAM.NAMES", {"subject": subject})).get("streams")
            if not found:
                raise Unavailable(f"no stream keeps {subject} yet")
            stream = str(found[0])
        if len(self._declared.routes) >= ROUTES:
            self._declared.routes.clear()
        self._declared.routes[subject] = stream

    # Reading

    async def pull(self, consumer: str, limit: int, wait: float) -> list[Delivery]:
        held = self._consumer(consumer)
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        tries = pauses(first=0.05, longest=1.0)
        missed = False
        request = Request(batch=limit, no_wait=True, max_bytes=PULL_BYTES)
        self._counts["pulling"] += 1
        try:
            while True:
                link = await self._link()
                left = max(0.0, end - loop.time())
                try:
                    brought = await self._fetch(link, held.declared, request, left)
                except Lost:
                    continue
                if deliveries := await self._deliver(held, brought):
                    return deliveries
                if loop.time() >= end:
                    if brought.status == "503":
                        raise Unavailable(f"{self._server} has no consumer {consumer}")
                    return []
                if brought.status == "503" and not missed:
                    missed = True
                    await self._declared.declare_again(self._declared.times)
                    continue
                request = _another(request, brought)
                if brought.status not in {"", "408"}:
                    await asyncio.sleep(min(next(tries), max(0.0, end - loop.time())))
        finally:
            self._counts["pulling"] -= 1

    async def _fetch(self, link: Link, consumer: Consumer, request: Request, wait: float) -> Brought:
        expires = round(wait * _SECOND) if wait > SHORTEST else 0
        if not expires and not request.no_wait:
            return Brought()
        asked = Request(request.batch, expires, request.no_wait, request.max_bytes)
        intake = await self._intake(link)
        try:
            brought = await intake.fetch(f"{consumer.stream}.{consumer.name}", asked, wait)
        except BaseException:
            self._abandon(intake)
            raise
        if intake.ended and not link.lost:
            self._intakes.append(intake)
        else:
            self._abandon(intake)
        return brought

    async def _intake(self, link: Link) -> Intake:
        while self._intakes:
            intake = self._intakes.pop()
            if intake.link is link:
                return intake
        intake = Intake(link)
        await intake.open()
        return intake

    def _abandon(self, intake: Intake) -> None:
        task = asyncio.create_task(self._give_back(intake))
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)

    async def _give_back(self, intake: Intake) -> None:
        with suppress(MirageError):
            await intake.abandon()
        self._counts["given_back_late"] += intake.late

    async def _deliver(self, held: Held, brought: Brought) -> list[Delivery]:
        """Make deliveries of messages; what the consumer no longer asks for is done with."""
        consumer = held.declared
        again = again_subject(consumer.stream, consumer.name)
        now = asyncio.get_running_loop().time()
        taken: list[Delivery] = []
        unwanted: list[Delivery] = []
        for message in brought.messages:
            place = to_place(message.reply)
            envelope, token = to_envelope(message, place), Token(consumer.name, message.reply)
            delivery = Delivery(envelope, place.sequence, place.tries + tries_before(message), token)
            if place.tries > 1 and message.subject != again and not any_matches(consumer.subjects, message.subject):
                unwanted.append(delivery)
                continue
            held.add(place.sequence, message.reply, now)
            taken.append(delivery)
        if unwanted:
            await self.ack(unwanted)
        self._counts["pulled"] += len(taken)
        return taken

    # Answering

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        await self._answer(deliveries, ACK)

    async def nak(self, deliveries: Sequence[Delivery], delay: float) -> None:
        nanoseconds = round(delay * _SECOND)
        await self._answer(deliveries, b'-NAK {"delay": %d}' % nanoseconds if nanoseconds > 0 else NAK)

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        await self._answer(deliveries, PROGRESS)

    async def _answer(self, deliveries: Sequence[Delivery], answer: bytes) -> None:
        """Say ``answer`` to all, and wait until the server has taken the last one of each consumer, so all of them."""
        last: dict[str, int] = {}
        tokens = [self._token(each) for each in deliveries]
        for place, token in enumerate(tokens):
            last[token.consumer] = place
        for lost in (False, True):
            link = await self._link()
            try:
                await self._say(link, [token.reply for token in tokens], set(last.values()), answer)
                break
            except Lost:
                if lost:
                    raise
        for delivery, token in zip(deliveries, tokens, strict=True):
            held = self._declared.held[token.consumer]
            if answer == PROGRESS:
                held.add(delivery.sequence, token.reply, asyncio.get_running_loop().time())
            else:
                held.remove(delivery.sequence)

    async def _say(self, link: Link, replies: list[str], last: set[int], answer: bytes) -> None:
        for place, reply in enumerate(replies):
            if place not in last:
                await link.send(reply, answer)
        answers = await link.ask_all([Question(replies[place], answer) for place in last], TAKEN)
        if any(is_unheard(each) for each in answers):
            raise Unavailable(f"nobody at {self._server} takes what becomes of a message")

    def _token(self, delivery: Delivery) -> Token:
        token = delivery.token
        if not isinstance(token, Token):
            raise Invalid("this was not delivered by this bus")
        self._consumer(token.consumer)
        return token

    # Dead letters

    async def bury(self, consumer: str, delivery: Delivery, reason: str) -> None:
        self._check_open()
        stream = self._consumer(consumer).declared.stream
        await self._declared.healed(lambda: self._letters.keep(consumer, stream, delivery, reason))
        await self.ack([delivery])

    async def dead(self, consumer: str = "", limit: int = 100) -> list[DeadLetter]:
        self._check_open()
        return await self._letters.newest(consumer, limit)

    async def revive(self, ids: Sequence[UUID]) -> int:
        self._check_open()
        return await self._letters.revive(ids)

    async def drop_dead(self, ids: Sequence[UUID]) -> int:
        self._check_open()
        return await self._letters.drop(ids)

    # Reading along

    def replay(self, subjects: Sequence[str], after: int | None) -> AsyncGenerator[tuple[int, Envelope], None]:
        """As the port says; work is not read along.

        Sequences are those of one stream: where several have the subjects, ``after`` is None, or 0 for all.
        """
        for pattern in subjects:
            check_pattern(pattern)
        streams = {
            each.name: narrowed(subjects, each.subjects)
            for each in self._declared.streams.values()
            if each.kind != "work" and any_overlap(each.subjects, subjects)
        }
        if after and len(streams) > 1:
            raise Invalid(f"{' and '.join(streams)} each have sequences of their own: go on in one of them")
        begun = asyncio.create_task(self._begin(streams, after))
        self._beginning.add(begun)
        begun.add_done_callback(self._begun)
        return self._replay(begun, streams)

    async def _begin(self, streams: Collection[str], after: int | None) -> dict[str, int]:
        async def look() -> dict[str, int]:
            return await beginnings(await self._link(), streams, after)

        return await self._declared.healed(look)

    def _begun(self, task: "asyncio.Task[dict[str, int]]") -> None:
        self._beginning.discard(task)
        if not task.cancelled():
            task.exception()  # whoever reads along gets it

    async def _replay(
        self, begun: "asyncio.Task[dict[str, int]]", streams: Mapping[str, tuple[str, ...]]
    ) -> AsyncGenerator[tuple[int, Envelope], None]:
        after = await begun
        follower = Follower(self._connection, {name: (after[name], subjects) for name, subjects in streams.items()})
        try:
            while True:
                for place, message in await follower.next():
                    yield place.sequence, to_envelope(message, place)
        except Gone:
            await self._declared.declare_again(self._declared.times)  # for whoever comes again
            raise
        finally:
            await follower.close()

    async def lag(self, consumer: str) -> Lag:
        declared = self._consumer(consumer).declared

        async def ask() -> dict[str, Any]:
            return await self._api(await self._link(), f"CONSUMER.INFO.{declared.stream}.{consumer}")

        info = await self._declared.healed(ask)
        return Lag(waiting=info["num_pending"], in_flight=info["num_ack_pending"])

    # Health

    async def ping(self) -> None:
        """Raise `Unavailable` when a stream that was declared is not there, too, once it was declared again."""
        times = self._declared.times
        there = await self._api(await self._link(), "STREAM.NAMES")
        lost = self._declared.streams.keys() - set(there.get("streams") or ())
        if lost and there.get("total", 0) <= len(there.get("streams") or ()):
            await self._declared.declare_again(times)
            raise Unavailable(f"{self._server} had lost {', '.join(sorted(lost))}, which was made anew")

    def measures(self) -> dict[str, float]:
        """Messages since the start, by what became of them; pulls that wait; and the connection."""
        made = self._connection.made
        counts = {**self._counts, "remade": self._declared.remade}
        return {**counts, "connected": self._connection.is_up, "reconnects": max(0, made - 1)}

    async def close(self) -> None:
        """Give back what was handed out and not answered, so that others need not wait for it."""
        if self._closed:
            return
        self._closed = True
        for task in self._beginning:
            task.cancel()
        if self._connection.is_up:
            with suppress(Unavailable):
                link = await self._connection.link()
                async with asyncio.timeout(1):
                    await asyncio.gather(*self._abandoning, return_exceptions=True)
                    replies = [reply for held in self._declared.held.values() for reply in held.take_all()]
                    await self._say(link, replies, {len(replies) - 1} if replies else set(), NAK)
        await self._connection.close()
        await asyncio.gather(*self._abandoning, *self._beginning, return_exceptions=True)

    async def _link(self) -> Link:
        self._check_open()
        return await self._connection.link()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the bus at {self._server} is closed")

    def _consumer(self, name: str) -> Held:
        held = self._declared.held.get(name)
        if held is None:
            raise Invalid(f"nobody declared the consumer {name}")
        return held

    async def _api(self, link: Link, subject: str, body: object = None) -> dict[str, Any]:
        try:
            return await link.call(subject, body)
        except Refused as refused:
            if refused.number in {NO_CONSUMER, NO_STREAM}:
                raise Gone(f"{self._server} no longer has what {subject} asks for") from refused
            raise Unavailable(f"{self._server} does not answer {subject}: {refused}") from refused


def _another(request: Request, brought: Brought) -> Request:
    """What to ask for after nothing came."""
    if brought.said == "Requests Pending":  # others wait for more than there is: wait in line for one
        return Request(batch=1, max_bytes=request.max_bytes)
    if brought.said.startswith("Message Size Exceeds"):
        return Request(batch=1, no_wait=request.no_wait)
    return request
