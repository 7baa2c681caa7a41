"""A question over HTTPS goes where it may, and takes no more than it is given: no bytes, no time, no other host."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.web.certificates import BEGIN, END, Authority
from lab.world import Certificate
from services.kernel.egress import Egress, Forbidden, Guard, Refused, TimedOut, TlsFailed, TooMuch, Unreachable
from services.kernel.egress.connection import Broken
from services.kernel.egress.https import Answer, ask_https
from services.kernel.egress.location import BadUrl

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Said: yes\r\n\r\n{}"
EGRESS = Egress(Guard())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(7, tmp_path)


@asynccontextmanager
async def saying(authority: Authority, answer: bytes, names: tuple[str, ...] = ("localhost",)) -> AsyncIterator[int]:
    """The port of a host that answers so, whatever it is asked; what it was asked goes to `ASKED`."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ASKED.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if not answer:
            await ended.wait()
        writer.close()

    ASKED.clear()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context(authority, names))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()


ASKED: list[bytes] = []


def context(authority: Authority, names: tuple[str, ...]) -> ssl.SSLContext:
    certificate = Certificate(
        id=names[0], subject=names[0], names=names, serial=7, not_before=BEGIN, not_after=END, issuer="Mirage Lab CA"
    )
    return authority.context(certificate)


async def ask(authority: Authority | None, url: str, *, exempt: bool = True, seconds: float = 10.0) -> Answer:
    ca_file = str(authority.file) if authority is not None else ""
    return await ask_https(EGRESS, "GET", url, limit=1000, seconds=seconds, exempt=exempt, ca_file=ca_file)


async def test_an_answer_comes_with_its_head(authority: Authority) -> None:
    async with saying(authority, OK) as port:
        answer = await ask(authority, f"https://localhost:{port}/a?b=c")
        assert (answer.status, answer.body, answer.headers["x-said"]) == (200, b"{}", "yes")
        assert ASKED[0].startswith(f"GET /a?b=c HTTP/1.1\r\nHost: localhost:{port}\r\n".encode())


async def test_a_body_is_sent_as_it_is(authority: Authority) -> None:
    async with saying(authority, OK) as port:
        await ask_https(
            EGRESS, "POST", f"https://localhost:{port}/", headers={"X-Word": "word"}, body=b"a=b", limit=1000,
            seconds=10.0, exempt=True, ca_file=str(authority.file),
        )  # fmt: skip
        assert b"X-Word: word\r\nContent-Length: 3\r\n\r\n" in ASKED[0]


async def test_the_network_of_this_machine_is_not_asked_unless_it_was_configured(authority: Authority) -> None:
    async with saying(authority, OK) as port:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(Forbidden):
                await ask(authority, f"https://{host}:{port}/", exempt=False)
        assert ASKED == []


async def test_a_certificate_of_nobody_or_of_another_is_not_believed(authority: Authority) -> None:
    async with saying(authority, OK) as port:
        with pytest.raises(TlsFailed):
            await ask(None, f"https://localhost:{port}/")
    async with saying(authority, OK, ("other.example",)) as port:
        with pytest.raises(TlsFailed):
            await ask(authority, f"https://localhost:{port}/")


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (head("Content-Length: 2000") + bytes(2000), TooMuch),
        (head("Transfer-Encoding: chunked") + b"7d0\r\n" + bytes(2000) + b"\r\n0\r\n\r\n", TooMuch),
        (head("X: " + "x" * 70_000), Broken),
        (head("Content-Length: 2", "Content-Encoding: gzip") + b"{}", Broken),
        (head("Content-Length: 20") + b"{}", Broken),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Broken),
    ],
)
async def test_what_is_too_much_or_not_as_it_was_asked_for_is_no_answer(
    authority: Authority, answer: bytes, error: type[Exception]
) -> None:
    async with saying(authority, answer) as port:
        with pytest.raises(error):
            await ask(authority, f"https://localhost:{port}/")


async def test_who_says_nothing_is_not_waited_for(authority: Authority) -> None:
    async with saying(authority, b"") as port:
        with pytest.raises(TimedOut):
            await ask(authority, f"https://localhost:{port}/", seconds=0.2)


async def test_a_redirect_is_an_answer_and_is_not_followed(authority: Authority) -> None:
    said = b"HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with saying(authority, said) as port:
        answer = await ask(authority, f"https://localhost:{port}/")
    assert (answer.status, len(ASKED)) == (302, 1)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://localhost/", BadUrl), ("file:///etc/passwd", BadUrl), ("https:///", BadUrl),
        ("https://localhost/\r\nX: y", BadUrl), ("https://nobody.invalid/", Unreachable),
        ("https://127.0.0.1:1/", Refused),
    ],
)  # fmt: skip
async def test_what_is_no_https_address_or_leads_nowhere_is_not_asked(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await ask(None, url)


@pytest.mark.parametrize("make", [lambda: {"X": "a\r\nY: b"}, lambda: {"X\n": "a"}])
async def test_a_header_is_one_line(make: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(BadUrl):
        await ask_https(EGRESS, "GET", "https://localhost/", headers=make(), limit=1, seconds=1.0)
