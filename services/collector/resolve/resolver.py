from collections.abc import AsyncIterator, Iterable, Sequence

from services.collector.resolve.answer import Addresses, Answer
from services.collector.resolve.transfer import Part
from services.kernel.egress import Egress, Guard


class Resolver:
    """A stub resolver over one or more recursive ones, made for many look-ups at a time.

    ``upstreams`` are (address, port) of recursive resolvers; None stands for the system's. They are the operator's
    choice and exempt from the guard.
    """

    def __init__(self, egress: Egress, upstreams: Sequence[tuple[str, int]] | None = None) -> None:
        raise NotImplementedError

    async def ask(self, name: str, type: str) -> Answer:
        """One question; every outcome is an answer."""
        raise NotImplementedError

    def ask_many(self, pairs: Iterable[tuple[str, str]], *, batch: int = 1000) -> AsyncIterator[list[Answer]]:
        """Ask all ``pairs`` (name, type), taken as capacity allows, and yield the answers in batches, in any order.

        Nothing more is asked while two batches wait to be taken, so memory stays bounded however many pairs come.
        """
        raise NotImplementedError

    async def addresses(self, name: str) -> list[str]:
        """The addresses of ``name``, IPv4 first, from a small cache; empty when there are none."""
        raise NotImplementedError

    async def look_up(self, name: str) -> Addresses:
        """As `addresses`, with the CNAME chain and the answers behind them."""
        raise NotImplementedError

    async def ask_at(self, server: str, name: str, type: str, *, port: int = 53, allow: Guard | None = None) -> Answer:
        """One question to a name server at its address, recursion not desired; raises `Forbidden` only."""
        raise NotImplementedError

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
        """The zone by AXFR (RFC 5936), message by message.

        Raises:
            TransferFailed: the server refuses or breaks the protocol.
            EgressError: no connection; `TooMuch` and `TimedOut` when a limit is passed.
        """
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def system_resolvers(path: str = "/etc/resolv.conf") -> list[tuple[str, int]]:
    """The name servers of this machine, (address, port); the local one when none are configured (resolv.conf(5))."""
    raise NotImplementedError
