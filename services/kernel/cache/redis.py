"""`cache` on Redis: one for all processes with the same ``redis://[user:password@]host:port/prefix``.

Every call is one step of the server, by the server's clock. Keys begin with the prefix (``mirage`` where there is none)
and expire by themselves. A call that got no answer is not made again: it may have been done, so that a token may be
lost, but none is given twice.
"""

import asyncio
import math
import ssl
from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TookTooLong

from services.kernel.cache import Bucket, Cache
from services.kernel.cache.redis_scripts import ADD, EMPTY, TAKE, Script
from services.kernel.cache.redis_users import prefix_of
from services.kernel.errors import Denied, Exhausted, Incompatible, Invalid, MirageError, Unavailable
from services.kernel.server import Server

#: Seconds in which a server has to take a connection, and to answer: it does nothing here that takes a millisecond.
ANSWERING: Final = 2.0
#: The longest time to keep something that it can say, about 100 years.
LONGEST: Final = 100 * 365 * 86_400
#: What a server answers when it cannot do anything for now.
_BUSY: Final = ("BUSY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS")
#: What it answers when a script asks for what its user may not.
_IN_SCRIPT: Final = "user executing the script can't run this command"


class RedisCache(Cache):
    """``connections``: how many calls are under way at once; the others wait for their turn."""

    def __init__(self, server: Server, *, connections: int = 8) -> None:
        if len(server.hosts) != 1:
            raise Invalid(f"the cache is on one server, and {server} are several")
        self._server = server
        self._prefix = prefix_of(server).encode()
        self._pool = pool_of(server, connections)
        self._client: Redis = Redis(connection_pool=self._pool)
        self._connections = connections
        self._turn = asyncio.Semaphore(connections)
        self._closed = False
        self._calls = 0
        self._failures = 0

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._ask("GET", self._key(b"value", key))
        return found

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        await self._ask("SET", self._key(b"value", key), value, "PX", milliseconds(seconds))

    async def delete(self, key: str) -> None:
        await self._ask("DEL", self._key(b"value", key), self._key(b"count", key))

    async def add(self, key: str, amount: int, seconds: float) -> int:
        return int(await self._run(ADD, self._key(b"count", key), amount, milliseconds(seconds)))

    async def take(self, key: str, bucket: Bucket, tokens: float = 1.0) -> float:
        if bucket.rate <= 0 or not 0 < tokens <= bucket.burst:
            raise Invalid(f"a bucket of {bucket.burst} at {bucket.rate}/s never holds {tokens} tokens")
        return int(await self._run(TAKE, self._key(b"level", key), bucket.rate, bucket.burst, float(tokens))) / 1e6

    async def empty(self, key: str, bucket: Bucket, seconds: float) -> None:
        if bucket.rate <= 0:
            raise Invalid(f"a bucket at {bucket.rate}/s never holds a token")
        await self._run(EMPTY, self._key(b"level", key), bucket.rate, bucket.burst, min(seconds, LONGEST) * 1e6)

    async def ping(self) -> None:
        await self._ask("PING")

    async def close(self) -> None:
        """End what was begun; a server that hangs holds this up as long as it does a call."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._connections):
            await self._turn.acquire()
        await self._pool.aclose()
        for _ in range(self._connections):  # who waited for a turn is told
            self._turn.release()

    def measures(self) -> dict[str, float]:
        """Calls made, those that found no server, and how many are under way."""
        return {
            "calls": self._calls,
            "failures": self._failures,
            "in_flight": len(self._pool._in_use_connections),  # noqa: SLF001  it says so nowhere else
        }

    def _key(self, kind: bytes, key: str) -> bytes:
        try:
            return b"%b:%b:%b" % (self._prefix, kind, key.encode())
        except UnicodeEncodeError as error:
            raise Invalid("a key has half of a surrogate pair") from error

    async def _run(self, script: Script, key: bytes, *values: float) -> Any:
        """Run a script by its name, and where the server knows it no more, by its text."""
        try:
            return await self._ask("EVALSHA", script.digest, 1, key, *values)
        except NoScriptError:
            return await self._ask("EVAL", script.text, 1, key, *values)

    async def _ask(self, *command: Any) -> Any:
        failures = self._failures
        self._check_open()
        async with self._turn:
            self._check_open()
            if self._failures != failures:
                raise Unavailable(f"{self._server} did not answer those before")
            self._calls += 1
            try:
                return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
            except NoScriptError:
                raise
            except (RedisError, OSError) as error:
                meaning = meant(error, self._server)
                self._failures += isinstance(meaning, Unavailable)
                raise meaning from error

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the cache on {self._server} is closed")


class TlsConnection(Connection):
    """A connection whose TLS is set up as everywhere in Mirage: redis-py would trust the system's authorities, too."""

    def __init__(self, *, context: ssl.SSLContext, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._context = context

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._context}


def pool_of(server: Server, connections: int) -> ConnectionPool:
    """Connections to a server as its URL says."""
    (host,) = server.hosts
    context = server.context()
    kind: dict[str, Any] = {} if context is None else {"connection_class": TlsConnection, "context": context}
    return ConnectionPool(
        host=host.name,
        port=host.port,
        username=server.user or None,
        password=server.password or None,
        max_connections=connections,
        socket_timeout=ANSWERING,
        socket_connect_timeout=ANSWERING,
        retry=Retry(NoBackoff(), 0),  # by itself it would ask several times, and take as many tokens
        protocol=2,
        driver_info=None,
        **kind,
    )


def milliseconds(seconds: float) -> int:
    """Return for how long to keep something: at least the shortest time that a server knows."""
    return max(1, math.ceil(min(seconds, LONGEST) * 1000))


def meant(error: Exception, server: Server) -> MirageError:
    """Say an error of the library as one of ours, without what was sent."""
    kind = str(error).partition(" ")[0]
    if isinstance(error, AuthenticationError | NoPermissionError) or kind == "NOAUTH" or _IN_SCRIPT in str(error):
        return Denied(f"{server} does not let {server.user or 'anybody'} do this")
    if isinstance(error, OutOfMemoryError) or kind in {"OOM", "MISCONF"}:
        return Exhausted(f"{server} has no room for more ({kind})")
    if isinstance(error, Disconnected | TookTooLong | ReadOnlyError | OSError) or kind in _BUSY:
        return Unavailable(f"{server} does not answer ({type(error).__name__})")
    if isinstance(error, ResponseError) and "unknown command" in str(error).lower():
        return Incompatible(f"{server} does not know a command that the cache needs")
    return Invalid(f"{server} cannot take this ({type(error).__name__})")
