"""Calls over HTTP: a service is found by its name, and asked within the time that is left for it.

One pool of connections a process. A question that may be asked twice is asked of another instance when one fails, as
long as there is time; one that may not is asked again only where nobody can have heard it. A service that fails again
and again is left alone for a moment, and only so many questions wait for one service at a time, so that one that hangs
takes nobody with it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from time import monotonic
from typing import Any, Final, TypeVar

import aiohttp
import structlog
from msgspec import Struct
from yarl import URL

from services.kernel import metrics
from services.kernel.breaker import Breaker
from services.kernel.calls import A, Caller, Calls, Endpoint, LocalCalls, Q
from services.kernel.directory import Directory, Instance
from services.kernel.directory.balance import Balancer
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.http_questions import Asked, read_answer, read_events, read_problem, write_question
from services.kernel.openapi import WORKSPACE
from services.kernel.pauses import pauses
from services.kernel.request import SECONDS, TRACE, continue_trace, current_trace, seconds_left, work

#: Instances that hear one question at most, and seconds for which one is looked for that does.
TRIES: Final = 3
PATIENCE: Final = 5.0
#: Questions that wait for one service at a time, and that wait to wait.
AT_ONCE: Final = 64
#: An instance that does not take a connection in so many seconds is away.
CONNECTING: Final = 2.0
#: Seconds for which a stream may say nothing; the other side says so much earlier that there is nothing new.
SILENCE: Final = 45.0
#: Seconds for which a connection is kept that nobody uses: well below those of the other side.
KEPT: Final = 10.0
LARGEST_ANSWER: Final = 256_000_000

T = TypeVar("T")
Attempt = Callable[[Instance], Awaitable[T]]

_log = structlog.get_logger(__name__)


class Unheard(Unavailable):
    """Nobody was there to hear the question."""


class Broken(Unavailable):
    """The instance went away while it was asked; it may have heard."""


class Peer:
    """One service as others see it: its instances, its circuit, and how many wait for it."""

    def __init__(self, service: str, directory: Directory) -> None:
        self.balancer = Balancer(directory, service)
        self.breaker = Breaker(f"the service {service}", monotonic)
        self.room = asyncio.Semaphore(AT_ONCE)


class Http:
    """The connections of a process to other services; opened when first used."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @asynccontextmanager
    async def request(
        self, base: str, asked: Asked, headers: dict[str, str], seconds: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request.

        Raises:
            Unheard: it did not arrive.
            Broken: it may have, but no answer came back in full.
        """
        if self._closed:
            raise Unavailable("this process is ending")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=KEPT),
                auto_decompress=True,
                trust_env=False,
            )
        silence = SILENCE if seconds is None else None
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECTING, sock_read=silence)
        try:
            async with self._session.request(
                asked.method, URL(base + asked.target, encoded=True), data=asked.body, headers=headers, timeout=timeout,
                allow_redirects=False,
            ) as response:  # fmt: skip
                yield response
        except aiohttp.ClientConnectorError as error:
            raise Unheard(f"{base} does not answer: {error.os_error.strerror or error}") from error
        except aiohttp.ConnectionTimeoutError as error:
            raise Unheard(f"{base} does not answer") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Broken(f"{base} went away: {error}") from error

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


class Forwarded(Struct, frozen=True):
    """The beginning of an answer that is passed on as it comes; ``instance`` gave it."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    instance: Instance


class HttpCalls(Calls):
    """Asks this process where it answers itself, and otherwise an instance that the directory knows."""

    def __init__(self, local: LocalCalls, directory: Directory) -> None:
        self._local = local
        self._directory = directory
        self._http = Http()
        self._peers: dict[str, Peer] = {}

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        seconds = seconds_left(seconds)
        if self._answers(endpoint):
            return await self._local.ask(endpoint, question, caller, seconds=seconds)
        asked = write_question(endpoint, question)
        headers = _headers(caller)

        async def attempt(instance: Instance) -> A:
            left = seconds_left(seconds)
            timed = {**headers, SECONDS: f"{left:.3f}"}
            async with self._http.request(_base(instance), asked, timed, None) as response:
                body = await _body(response)
            if response.status != 200:
                raise read_problem(endpoint.service, response.status, body)
            return read_answer(endpoint, body)

        with metrics.call(endpoint.service, endpoint.name), work(seconds=seconds):
            return await self._in_time(endpoint, seconds, attempt)

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        if self._answers(endpoint):
            async with aclosing(self._local.follow(endpoint, question, caller)) as parts:
                async for part in parts:
                    yield part
            return
        async with self.forward(endpoint, write_question(endpoint, question), _headers(caller)) as answer:
            if answer.status != 200:
                body = b"".join([chunk async for chunk in answer.chunks])
                raise read_problem(endpoint.service, answer.status, body)
            async for part in read_events(endpoint, answer.chunks, endpoint.service):
                yield part

    @asynccontextmanager
    async def forward(
        self, endpoint: Endpoint[Any, Any], asked: Asked, headers: Mapping[str, str], *, seconds: float = 30.0
    ) -> AsyncIterator[Forwarded]:
        """Ask as it is, and give the answer as it comes; its beginning must come within ``seconds``.

        Raises:
            Unavailable: no instance answers, or the one that began to went away.
        """
        async with AsyncExitStack() as stack:

            async def attempt(instance: Instance) -> Forwarded:
                opened = AsyncExitStack()
                request = self._http.request(_base(instance), asked, dict(headers), None)
                response = await opened.enter_async_context(request)
                opened.enter_context(self._peer(endpoint.service).balancer.using(instance))
                stack.push_async_exit(opened)
                return Forwarded(response.status, response.headers, response.content.iter_any(), instance)

            with metrics.call(endpoint.service, endpoint.name):
                answer = await self._in_time(endpoint, seconds, attempt)
            yield answer

    async def close(self) -> None:
        """Hang up on everybody."""
        await self._http.close()

    def _peer(self, service: str) -> Peer:
        found = self._peers.get(service)
        if found is None:
            found = self._peers[service] = Peer(service, self._directory)
        return found

    def _answers(self, endpoint: Endpoint[Any, Any]) -> bool:
        try:
            self._local.endpoint(endpoint.service, endpoint.name)
        except NotFound:
            return False
        return True

    async def _in_time(self, endpoint: Endpoint[Any, Any], seconds: float, attempt: Attempt[T]) -> T:
        """Attempt it within ``seconds``, once there is room for one more question, and unless the circuit is open."""
        peer = self._peer(endpoint.service)
        try:
            async with asyncio.timeout(seconds) as deadline, peer.room:
                peer.breaker.enter()
                try:
                    result = await self._attempt(peer, endpoint, attempt)
                except Unavailable:
                    peer.breaker.fail()
                    raise
                except MirageError:
                    peer.breaker.succeed()  # it answers, if only with a no
                    raise
                except BaseException:
                    peer.breaker.leave()
                    raise
                peer.breaker.succeed()
                return result
        except TimeoutError:
            if not deadline.expired():
                raise
            peer.breaker.fail()
            reason = f"{endpoint.service} did not answer {endpoint.name} within {seconds:g} s"
            raise Unavailable(reason) from None

    async def _attempt(self, peer: Peer, endpoint: Endpoint[Any, Any], attempt: Attempt[T]) -> T:
        """Try one instance after the other, as far as asking again does no harm.

        One that is away now may be back in a moment, so where nobody hears, it is tried for `PATIENCE` seconds.
        """
        end = monotonic() + PATIENCE
        tried: list[Instance] = []
        heard = 0
        for pause in pauses(0.05, 0.5):
            try:
                instance = await _next(peer.balancer, tried)
                tried.append(instance)
                with peer.balancer.using(instance):
                    result = await attempt(instance)
            except Unavailable as error:
                unheard = not tried or isinstance(error, Unheard)
                if tried and isinstance(error, Unheard | Broken):
                    peer.balancer.failed(tried[-1])
                heard += not unheard
                over = monotonic() > end if unheard else heard >= TRIES or not endpoint.idempotent
                if over:
                    raise Unavailable(f"{endpoint.service}: {error}") from error
                _log.info("asked again", service=endpoint.service, name=endpoint.name, reason=str(error))
                await asyncio.sleep(pause)
            else:
                peer.balancer.succeeded(instance)
                return result
        raise AssertionError  # pauses do not end


async def _next(balancer: Balancer, tried: list[Instance]) -> Instance:
    """One that was not tried yet; when all were, the next round begins."""
    try:
        return await balancer.pick(exclude=tried)
    except Unavailable:
        tried.clear()
        return await balancer.pick()


def _base(instance: Instance) -> str:
    return f"http://{instance.address}"


def _headers(caller: Caller) -> dict[str, str]:
    return {
        WORKSPACE: str(caller.workspace),
        TRACE: continue_trace(current_trace()),
        "Content-Type": "application/json",
    }


async def _body(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise Unavailable(f"an answer of more than {LARGEST_ANSWER} bytes is not read")
    return bytes(content)
