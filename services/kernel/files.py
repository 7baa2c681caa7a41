"""Streamed answers that are files: whoever does not ask for events gets the file itself, as it comes.

Services, and the command line, follow the pieces as server-sent events like any stream; a person with curl gets bytes
with their media type and a name to save them by. A file that breaks off ends without its last chunk, so that nobody
takes the beginning for the whole.
"""

import asyncio
from typing import Any

from litestar.types import Send

from services.kernel.calls import Piece
from services.kernel.events import END, EventStream, comes, send_body
from services.kernel.http_questions import EVENTS


def takes_file(accept: str) -> bool:
    """Whether who sends this Accept takes a file: he does unless he asks for events by their name."""
    return EVENTS not in accept.lower()


class FileStream(EventStream):
    """Sends the bytes of ``parts``, whose first one says what the file is and is called.

    Whoever leaves, or may ask no longer, ends the work on the next part, be it the first.
    """

    async def _send(self, send: Send) -> None:
        ending = asyncio.create_task(self._revoked.wait())
        try:
            piece = await self._part(ending)
            await send({"type": "http.response.start", "status": 200, "headers": headers_of(piece)})
            while piece is not END:
                await send_body(send, piece.data)
                piece = await self._part(ending)
            await send_body(send, b"", last=True)
        finally:
            ending.cancel()

    async def _part(self, ending: asyncio.Task[Any]) -> Any:
        """The next piece, or `END`; of one that is long in the making nothing can be said meanwhile."""
        self._next = self._next or asyncio.create_task(self._take())
        while not await comes(self._next, ending):
            pass
        part, self._next = self._next.result(), None
        return part


def headers_of(first: Piece) -> list[tuple[bytes, bytes]]:
    """The headers of a file; what is in it was said by strangers, so no browser shall make a page of it."""
    return [
        (b"content-type", first.media_type.encode()),
        (b"content-disposition", f'attachment; filename="{first.name}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
