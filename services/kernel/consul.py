"""Consul's HTTP API (https://developer.hashicorp.com/consul/api-docs): the one module that knows python-consul2.

The library builds the requests and reads the answers. Its own transport is not used: that opens a connection for each
call, knows no CA file and no client certificate, and warns when it is closed. Nor is its constructor, which lets
``CONSUL_*`` in the environment overrule what it is told.
"""

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from consul import base
from services.kernel.errors import Conflict, Denied, Incompatible, Invalid, MirageError, NotFound, Unavailable
from services.kernel.http_once import ask_once
from services.kernel.server import Server

T = TypeVar("T")

#: Seconds in which a connection is made, and in which a question is answered that waits for nothing.
CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
#: Seconds that a question waits for a change at most, and what its answer may take on top of that.
WAIT_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 10.0
#: Seconds of a session without renewal after which others may take its locks; Consul knows none below ten.
SESSION_SECONDS: Final = 10

Params = Sequence[tuple[str, Any]]


class ServiceEntry(Struct, frozen=True, rename="pascal"):
    """A service as an agent or the catalog has it; Consul leaves out what is empty, or says null."""

    id: str = msgspec.field(name="ID")
    service: str
    address: str = ""
    port: int = 0
    meta: dict[str, str] | None = None


class Node(Struct, frozen=True, rename="pascal"):
    address: str = ""


class Check(Struct, frozen=True, rename="pascal"):
    check_id: str = msgspec.field(name="CheckID")
    status: str


class Entry(Struct, frozen=True, rename="pascal"):
    """One instance of a service, the node on which it is, and the checks of both."""

    node: Node
    service: ServiceEntry
    checks: list[Check]

    @property
    def passes(self) -> bool:
        return all(check.status == "passing" for check in self.checks)


class Registered(Struct, frozen=True, rename="pascal"):
    """What an agent has of a service that was registered there."""

    aggregated_status: str
    service: ServiceEntry
    checks: list[Check] | None = None


class Pair(Struct, frozen=True, rename="pascal"):
    """One key; ``modify_index`` changes with each write, ``lock_index`` each time a session takes it."""

    key: str
    value: bytes | None
    modify_index: int
    lock_index: int = 0
    session: str = ""


