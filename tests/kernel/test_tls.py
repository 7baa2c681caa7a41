"""Certificates that are replaced while a process runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kernel.server import Server, Trust
from tests.collector.fetch.authority import Signer


def replaced(path: Path, content: bytes) -> None:
    """Put another file in the place of one, as whoever renews certificates does."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


@asynccontextmanager
async def door(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        writer.close()

    serving = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with serving:
        yield serving.sockets[0].getsockname()[1]


async def greeted(server: Server) -> bool:
    host, context = server.hosts[0], server.context()
    try:
        reader, writer = await asyncio.open_connection(host.name, host.port, ssl=context)
        content = await reader.read()
        writer.close()
    except OSError:
        return False
    return content == b"x"


class Signed:
    """Two authorities; a server that has a certificate of the first one and asks for one of it."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.other = (self._signer(folder / name) for name in ("ours", "other"))
        self.context = self.ours.context("127.0.0.1")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(self.ours.file)
        self.trust = Trust(ca=str(folder / "ca.pem"), cert=str(folder / "cert.pem"), key=str(folder / "key.pem"))

    @staticmethod
    def _signer(folder: Path) -> Signer:
        folder.mkdir()
        return Signer(folder)

    def put(self, *, authority: Signer | None = None, cert: Signer | None = None, key: Signer | None = None) -> None:
        """Replace files by those of an authority."""
        if authority is not None:
            replaced(Path(self.trust.ca), authority.file.read_bytes())
        for signer, file in ((cert, self.trust.cert), (key, self.trust.key)):
            if signer is not None:
                replaced(Path(file), self._pair(signer))

    @staticmethod
    def _pair(signer: Signer) -> bytes:
        """A certificate of a client and its key, the same ones each time."""
        path = signer.file.with_name("client.pem")
        if not path.exists():
            before = set(signer.file.parent.iterdir())
            signer.context("client")
            (made,) = set(signer.file.parent.iterdir()) - before
            made.rename(path)
        return path.read_bytes()


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


async def test_a_certificate_that_was_replaced_is_shown_from_then_on(signed: Signed) -> None:
    signed.put(authority=signed.ours, cert=signed.other, key=signed.other)
    async with door(signed.context) as port:
        server = Server.parse(f"nats+tls://127.0.0.1:{port}", trust=signed.trust)
        context = server.context()
        assert not await greeted(server)
        signed.put(cert=signed.ours)
        assert not await greeted(server), "its key is not there yet"
        signed.put(key=signed.ours)
        assert await greeted(server)
        assert server.context() is context, "whoever has it shows the new one too"
        signed.put(cert=signed.other)
        assert await greeted(server), "while they do not go together, what was read before is shown"


async def test_an_authority_that_was_replaced_is_believed_from_then_on(signed: Signed) -> None:
    signed.put(authority=signed.other, cert=signed.ours, key=signed.ours)
    async with door(signed.context) as port:
        server = Server.parse(f"nats+tls://127.0.0.1:{port}", trust=signed.trust)
        assert not await greeted(server)
        signed.put(authority=signed.ours)
        assert await greeted(server)


async def test_files_that_are_away_for_a_moment_are_those_that_were_read(signed: Signed) -> None:
    signed.put(authority=signed.ours, cert=signed.ours, key=signed.ours)
    async with door(signed.context) as port:
        server = Server.parse(f"nats+tls://127.0.0.1:{port}", trust=signed.trust)
        assert await greeted(server)
        Path(signed.trust.cert).unlink()
        assert await greeted(server)
