"""Streamed answers that are files: whoever does not ask for events gets the file itself, as it comes.

Services, and the command line, follow the pieces as server-sent events like any stream; a person with curl gets bytes
with their media type and a name to save them by. A file that breaks off ends without its last chunk, so that nobody
takes the beginning for the whole.
"""

from collections.abc import AsyncGenerator
from typing import Any

from litestar.types import Send

from services.kernel.calls import Piece
from services.kernel.errors import Unauthenticated
from services.kernel.events import REVOKED, EventStream
from services.kernel.http_questions import EVENTS


def takes_file(accept: str) -> bool:
    """Whether who sends this Accept takes a file: he does unless he asks for events by their name."""
    return EVENTS not in accept.lower()


class FileStream(EventStream):
    """Sends the bytes of ``parts``, whose first one says what the file is and is called."""

    def __init__(self, parts: AsyncGenerator[Any, None], *others: Any) -> None:
        super().__init__(parts, *others)
        self._first: Piece | None = None

    async def begin(self) -> None:
        """Wait for the first piece; raise what it raises."""
        try:
            self._first = await anext(self._parts)
        except BaseException:
            await self._close()
            raise

    async def _send(self, send: Send) -> None:
        assert self._first is not None
        await send({"type": "http.response.start", "status": 200, "headers": headers_of(self._first)})
        await _send_body(send, self._first.data)
        async for piece in self._parts:
            if self._revoked.is_set():
                raise Unauthenticated(REVOKED)
            await _send_body(send, piece.data)
        await _send_body(send, b"", last=True)


def headers_of(first: Piece) -> list[tuple[bytes, bytes]]:
    """The headers of a file; what is in it was said by strangers, so no browser shall make a page of it."""
    return [
        (b"content-type", first.media_type.encode()),
        (b"content-disposition", f'attachment; filename="{first.name}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def _send_body(send: Send, body: bytes, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not last})
