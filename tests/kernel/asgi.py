"""One request to an ASGI application, in this loop, without a wire between."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct


class Reply(Struct):
    """What came back; ``left``: the client went away before it was whole."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    left: bool = False

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, str]]:
        """Name and data of each server-sent event."""
        found = []
        for block in self.body.decode().split("\r\n\r\n")[:-1]:
            lines = dict(line.partition(": ")[::2] for line in block.split("\r\n"))
            found.append((lines.get("event", ""), lines.get("data", lines.get("", ""))))
        return found


async def request(
    app: Any,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    body: bytes | object = b"",
    leave_when: Callable[[Reply], bool] = lambda _: False,
    sent: asyncio.Event | None = None,
    reply: Reply | None = None,
    leaving: asyncio.Event | None = None,
    taking: asyncio.Event | None = None,
) -> Reply:
    """Ask once; ``leave_when`` is asked after every piece of the answer whether the client has seen enough.

    The body comes once ``sent`` is set. Into ``reply`` goes what comes; the client goes away once ``leaving`` is set,
    and takes pieces only while ``taking`` is.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = headers.items() if isinstance(headers, dict) else headers or []
    given = {name.lower() for name, _ in lines}
    default = [("Host", "localhost"), ("Content-Type", "application/json")]
    lines = [*lines, *((name, value) for name, value in default if name.lower() not in given)]
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in lines],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    reply = reply or Reply()
    asked = False
    leaving = leaving or asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            if sent is not None:
                await sent.wait()
            return {"type": "http.request", "body": content, "more_body": False}
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if taking is not None:
            await taking.wait()
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            reply.body += message.get("body", b"")
            if not message.get("more_body"):
                leaving.set()
        if not leaving.is_set() and leave_when(reply):
            reply.left = True
            leaving.set()

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    return reply
