"""The connection to Elasticsearch: every call ends, and what the library raises becomes an error of ours.

A call on a live server may take its time. One that has not been answered for a while is let go as soon as the server
does not answer a bare ``HEAD /`` either.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from elastic_transport import NodeConfig, TransportError
from elasticsearch import ApiError, AsyncElasticsearch, ElasticsearchWarning, UnsupportedProductError

from services.kernel.errors import (
    Denied,
    Exhausted,
    Incompatible,
    Invalid,
    MirageError,
    Unavailable,
)
from services.kernel.server import Server

#: Seconds without an answer after which the server is asked whether it is there, and that it has to say so.
DOUBT_SECONDS: Final = 2.0
PROBE_SECONDS: Final = 2.0
#: Seconds that a call may take on a live server.
CALL_SECONDS: Final = 60.0
#: Seconds that `close` waits for calls that were begun.
CLOSE_SECONDS: Final = 10.0
OLDEST: Final = 8

Answer = Any
Call = Callable[[AsyncElasticsearch], Awaitable[Answer]]

# A server may warn in every answer, that it has no passwords for one; it says so in its own log.
warnings.filterwarnings("ignore", category=ElasticsearchWarning)


class Connection:
    def __init__(self, server: Server, connections: int) -> None:
        self.server = server
        self.calls = 0
        self.failures = 0
        self._closed = False
        self._client = _client(server, connections, CALL_SECONDS)
        self._probe = _client(server, 1, PROBE_SECONDS)
        self._running: set[asyncio.Future[Answer]] = set()
        self._heard = 0.0

    @property
    def in_flight(self) -> int:
        return len(self._running)

    async def call(self, call: Call) -> Answer:
        """Return what the server answers.

        Raises:
            Unavailable: it is away, hangs, is overloaded, or has lost the index.
            Invalid, Exhausted, Denied, Incompatible: it says so.
        """
        self.check_open()
        self.calls += 1
        work = asyncio.ensure_future(call(self._client))
        self._running.add(work)
        try:
            answer = await self._answered(work)
        except (ApiError, TransportError) as error:
            self.failures += 1
            raise meant(error, self.server) from error
        finally:
            self._running.discard(work)
        self._heard = asyncio.get_running_loop().time()
        return answer

    async def _answered(self, work: asyncio.Future[Answer]) -> Answer:
        try:
            while not (await asyncio.wait([work], timeout=DOUBT_SECONDS))[0]:
                await self._check_alive()
            return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])

    async def _check_alive(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard < DOUBT_SECONDS:
            return
        with suppress(ApiError):  # whatever it says, it is there
            await self._probe.perform_request("HEAD", "/")
        self._heard = loop.time()

    def check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the search on {self.server} is closed")

    async def close(self) -> None:
        """End what was begun, within reason."""
        self._closed = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=CLOSE_SECONDS)
        await self._client.close()
        await self._probe.close()


def _client(server: Server, connections: int, seconds: float) -> AsyncElasticsearch:
    context = server.context()
    return AsyncElasticsearch(
        [
            NodeConfig(
                scheme="https" if context else "http",
                host=host.name,
                port=host.port,
                connections_per_node=connections,
                ssl_context=context,
            )
            for host in server.hosts
        ],
        basic_auth=(server.user, server.password) if server.user else None,
        request_timeout=seconds,
        max_retries=len(server.hosts) - 1,
        retry_on_status=(),
        retry_on_timeout=False,
    )


def meant(error: ApiError | TransportError, server: Server) -> MirageError:
    """Say an error of the library as one of ours, without what was sent or found."""
    if isinstance(error, UnsupportedProductError):
        return Incompatible(f"{server} is not Elasticsearch, or older than {OLDEST}.0")
    if isinstance(error, ApiError):
        return refused(error.status_code, _cause(error.body), server)
    return Unavailable(f"{server} does not answer ({type(error).__name__})")


def refused(status: int, cause: dict[str, Any], server: Server) -> MirageError:
    """Say what ``status`` and the ``error`` of an answer, or of one document in it, mean."""
    kind = str(cause.get("type", "no reason"))
    said = f"{server} answers {status} ({kind})"
    if kind == "cluster_block_exception" and "read-only" in str(cause.get("reason")):
        return Exhausted(f"{server} lets nobody write: its disk is full or the index was made read-only")
    if kind in {"media_type_header_exception", "invalid_index_template_exception"} or status == 406:
        return Incompatible(f"{server} is not Elasticsearch {OLDEST}.0 or newer: {said}")
    if status in {401, 403} and kind != "cluster_block_exception":
        return Denied(f"{server} does not let {server.user or 'anybody'} do this ({kind})")
    if status == 404:
        return Unavailable(f"{server} has lost the index; declare it again and index anew")
    if 400 <= status < 500 and status not in {408, 429} and kind != "cluster_block_exception":
        return Invalid(f"{server} cannot take this: {said}")
    return Unavailable(said)


def _cause(body: Any) -> dict[str, Any]:
    cause = body.get("error") if isinstance(body, dict) else None
    return cause if isinstance(cause, dict) else {}