class Consul:
    """One agent, asked over connections that stay open; the token is the password of the URL.

    Every call raises `Unavailable` when the agent is away, has no leader or does not answer in time, and `Denied` when
    the token may not. With ``index`` a call returns when there is something newer, or after ``wait`` seconds and a
    little; with index 0 it returns at once what the leader knows for certain.
    """

    def __init__(self, server: Server, *, seconds: float = ANSWER_SECONDS) -> None:
        if len(server.hosts) != 1:
            raise Invalid(f"{server}: a process talks to one agent, that of its own node")
        if server.user and not server.password:
            raise Invalid(f"{server}: a token stands where the password does: consul://:TOKEN@host")
        if not (server.password.isascii() and server.password.isprintable()):
            raise Invalid(f"{server}: the token is none")
        self.server = server
        self.http = _Wire(server, seconds)
        # What the parts of the library ask of the client that they belong to.
        self.token = server.password or None
        self.dc = None
        self.consistency = "default"
        self._agent = base.Consul.Agent(self)
        self._kv = base.Consul.KV(self)
        self._session = base.Consul.Session(self)
        self._status = base.Consul.Status(self)
        self._txn = base.Consul.Txn(self)

    async def ping(self) -> None:
        """Raise `Unavailable` unless the agent answers and knows a leader."""
        if not await self._status.leader():
            raise Unavailable(f"{self.server} has no leader")

    async def close(self) -> None:
        """Let calls that do not wait end, and close the connections."""
        await self.http.close()

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return self.http.calls

    async def register(
        self, service: str, id: str, address: str, port: int, meta: Mapping[str, str], check: Mapping[str, Any]
    ) -> None:
        """Register a service with the agent; what a check says of it now stays."""
        await self._agent.service.register(
            service, service_id=id, address=address, port=port, meta=dict(meta), check=dict(check)
        )

    async def deregister(self, id: str) -> None:
        """Remove a service from the agent, if it has it."""
        await self._agent.service.deregister(id)

    async def beat(self, check: str) -> bool:
        """Say that what a TTL check watches is well; False when the agent has no such check."""
        return bool(await self._agent.check.ttl_pass(check))

    async def registered(self, id: str) -> Registered | None:
        """What the agent has of a service."""

        def read(response: Any) -> Registered | None:
            return None if response.code == 404 else msgspec.json.decode(response.content, type=Registered)

        # The answer's status is that of the service: 429 in warning, 503 critical.
        path = f"/v1/agent/health/service/id/{id}"
        return await self.http.get(read, path, headers=self._headers(), taken=(404, 429, 503))

    async def instances(self, service: str, index: int = 0, wait: float = WAIT_SECONDS) -> tuple[int, list[Entry]]:
        """The instances of a service, whether their checks pass or not."""
        # The library's own call cannot say how consistent the answer has to be.
        params = [(_consistency(index), ""), *([("index", index), ("wait", _seconds(wait))] if index else ())]
        read = base.CB.json(index=True)
        found, entries = await self.http.get(read, f"/v1/health/service/{service}", params, self._headers())
        return _index(found), _convert(entries, list[Entry])

    async def read(self, prefix: str, index: int = 0, wait: float = WAIT_SECONDS) -> tuple[int, list[Pair]]:
        """All keys that begin with ``prefix``, in order."""
        found, pairs = await self._kv.get(
            prefix, index=index, wait=_seconds(wait), recurse=True, consistency=_consistency(index)
        )
        return _index(found), [_pair(each) for each in pairs or ()]

    async def get(self, key: str, index: int = 0, wait: float = WAIT_SECONDS) -> tuple[int, Pair | None]:
        """One key."""
        found, pair = await self._kv.get(key, index=index, wait=_seconds(wait), consistency=_consistency(index))
        return _index(found), None if pair is None else _pair(pair)

    async def put(
        self, key: str, value: bytes, *, cas: int | None = None, acquire: str = "", release: str = ""
    ) -> bool:
        """Write a key; False when it is not at index ``cas`` (0: there is one), or a lock is held by another."""
        return bool(await self._kv.put(key, value, cas=cas, acquire=acquire, release=release))

    async def delete(self, key: str, *, cas: int | None = None) -> bool:
        """Remove a key, if it is there; False when it is not at index ``cas``."""
        return bool(await self._kv.delete(key, cas=cas))

    async def change(self, values: Mapping[str, bytes | None]) -> None:
        """Write keys and remove those without a value, all or none."""
        await self._txn.put([{"KV": _verb(key, value)} for key, value in values.items()])

    async def open_session(self, name: str, lock_delay: int) -> str:
        """Begin a session that has to be renewed every `SESSION_SECONDS`; when it ends, its locks become free."""
        return str(await self._session.create(name, lock_delay=lock_delay, behavior="release", ttl=SESSION_SECONDS))

    async def renew_session(self, id: str) -> None:
        """Let a session last on.

        Raises:
            NotFound: it has ended.
        """
        await self._session.renew(id)

    async def end_session(self, id: str) -> None:
        await self._session.destroy(id)

    def _headers(self) -> dict[str, str]:
        return {"X-Consul-Token": self.token} if self.token else {}


