"""Calls over HTTP: a service is found by its name, and asked within the time that is left for it.

One pool of connections a process. A question that may be asked twice is asked of another instance when one fails or
has not answered in half of the time; one that may not is asked again only where nobody can have heard it. A
service that fails again and again is left alone for a moment, and only so many questions wait for one service at a
time, so that one that hangs takes nobody with it. Streams, which may say nothing for long before they begin, wait in a
room of their own.
"""

import asyncio
import io
import os
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
from services.kernel.http_once import ask_once
from services.kernel.http_questions import EVENTS, Asked, read_answer, read_events, read_problem, write_question
from services.kernel.openapi import MEANT, PRINCIPAL
from services.kernel.pauses import pauses
from services.kernel.principals import Signer
from services.kernel.request import SECONDS, TRACE, continue_trace, current_trace, seconds_left, work

#: Instances that hear one question at most, and seconds for which one is looked for that does.
TRIES: Final = 3
PATIENCE: Final = 5.0
#: Seconds that one of several has for its answer at least, before another one is asked.
SHORTEST_TRY: Final = 1.0
#: Who has not answered in so many seconds hangs. That there was no answer in less says nothing of who was asked, but
#: that the question came late, or that who asked was in a hurry: many may not judge by the patience of one.
HANGS: Final = 5.0
#: Seconds for which who asks waits beyond its own time for who gives up in time by itself.
GRACE: Final = 0.1
#: Questions that wait for one service at a time, and that wait to wait.
AT_ONCE: Final = 64
#: Streams of one service that have not begun yet.
BEGINNING: Final = 256
#: An instance that does not take a connection in so many seconds is away.
CONNECTING: Final = 2.0
#: Seconds for which a stream may say nothing; the other side says so much earlier that there is nothing new.
SILENCE: Final = 45.0
#: The same of a file, in which nothing can be said of there being nothing new: a workbook is written before it is sent.
SILENCE_OF_FILE: Final = 900.0
#: Seconds for which a connection is kept that nobody uses: well below those of the other side.
KEPT: Final = 10.0
LARGEST_ANSWER: Final = 256_000_000
_MISDIRECTED: Final = 421
_UNAVAILABLE: Final = 503

T = TypeVar("T")
Attempt = Callable[[Instance], Awaitable[T]]

_log = structlog.get_logger(__name__)


class Unheard(Unavailable):
    """Nobody was there to hear the question, or somebody else."""


class Broken(Unavailable):
    """The instance went away while it was asked; it may have heard."""


class Late(Unavailable):
    """No answer came in time: a fault of who was asked where it is ``telling``."""

    def __init__(self, reason: str, *, telling: bool) -> None:
        super().__init__(reason)
        self.telling = telling


class Peer:
    """One service as others see it: its instances, its circuit, and how many questions and streams wait for it."""

    def __init__(self, service: str, directory: Directory) -> None:
        self.balancer = Balancer(directory, service)
        self.breaker = Breaker(f"the service {service}", monotonic)
        self.room = asyncio.Semaphore(AT_ONCE)
        self.room_of_streams = asyncio.Semaphore(BEGINNING)


