"""Reading along in one stream of JetStream, in order and without gaps, over lost connections.

The consumer for it lives in the server's memory, acknowledges nothing, and is made anew after the last message that was
read whenever something is wrong with it. When nobody closes it the server forgets it by itself. A stream that was made
anew meanwhile counts anew, and is read from its beginning.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4

from nats.aio.msg import Msg

from services.kernel.bus.jetstream_connection import Connection
from services.kernel.bus.jetstream_intake import PULL_BYTES, Brought, Intake, Request
from services.kernel.bus.jetstream_link import Gone, Link, Lost, Refused
from services.kernel.bus.jetstream_messages import Place, to_place
from services.kernel.bus.jetstream_streams import NO_STREAM
from services.kernel.errors import MirageError, Unavailable
from services.kernel.pauses import pauses

READ: Final = 200
#: Seconds for which a request waits, and after which an unread consumer is forgotten.
WAITS: Final = 30.0
FORGOTTEN: Final = 90
_SECOND: Final = 1_000_000_000


class Reading:
    """A reader of ``subjects`` of one stream, from after a sequence on."""

    def __init__(self, connection: Connection, stream: str, subjects: Sequence[str], after: int) -> None:
        self.stream = stream
        self.after = after
        #: How many messages there were beyond those read, as far as is known.
        self.left: int | None = None
        self._connection = connection
        self._subjects = list(subjects)
        self._created = ""
        self._name = ""
        self._read = 0
        self._intake: Intake | None = None
        self._pauses = pauses(first=0.05, longest=2.0)

    async def next(self, wait: float = WAITS) -> list[tuple[Place, Msg]]:
        """What comes next, several at a time, as soon as there is one; nothing when nothing comes.

        Raises:
            Unavailable: the server is away, and has not come back soon.
        """
        end = asyncio.get_running_loop().time() + wait
        while True:
            try:
                intake = await self._ready(await self._connection.link())
                left = end - asyncio.get_running_loop().time()
                brought = await self._fetch(intake, max(0.0, left))
            except Lost:
                self._forget()
                continue
            found = self._in_order(brought)
            if len(found) < len(brought.messages):  # one was lost on the way: it and what follows is read anew
                await self.close()
            if found:
                self._pauses = pauses(first=0.05, longest=2.0)
                return found
            if asyncio.get_running_loop().time() >= end:
                return []
            if brought.status not in {"", "404", "408"}:
                await self.close()  # it is gone, or moves to another server
                await asyncio.sleep(next(self._pauses))

    async def _fetch(self, intake: Intake, wait: float) -> Brought:
        expires = round(wait * _SECOND)
        request = Request(batch=READ, expires=expires, no_wait=True, max_bytes=PULL_BYTES)
        return await intake.fetch(f"{self.stream}.{self._name}", request, wait)

    def _in_order(self, brought: Brought) -> list[tuple[Place, Msg]]:
        found: list[tuple[Place, Msg]] = []
        for message in brought.messages:
            place = to_place(message.reply)
            if place.consumer_sequence != self._read + 1:
                break
            self._read, self.after, self.left = place.consumer_sequence, place.sequence, place.left
            found.append((place, message))
        return found

    async def _ready(self, link: Link) -> Intake:
        if self._intake is not None and self._intake.link is not link:
            self._forget()
        if self._intake is not None and not self._intake.ended:
            await self.close()
        if self._intake is None:
            await self._make(link)
            self._intake = Intake(link)
            await self._intake.open()
        return self._intake

    async def _make(self, link: Link) -> None:
        """Make a consumer that begins after what was read."""
        try:
            created = (await link.call(f"STREAM.INFO.{self.stream}"))["created"]
            if self._created not in {"", created}:
                self.after = 0
            self._created = created
            self._name, self._read = f"reading_{uuid4().hex}", 0
            config = {
                "name": self._name,
                "filter_subjects": self._subjects,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self.after + 1,
                "ack_policy": "none",
                "replay_policy": "instant",
                "mem_storage": True,
                "num_replicas": 1,
                "inactive_threshold": FORGOTTEN * _SECOND,
            }
            body = {"stream_name": self.stream, "config": config}
            made = await link.call(f"CONSUMER.CREATE.{self.stream}.{self._name}", body)
        except Refused as refused:
            if refused.number == NO_STREAM:
                raise Gone(f"{self.stream} is not there (any more)") from refused
            raise Unavailable(f"{self.stream} cannot be read along: {refused}") from refused
        self.left = made.get("num_pending", 0)

    def _forget(self) -> None:
        self._intake, self._name = None, ""

    async def close(self) -> None:
        """Let the server forget it now."""
        intake, name = self._intake, self._name
        self._forget()
        if intake is not None and not intake.link.lost:
            with suppress(MirageError):
                await intake.abandon()
                await intake.link.call(f"CONSUMER.DELETE.{self.stream}.{name}")
