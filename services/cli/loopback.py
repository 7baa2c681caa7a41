"""Where a browser brings a person back to from a provider: a port of this machine, while he is away (RFC 8252).

Whatever else asks there, as pages of others may, is told that there is nothing, and is not listened to: only who was
sent to the provider from here knows the state that comes back.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qs, urlsplit

import click

from services.cli.text import clean
from services.contracts.resources import OidcAnswer, OidcBegun
from services.kernel.errors import Denied, Invalid

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
#: Bytes of a request, and seconds for one.
LARGEST: Final = 16_384
SECONDS: Final = 10.0
_HEADERS: Final = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close"


class Loopback:
    """``redirect`` is where the provider sends the person back to."""

    def __init__(self) -> None:
        self.redirect = ""
        self._state = ""
        self._came: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def answer_to(self, begun: OidcBegun) -> OidcAnswer:
        """Show the address to go to, and wait for what the provider sends back.

        Raises:
            Denied: it let nobody in.
            Invalid: the server named no address of a provider.
        """
        self._state = parse_qs(urlsplit(begun.url).query).get("state", [""])[0]
        if not begun.url.startswith("https://") or not self._state:
            raise Invalid("the server names no address of a provider")
        click.echo(f"Log in there, in a browser on this machine (Ctrl-C gives up):\n{clean(begun.url)}", err=True)
        said = await self._came
        if error := said.get("error"):
            raise Denied(f"the provider let nobody in: {clean(error)[:200]}")
        return OidcAnswer(
            begun=begun.begun, state=said["state"], code=said.get("code", ""), iss=said.get("iss", "")
        )  # fmt: skip

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one request."""
        with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._take(head.split(b"\r\n", 1)[0].decode("latin-1")))
                await writer.drain()
        writer.close()

    def _take(self, line: str) -> bytes:
        method, _, rest = line.partition(" ")
        target = urlsplit(rest.partition(" ")[0])
        said = {name: values[0] for name, values in parse_qs(target.query, max_num_fields=20).items()}
        expected = method == "GET" and target.path == PATH and self._state
        if not expected or not compare_digest(said.get("state", "").encode(), self._state.encode()):
            return _page("404 Not Found", "There is nothing here.")
        if not self._came.done():
            self._came.set_result(said)
        return _page("200 OK", "Mirage goes on where you began. You may close this page.")


def _page(status: str, text: str) -> bytes:
    return f"HTTP/1.1 {status}\r\n{_HEADERS}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode("ascii")


@asynccontextmanager
async def listening() -> AsyncIterator[Loopback]:
    """Listen at a free port."""
    loopback = Loopback()
    server = await asyncio.start_server(loopback.serve, HOST, 0, limit=LARGEST)
    loopback.redirect = f"http://{HOST}:{server.sockets[0].getsockname()[1]}{PATH}"
    try:
        yield loopback
    finally:
        server.close()