class Http:
    """The connections of a process to other services; opened when first used."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @asynccontextmanager
    async def request(
        self,
        base: str,
        asked: Asked,
        headers: dict[str, str],
        seconds: float | None,
        *,
        name: str = "",
        silence: float = SILENCE,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request to ``base``, which errors call ``name`` where there is one.

        Where it has no ``seconds`` in all, it may say nothing for those of ``silence``.

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
        reading = silence if seconds is None else None
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECTING, sock_read=reading)
        try:
            # A file is sent piece by piece; bytes are copied whole to where they wait to be sent. It has no name here,
            # so that it does not stay as long as the answer lasts. A GET changes nothing, however often it is heard.
            async with self._session.request(
                asked.method, URL(base + asked.target, encoded=True), headers=headers, timeout=timeout,
                data=io.BytesIO(asked.body) if asked.body else None, allow_redirects=False,
                middlewares=() if asked.method == "GET" else (ask_once,),
            ) as response:  # fmt: skip
                yield response
        except aiohttp.ClientConnectorError as error:
            raise Unheard(f"{name or base} does not answer: {_reason(error.os_error)}") from error
        except aiohttp.ConnectionTimeoutError as error:
            raise Unheard(f"{name or base} does not answer") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Broken(f"{name or base} went away: {error}") from error

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

    def __init__(self, local: LocalCalls, directory: Directory, signer: Signer) -> None:
        self._local = local
        self._directory = directory
        self._signer = signer
        self._http = Http()
        self._peers: dict[str, Peer] = {}

    def apart(self) -> "HttpCalls":
        """The same, on these connections, with circuits and queues of its own: others who ask do not hold it up."""
        calls = HttpCalls(self._local, self._directory, self._signer)
        calls._http = self._http  # which this one closes
        return calls

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        seconds = seconds_left(seconds)
        if self._answers(endpoint):
            return await self._local.ask(endpoint, question, caller, seconds=seconds)
        asked = write_question(endpoint, question)
        headers = _headers()

        async def attempt(instance: Instance) -> A:
            left = seconds_left(seconds)
            timed = {**headers, SECONDS: f"{left:.3f}"}
            async with self._request(instance, asked, timed, caller) as response:
                body = await _body(response)
            if response.status != 200:
                raise read_problem(endpoint.service, response.status, body)
            return read_answer(endpoint, body)

        with metrics.call(endpoint.service, endpoint.name):
            return await self._in_time(endpoint, seconds, attempt)

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        if self._answers(endpoint):
            async with aclosing(self._local.follow(endpoint, question, caller)) as parts:
                async for part in parts:
                    yield part
            return
        headers = {**_headers(), "Accept": EVENTS}
        async with self.forward(endpoint, write_question(endpoint, question), caller, headers) as answer:
            if answer.status != 200:
                body = b"".join([chunk async for chunk in answer.chunks])
                raise read_problem(endpoint.service, answer.status, body)
            async for part in read_events(endpoint, answer.chunks, endpoint.service):
                yield part

    @asynccontextmanager
    async def forward(
        self,
        endpoint: Endpoint[Any, Any],
        asked: Asked,
        caller: Caller,
        headers: Mapping[str, str],
        *,
        seconds: float = 30.0,
    ) -> AsyncIterator[Forwarded]:
        """Ask as it is for a caller, and give the answer as it comes; its beginning must come within ``seconds``.

        An instance that says that it is not available counts as one that is not, as in `ask`.

        Raises:
            Unavailable: no instance answers, or the one that began to went away.
        """
        async with AsyncExitStack() as stack:

            async def attempt(instance: Instance) -> Forwarded:
                opened = AsyncExitStack()
                silence = SILENCE_OF_FILE if endpoint.file else SILENCE
                response = await opened.enter_async_context(self._request(instance, asked, headers, caller, silence))
                if response.status == _UNAVAILABLE:
                    async with opened:
                        raise read_problem(endpoint.service, response.status, await _body(response))
                opened.enter_context(self._peer(endpoint.service).balancer.using(instance))
                stack.push_async_exit(opened)
                return Forwarded(response.status, response.headers, response.content.iter_any(), instance)

            with metrics.call(endpoint.service, endpoint.name):
                answer = await self._in_time(endpoint, seconds, attempt)
            yield answer

    @asynccontextmanager
    async def _request(
        self,
        instance: Instance,
        asked: Asked,
        headers: Mapping[str, str],
        caller: Caller,
        silence: float = SILENCE,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request to an instance of the service that is meant.

        Raises:
            Unheard: it did not arrive, or another service is there by now.
            Broken: see `Http.request`.
        """
        meant = {**headers, MEANT: instance.service, PRINCIPAL: self._signer.sign(caller, instance.service)}
        async with self._http.request(
            _base(instance), asked, meant, None, name=instance.id, silence=silence
        ) as response:
            if response.status == _MISDIRECTED:
                raise Unheard(f"{instance.id} is not at {instance.address} any more")
            yield response

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
        late = f"{endpoint.service} did not answer {endpoint.name} within {seconds:g} s"
        if seconds <= 0.0:
            raise Late(late, telling=False)
        end = monotonic() + seconds
        room = peer.room_of_streams if endpoint.streams else peer.room
        try:
            async with asyncio.timeout(seconds + GRACE) as deadline, room:
                turn = peer.breaker.enter()
                return await _judged(peer.breaker, turn, self._attempt(peer, endpoint, end, late, attempt))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Late(late, telling=False) from None

    async def _attempt(self, peer: Peer, endpoint: Endpoint[Any, Any], end: float, late: str, attempt: Attempt[T]) -> T:
        """Try one instance after the other until ``end``, as far as asking again does no harm.

        One that is away now may be back in a moment, so where nobody hears, it is tried for `PATIENCE` seconds. One
        that has not answered when half of the time is over is not waited for any more where there is another one.
        """
        patience = monotonic() + PATIENCE
        tried: list[Instance] = []
        heard, was_late = 0, False
        for pause in pauses(0.05, 0.5):
            try:
                instance = await _next(peer.balancer, tried)
                tried.append(instance)
                seconds = max(0.0, end - monotonic())
                if endpoint.idempotent and not was_late and heard + 1 < TRIES and len(tried) < peer.balancer.instances:
                    seconds = min(seconds, max(SHORTEST_TRY, seconds / 2))  # the rest is for another one
                with peer.balancer.using(instance):
                    result = await _try(attempt, instance, seconds, late)
            except Unavailable as error:
                unheard = not tried or isinstance(error, Unheard)
                if tried and (isinstance(error, Unheard | Broken) or (isinstance(error, Late) and error.telling)):
                    peer.balancer.failed(tried[-1])
                heard += not unheard
                was_late = was_late or isinstance(error, Late)
                over = monotonic() + pause > (min(patience, end) if unheard else end)
                over = over or (not unheard and (heard >= TRIES or not endpoint.idempotent))
                address = tried[-1].address if tried else ""
                asked = {"service": endpoint.service, "name": endpoint.name, "reason": str(error), "address": address}
                if over:
                    _log.warning("a service is not available", **asked)
                    if isinstance(error, Late):
                        raise
                    raise Unavailable(f"{endpoint.service}: {error}") from error
                _log.info("asked again", **asked)
                await asyncio.sleep(pause)
            else:
                peer.balancer.succeeded(instance)
                return result
        raise AssertionError  # pauses do not end


