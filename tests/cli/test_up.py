"""`mirage up`: one command, and the API and its pages are there."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kernel.errors import Invalid
from services.kernel.listening import open_listener

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def mirage(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", *arguments, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def get(port: int, path: str, *headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    kind = re.search(r"(?im)^content-type: ([^;\s]+)", head.decode())
    return int(head.split()[1]), kind[1] if kind else "", body


async def test_everything_is_served_on_a_free_port_until_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRAGE_SERVER", "http://127.0.0.1:9")  # whom others ask
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with mirage("up", "--listen", "127.0.0.1:0") as process:
        assert process.stderr is not None
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        where = re.search(r"http://localhost:(\d+)/api/docs", line)
        assert where, line
        port = int(where[1])
        assert await get(port, "/health/ready") == (200, "application/json", b'{"status":"ready"}')
        assert (await get(port, "/"))[0] == (await get(port, "/api"))[0] == 302
        status, kind, page = await get(port, "/api/docs")
        assert (status, kind) == (200, "text/html")
        assert b"<rapi-doc" in page
        for asset in re.findall(rb'(?:src|spec-url)="([^"]+)"', page):
            assert (await get(port, asset.decode()))[0] == 200
        assert json.loads((await get(port, "/api/openapi.json"))[2])["openapi"].startswith("3.1")
        assert (await get(port, "/api/v1/scans"))[:2] == (401, "application/problem+json")
        assert (await get(port, "/api/v1/jwks"))[:2] == (200, "application/json")
        assert (await get(port, "/api/v1/scans", "Origin: http://elsewhere.example"))[:2] == (
            403,
            "application/problem+json",
        )
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        assert b"Traceback" not in await process.stderr.read()


async def test_a_port_that_is_taken_is_said_so_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with mirage("up", "--data", str(tmp_path / "data"), "--listen", address) as process:
            assert process.stderr is not None
            said = (await process.stderr.read()).decode()
            assert await process.wait() == 2
    port = int(address.rpartition(":")[2])
    assert said.startswith(f"mirage: port {port} is taken at 127.0.0.1: choose another one with --listen 127.0.0.1:")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("listen", ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "example.org:80", "1.2:3"])
def test_what_is_no_address_and_port_is_refused(listen: str) -> None:
    with pytest.raises(Invalid, match="is not ADDRESS:PORT"):
        open_listener(listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:70000", "127.0.0.1:-1", "192.0.2.1:8080"])
def test_an_address_that_is_not_ours_is_refused(listen: str) -> None:
    with pytest.raises(Invalid, match="nobody can listen"):
        open_listener(listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
def test_both_kinds_of_addresses_are_listened_at(listen: str) -> None:
    with open_listener(listen) as listener:
        assert listener.getsockname()[1] > 0
