"""Streamed answers over HTTP as server-sent events (WHATWG HTML, section 9.2).

Every part is an event with JSON as its data, whose id is its ``sequence`` in a stream that can be resumed; ``end`` is
the last one, ``problem`` the last one of a stream that failed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import msgspec
import structlog
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from services.kernel.errors import Unauthenticated

#: How a stream ends of whom something was revoked.
REVOKED: Final = "what this was asked by is good no more"
#: How long the first part is waited for before the headers go out: what fails at once is an ordinary error.
FIRST_SECONDS: Final = 1.0
#: A comment is sent when nothing else was for so long, so that nobody between takes the stream for dead.
PING_SECONDS: Final = 15.0
SILENT: Final = b": nothing new\r\n\r\n"
#: After the last part.
END: Final = object()

_log = structlog.get_logger(__name__)


class EventStream(ASGIResponse):
    """Sends ``parts`` until they end, the client goes away, or ``revoked`` says that it may ask this no longer.

    In any case it closes them, and does what is to be done ``at_last``.
    """

    _should_set_content_length = False

    def __init__(
        self,
        parts: AsyncGenerator[Any, None],
        describe: Callable[[Exception], Struct],
        revoked: asyncio.Event,
        at_last: Callable[[], None],
        *,
        resumes: bool = False,
    ) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._parts = parts
        self._describe = describe
        self._revoked = revoked
        self._at_last = at_last
        self._resumes = resumes
        self._next: asyncio.Task[Any] | None = None

    async def begin(self) -> None:
        """Wait a moment for the first part; raise what it raises."""
        self._next = asyncio.create_task(self._take())
        try:
            done, _ = await asyncio.wait({self._next}, timeout=FIRST_SECONDS)
            if done:
                self._next.result()
        except BaseException:
            await self._close()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_disconnected(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)
            await self._close()

    async def _send(self, send: Send) -> None:
        await self.start_response(send)
        ending = asyncio.create_task(self._revoked.wait())
        try:
            while True:
                self._next = self._next or asyncio.create_task(self._take())
                if not await comes(self._next, ending):
                    await send_body(send, SILENT)
                    continue
                part, self._next = self._next.result(), None
                if part is END:
                    break
                await send_body(send, _event(part, id=str(part.sequence) if self._resumes else ""))
        except Exception as error:  # noqa: BLE001  whoever reads the stream learns of it
            _log.info("a stream failed", reason=str(error))
            await send_body(send, problem_event(self._describe(error)), last=True)
        else:
            await send_body(send, b"event: end\r\ndata: \r\n\r\n", last=True)
        finally:
            ending.cancel()

    async def _take(self) -> Any:
        return await anext(self._parts, END)

    async def _close(self) -> None:
        try:
            if self._next is not None:
                self._next.cancel()
                await asyncio.gather(self._next, return_exceptions=True)
            await self._parts.aclose()
        finally:
            self._at_last()


async def comes(part: asyncio.Task[Any], ending: asyncio.Task[Any]) -> bool:
    """Wait for a part until somebody should hear something; whether it is there."""
    done, _ = await asyncio.wait({part, ending}, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if ending in done:
        raise Unauthenticated(REVOKED)
    return bool(done)


def problem_event(problem: Struct) -> bytes:
    """The last event of a stream that failed."""
    return _event(problem, event="problem")


def _event(content: Any, **fields: str) -> bytes:
    """JSON has no line breaks outside of its texts, where they are escaped; of ``fields``, those that say something."""
    head = "".join(f"{name}: {said}\r\n" for name, said in fields.items() if said)
    return head.encode() + b"data: " + msgspec.json.encode(content) + b"\r\n\r\n"


async def send_body(send: Send, body: bytes, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
