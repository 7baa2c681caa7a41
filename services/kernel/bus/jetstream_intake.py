"""Pulling from a consumer of JetStream: one request at a time into an inbox of its own.

A request is made so that the server sends what there is, or else waits for one (``no_wait`` with ``expires``), and says
when it has no more (`Intake.ended`). Where it does not, as at a consumer whose hands are full, silence says it.
"""

import asyncio
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from nats.aio.msg import Msg

from services.kernel.bus.jetstream_link import Link
from services.kernel.errors import MirageError

#: Seconds of silence after which nothing more comes of what was there.
QUIET: Final = 0.05
#: Seconds beyond the end of a request in which the server may still say that it has ended.
LATE: Final = 0.25
PULL_BYTES: Final = 16 << 20
NAK: Final = b"-NAK"
_ACKNOWLEDGED: Final = "$JS.ACK."


class Request(Struct, frozen=True, omit_defaults=True):
    """``GetNextRequest`` of JetStream's API; times in nanoseconds."""

    batch: int
    expires: int = 0
    no_wait: bool = False
    max_bytes: int = 0


class Brought(Struct, frozen=True):
    """What a request brought, and the status that ended it, if one did: its code and what it says."""

    messages: list[Msg] = field(default_factory=list)
    status: str = ""
    said: str = ""


class Intake:
    """An inbox into which one request at a time lets its messages come."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.ended = True
        #: Messages that came when nobody waited for them any more.
        self.late = 0
        self._inbox = link.new_inbox()
        self._subscription: Any = None
        self._messages: list[Msg] = []
        self._wanted = 0
        self._status = ""
        self._said = ""
        self._loss: MirageError | None = None
        self._stirred = asyncio.Event()
        self._abandoned = False
        self._forget = link.tell(self._lose)

    async def open(self) -> None:
        self._subscription = await self.link.subscribe(self._inbox, self._take)

    async def fetch(self, consumer: str, request: Request, wait: float) -> Brought:
        """Ask ``<stream>.<consumer>`` for messages, and return them as soon as no more come at once.

        Raises:
            Lost: the connection went away before there was one.
        """
        self._messages, self._wanted, self._status, self._said, self.ended = [], request.batch, "", "", False
        await self.link.send(f"$JS.API.CONSUMER.MSG.NEXT.{consumer}", msgspec.json.encode(request), reply=self._inbox)
        loop = asyncio.get_running_loop()
        end = loop.time() + wait + LATE
        while not self.ended:
            self._stirred.clear()
            try:
                async with asyncio.timeout_at(loop.time() + QUIET if self._messages else end):
                    await self._stirred.wait()
            except TimeoutError:
                if not self._messages:
                    await self.link.echo()  # or it is silent because it is away
                break
        if self._loss is not None and not self._messages:
            raise self._loss
        brought = Brought(self._messages, self._status, self._said)
        self._messages = []
        return brought

    async def _take(self, message: Msg) -> None:
        if not message.reply.startswith(_ACKNOWLEDGED):
            headers = message.headers or {}
            self._status, self._said, self.ended = headers.get("Status", ""), headers.get("Description", ""), True
        elif self._abandoned or self.ended:
            self.late += 1
            await self.link.send(message.reply, NAK)
            return
        else:
            self._messages.append(message)
            self.ended = len(self._messages) >= self._wanted
        self._stirred.set()

    def _lose(self, error: MirageError) -> None:
        self._loss, self.ended = error, True
        self._stirred.set()

    async def abandon(self) -> None:
        """Take back the request, and give back at once what it still brings."""
        self._abandoned = True
        late, self._messages = self._messages, []
        self.late += len(late)
        try:
            for message in late:
                await self.link.send(message.reply, NAK)
            if not self.ended:
                await self.link.drain(self._subscription)
            else:
                await self.link.unsubscribe(self._subscription)
        finally:
            self._forget()