class _Wire:
    """How the library's parts reach the agent: what its ``HTTPClient`` promises, on one session."""

    def __init__(self, server: Server, seconds: float) -> None:
        self.calls = 0
        self._server = server
        self._base = f"{'https' if server.tls else 'http'}://{server.hosts[0]}"
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()

    async def get(
        self,
        callback: Callable[[Any], T],
        path: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        taken: tuple[int, ...] = (404,),
    ) -> T:
        return await self._send("GET", callback, path, params, headers, taken=taken)

    async def put(
        self,
        callback: Callable[[Any], T],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return await self._send("PUT", callback, path, params, headers, data)

    async def delete(
        self,
        callback: Callable[[Any], T],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return await self._send("DELETE", callback, path, params, headers, data)

    async def close(self) -> None:
        self._closed = True
        if self._under_way:
            await self._idle.wait()
        if self._session is not None:
            await self._session.close()

    async def _send(
        self,
        method: str,
        callback: Callable[[Any], T],
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        data: str | bytes = b"",
        taken: tuple[int, ...] = (404,),
    ) -> T:
        if self._closed:
            raise Unavailable(f"the client of {self._server} is closed")
        self.calls += 1
        wait = next((float(value[:-1]) for name, value in params or () if name == "wait"), 0.0)
        sending = self._ask(method, path, params, headers, data, wait)
        response = await (sending if wait else self._count(sending))
        if response.code >= 300 and response.code not in taken:
            raise self._refusal(response)
        try:
            return callback(response)
        except base.NotFound as error:
            raise NotFound(f"{self._server} has no such thing: {_line(response.body)}") from error
        except (ValueError, LookupError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            if response.code >= 400:
                raise self._refusal(response) from error
            raise Incompatible(f"{self._server} does not answer as Consul does") from error

    async def _count(self, sending: Awaitable[T]) -> T:
        """Let `close` wait for what is under way."""
        self._under_way += 1
        self._idle.clear()
        try:
            return await sending
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _ask(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        data: str | bytes,
        wait: float,
    ) -> Any:
        url = URL(f"{self._base}{quote(path, safe='/:')}?{urlencode(params or ())}", encoded=True)
        # Consul itself adds up to a sixteenth, so that those who wait do not all come back at once.
        seconds = wait * 17 / 16 + GRACE_SECONDS if wait else self._seconds
        try:
            async with self._open().request(
                method,
                url,
                data=data.encode() if isinstance(data, str) else data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
                allow_redirects=False,
                # Who waits for news has to know that the agent was away.
                middlewares=(ask_once,) if wait or _counts(path, params) else (),
            ) as answer:
                content = await answer.read()
                body = content.decode("utf-8", "replace")
                return base.Response(answer.status, answer.headers, body, content)
        except TimeoutError as error:
            raise Unavailable(f"{self._server} did not answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self._server} does not answer: {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # As many connections as there are questions: each that waits for a change holds one.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._server.context() or True, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _refusal(self, response: Any) -> MirageError:
        text = _line(response.body)
        match response.code:
            case 401 | 403:
                return Denied(f"{self._server} refuses the token: {text}")
            case 409:
                return Conflict(f"{self._server} refuses the change: {text}")
            case code if code >= 500 or code == 429:
                return Unavailable(f"{self._server} cannot answer: {text}")
        return Invalid(f"{self._server} does not take the request: {text}")


def _counts(path: str, params: Params | None) -> bool:
    """Whether asking twice is something else than asking once: a write at a version, and a session that is begun."""
    return path == "/v1/session/create" or any(name == "cas" for name, _ in params or ())


def jittered(wait: float) -> float:
    """Somewhat less than ``wait`` seconds, so that a fleet does not ask as one."""
    return wait * random.uniform(0.7, 1.0)


def _consistency(index: int) -> str:
    """Who waits for news takes them from any server, also while there is no leader.

    An answer at once comes from a leader that has applied all that was ever written: one that has just started gives
    others before that.
    """
    return "stale" if index else "consistent"


def _seconds(wait: float) -> str:
    return f"{wait:.3f}s"


def _verb(key: str, value: bytes | None) -> dict[str, str]:
    if value is None:
        return {"Verb": "delete", "Key": key}
    return {"Verb": "set", "Key": key, "Value": base64.b64encode(value).decode()}


def _pair(pair: Mapping[str, Any]) -> Pair:
    return _convert(pair, Pair)


def _convert(value: Any, kind: type[T]) -> T:
    """Raise `Incompatible` unless ``value`` has the shape of ``kind``; bytes were decoded before."""
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Incompatible(f"Consul's answer has another shape: {error}") from error


def _index(said: str | None) -> int:
    if said is None or not said.isdecimal():
        raise Incompatible("Consul's answer has no index")
    return int(said)


def _line(text: str) -> str:
    """What Consul says, short."""
    return " ".join(text.split())[:200] or "it does not say why"
