import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final

from services.collector.resolve import direct
from services.collector.resolve.answer import Addresses, Answer
from services.collector.resolve.cache import AddressCache
from services.collector.resolve.dispatch import Dispatcher
from services.collector.resolve.names import BadMessage, normalise
from services.collector.resolve.rdata import CODES, type_code, type_name
from services.collector.resolve.transfer import Part, transfer
from services.collector.resolve.upstream import Upstream
from services.kernel.egress import Egress, Guard

CHUNKS_HELD: Final = 24


class Resolver:
    """A stub resolver over one or more recursive ones, made for many look-ups at a time.

    ``upstreams`` are (address, port) of recursive resolvers, those of the system when None. They are the operator's
    choice and so exempt from the guard. ``timeouts`` are the seconds to wait at each try. ``room`` is for the chunks
    that all who sweep have in memory. A resolver belongs to the event loop that first uses it.
    """

    def __init__(
        self,
        egress: Egress,
        upstreams: Sequence[tuple[str, int]] | None = None,
        *,
        timeouts: Sequence[float] = (1.5, 2.5, 4.0),
    ) -> None:
        self._egress = egress
        self.room = asyncio.Semaphore(CHUNKS_HELD)
        self._timeouts = tuple(timeouts)
        self._upstreams = list(dict.fromkeys(system_resolvers() if upstreams is None else upstreams))
        self._started: Dispatcher | None = None
        self._cache = AddressCache(self._look_up)

    async def ask(self, name: str, type: str) -> Answer:
        """One question; every outcome is an answer."""
        return (await self.ask_all([(name, type)]))[0]

    async def ask_all(self, pairs: Iterable[tuple[str, str]]) -> list[Answer]:
        """A chunk of questions (name, type), answered in their order."""
        chunk = self._dispatcher.submit(normalised(pairs))
        try:
            return await chunk.done
        except asyncio.CancelledError:
            chunk.abandon()
            raise

    async def addresses(self, name: str) -> list[str]:
        """The addresses of ``name``, IPv4 first, from a small cache; empty when there are none."""
        return list((await self.look_up(name)).addresses)

    async def look_up(self, name: str) -> Addresses:
        """As `addresses`, with the CNAME chain and the answers behind them."""
        return await self._cache.get(normalise(name))

    async def ask_at(self, server: str, name: str, type: str, *, port: int = 53, allow: Guard | None = None) -> Answer:
        """One question to a name server itself, recursion not desired; raises `Forbidden` only."""
        (pair,) = normalised([(name, type)])
        return await direct.ask_at(self._egress, (server, port), *pair, self._timeouts, allow)

    def transfer(
        self,
        server: str,
        zone: str,
        *,
        port: int = 53,
        allow: Guard | None = None,
        timeout: float = 60.0,
        max_bytes: int = 64_000_000,
    ) -> AsyncIterator[Part]:
        """The zone by AXFR (RFC 5936), message by message; ``timeout`` (seconds) is for all of it.

        Raises:
            TransferFailed: the server refuses, or breaks the protocol.
            EgressError: no connection; `TooMuch` and `TimedOut` when a limit is passed.
        """
        return transfer(self._egress, (server, port), normalise(zone), allow, timeout, max_bytes)

    async def close(self) -> None:
        """Close every socket; what is still being asked is cancelled."""
        self._cache.close()
        if self._started:
            self._started.close()
            self._started = None

    @property
    def _dispatcher(self) -> Dispatcher:
        if self._started is None:
            self._started = Dispatcher(self._egress, [Upstream(*each) for each in self._upstreams], self._timeouts)
        return self._started

    async def _look_up(self, name: str) -> Addresses:
        answers = await self.ask_all([(name, "A"), (name, "AAAA")])
        addresses = tuple(value for answer in answers for value in answer.values)
        chain = max((answer.chain for answer in answers), key=len)
        return Addresses(name, addresses, chain, tuple(answers))


def normalised(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and types as answers have them; a type that is none stays, to be found out when it is asked for."""
    return [(normalise(name), kind if kind in CODES else canonical(kind)) for name, kind in pairs]


def canonical(type: str) -> str:
    try:
        return type_name(type_code(type.upper()))
    except BadMessage:
        return type


def system_resolvers(path: str = "/etc/resolv.conf") -> list[tuple[str, int]]:
    """The name servers of this machine, (address, port); the local one when none are configured (resolv.conf(5))."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    return [(line[1], 53) for line in words if len(line) > 1 and line[0] == "nameserver"] or [("127.0.0.1", 53)]