async def _judged(breaker: Breaker, turn: int, asking: Awaitable[T]) -> T:
    """What is answered; the circuit learns how it went."""
    try:
        result = await asking
    except Late as error:
        if error.telling:
            breaker.fail(turn)
        else:
            breaker.leave(turn)
        raise
    except Unavailable:
        breaker.fail(turn)
        raise
    except MirageError:
        breaker.succeed(turn)  # it answers, if only with a no
        raise
    except BaseException:
        breaker.leave(turn)  # who asked did not wait for it
        raise
    breaker.succeed(turn)
    return result


async def _try(attempt: Attempt[T], instance: Instance, seconds: float, late: str) -> T:
    """Ask one instance.

    Raises:
        Late: it did not answer in so many seconds.
    """
    try:
        async with asyncio.timeout(seconds) as deadline:
            with work(seconds=seconds):
                return await attempt(instance)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Late(late, telling=seconds >= HANGS) from None


async def _next(balancer: Balancer, tried: list[Instance]) -> Instance:
    """One that was not tried yet; when all were, the next round begins."""
    try:
        return await balancer.pick(exclude=tried)
    except Unavailable:
        tried.clear()
        return await balancer.pick()


def _base(instance: Instance) -> str:
    return f"http://{instance.address}"


def _reason(error: OSError) -> str:
    """What is wrong, without the address, which the loop adds."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _headers() -> dict[str, str]:
    return {TRACE: continue_trace(current_trace()), "Content-Type": "application/json"}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise Unavailable(f"an answer of more than {LARGEST_ANSWER} bytes is not read")
    return bytes(content)
