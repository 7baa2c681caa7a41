"""A front before a real Elasticsearch that does what the test server cannot: TLS, passwords, too much to do."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request], web.StreamResponse | None]
HEADERS = {"X-Elastic-Product": "Elasticsearch"}


class Front:
    """Passes on what ``answer`` has no answer to."""

    def __init__(self, behind: str, answer: Answer) -> None:
        self.behind = behind
        self.answer = answer
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        answer = self.answer(request)
        if answer is not None:
            return answer
        body = await request.read()
        headers = {name: request.headers[name] for name in ("Accept", "Content-Type") if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, self.behind + request.raw_path, data=body, headers=headers) as passed,
        ):
            content = {"Content-Type": passed.headers["Content-Type"]} if "Content-Type" in passed.headers else {}
            return web.Response(body=await passed.read(), status=passed.status, headers=HEADERS | content)


def refuses(kind: str, status: int = 429) -> web.Response:
    error = {"type": kind, "reason": "as a test asks"}
    return web.json_response({"error": error, "status": status}, status=status, headers=HEADERS)


class Slow(web.Response):
    """An answer that takes its time."""

    def __init__(self, body: Any, until: asyncio.Event) -> None:
        super().__init__(text=body, content_type="application/json", headers=HEADERS)
        self._until = until

    async def prepare(self, request: web.BaseRequest) -> Any:
        await self._until.wait()
        return await super().prepare(request)
