"""WHOIS, TLS and TCP as a module sees them: one exchange each, on egress, bounded, with their evidence."""

import asyncio
import base64
import ssl
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from services.collector.context import (
    Skipped,
    SourceError,
    Tcp,
    TcpAnswer,
    TextAnswer,
    Tls,
    TlsAnswer,
    Unreachable,
    Whois,
)
from services.collector.fetch.client import Client
from services.collector.item.dns import addresses_of
from services.collector.item.exchange import Exchanges, Performed
from services.collector.item.http import failure_of
from services.collector.item.permit import Permit
from services.collector.resolve import Resolver
from services.kernel.egress import Egress, EgressError, Refused, TimedOut, TooMuch
from services.kernel.egress import Unreachable as NoWay
from services.kernel.hostport import join_host_port
from services.kernel.messages import now

T = TypeVar("T")

LONGEST_QUERY: Final = 500
PORTS_AT_ONCE: Final = 64
#: Of all items together.
PROBES_AT_ONCE: Final = 256
BANNER: Final = 512
BANNER_SECONDS: Final = 1.0


class ItemWhois(Whois):
    """WHOIS (RFC 3912) for one work item."""

    def __init__(self, egress: Egress, resolver: Resolver, exchanges: Exchanges, permit: Permit) -> None:
        self._egress = egress
        self._resolver = resolver
        self._exchanges = exchanges
        self._permit = permit

    async def ask(
        self,
        server: str,
        query: str,
        *,
        max_bytes: int = 1_000_000,
        timeout: float = 20.0,
    ) -> TextAnswer:
        """See `Whois.ask`."""
        self._permit.server(server)
        if not query.isprintable() or len(query) > LONGEST_QUERY:
            raise Skipped("a WHOIS query is one short line")

        way = self._egress.way(server, via_proxy=True)

        async def perform() -> Performed:
            at = now()
            try:
                async with asyncio.timeout(timeout):
                    peer, body = await self._converse(server, query.encode() + b"\r\n", max_bytes)
            except (EgressError, OSError, TimeoutError, SourceError) as error:
                failure = error if isinstance(error, SourceError) else failure_of(error)
                return Performed(at=at, elapsed=now() - at, failure=failure, egress=way)
            return Performed(at=at, elapsed=now() - at, peer=peer, status="answered", body=body, egress=way)

        record, body = await self._exchanges.make("whois", f"{query} @{server}", perform, host=server)
        return TextAnswer(at=record.at, records=(record.id,), server=server, query=query, body=body)

    async def _converse(self, server: str, query: bytes, most: int) -> tuple[str, bytes]:
        addresses = await addresses_of(self._resolver, server)
        if not addresses:
            raise Unreachable(f"{server} has no address")
        reader, writer = await self._egress.open(
            addresses[0], 43, timeout=10.0, allow=self._permit.guard, via_proxy=True, host=server
        )
        try:
            writer.write(query)
            body = bytearray()
            while chunk := await reader.read(65_536):
                body += chunk
                if len(body) > most:
                    raise TooMuch(f"{server} says more than {most} bytes")
            return join_host_port(addresses[0], 43), bytes(body)
        finally:
            writer.transport.abort()


class ItemTls(Tls):
    """TLS handshakes for one work item."""

    def __init__(self, client: Client, exchanges: Exchanges, permit: Permit) -> None:
        self._client = client
        self._exchanges = exchanges
        self._permit = permit

    async def handshake(
        self,
        address: str,
        port: int,
        server_name: str = "",
        *,
        timeout: float = 10.0,
    ) -> TlsAnswer:
        """See `Tls.handshake`."""
        self._permit.address(address, named=bool(server_name) and self._permit.scope.covers_name(server_name))

        async def perform() -> Performed:
            at = now()
            try:
                shown = await self._client.shake(
                    address, port, server_name or address, timeout=timeout, allow=self._permit.guard
                )
            except (EgressError, OSError) as error:
                return Performed(at=at, elapsed=now() - at, failure=failure_of(error))
            return Performed(
                at=at,
                elapsed=now() - at,
                peer=join_host_port(address, port),
                status="shaken",
                head=f"{shown.version}\n{shown.cipher}\n{shown.alpn}",
                body="".join(map(ssl.DER_cert_to_PEM_cert, shown.chain)).encode(),
                tls_error=shown.tls_error,
            )

        request = join_host_port(address, port) + (f" as {server_name}" if server_name else "")
        record, body = await self._exchanges.make("tls", request, perform)
        version, cipher, alpn = record.head.split("\n")
        return TlsAnswer(
            at=record.at,
            records=(record.id,),
            address=address,
            port=port,
            server_name=server_name,
            chain=_ders(body),
            version=version,
            cipher=cipher,
            alpn=alpn,
            verified=record.tls_error,
        )


class Probed(Struct, frozen=True):
    """The body of the evidence of a probe, as JSON."""

    open: tuple[int, ...]
    refused: tuple[int, ...]
    silent: tuple[int, ...]
    banners: dict[str, bytes]


class ItemTcp(Tcp):
    """TCP connections for one work item; ``slots`` are those of all items together."""

    def __init__(self, egress: Egress, exchanges: Exchanges, permit: Permit, slots: asyncio.Semaphore) -> None:
        self._egress = egress
        self._slots = slots
        self._exchanges = exchanges
        self._permit = permit

    async def probe(
        self,
        address: str,
        ports: Sequence[int],
        *,
        banner: bool = True,
        timeout: float = 3.0,
    ) -> TcpAnswer:
        """See `Tcp.probe`."""
        self._permit.address(address, named=False)

        async def perform() -> Performed:
            at = now()
            slots = asyncio.Semaphore(PORTS_AT_ONCE)

            async def one(port: int) -> tuple[int, str, bytes]:
                async with slots, self._slots:
                    return port, *await self._try(address, port, timeout, banner=banner)

            try:
                tried = await all_of(map(one, ports))
            except EgressError as error:
                return Performed(at=at, elapsed=now() - at, failure=failure_of(error))
            probed = Probed(
                open=tuple(port for port, state, _ in tried if state == "open"),
                refused=tuple(port for port, state, _ in tried if state == "refused"),
                silent=tuple(port for port, state, _ in tried if state == "silent"),
                banners={str(port): said for port, _, said in tried if said},
            )
            status = f"{len(probed.open)} open, {len(probed.refused)} refused, {len(probed.silent)} silent"
            return Performed(at=at, elapsed=now() - at, peer=address, status=status, body=msgspec.json.encode(probed))

        request = f"{address} ports {','.join(map(str, ports))}"
        record, body = await self._exchanges.make("tcp", request, perform)
        probed = msgspec.json.decode(body, type=Probed)
        return TcpAnswer(
            at=record.at,
            records=(record.id,),
            address=address,
            open=probed.open,
            refused=probed.refused,
            silent=probed.silent,
            banners={int(port): said for port, said in probed.banners.items()},
        )

    async def _try(
        self,
        address: str,
        port: int,
        timeout: float,
        *,
        banner: bool,
    ) -> tuple[str, bytes]:
        try:
            reader, writer = await self._egress.open(address, port, timeout=timeout, allow=self._permit.guard)
        except Refused:
            return "refused", b""
        except (TimedOut, NoWay):
            return "silent", b""
        try:
            if not banner:
                return "open", b""
            async with asyncio.timeout(BANNER_SECONDS):
                return "open", await reader.read(BANNER)
        except (TimeoutError, OSError):
            return "open", b""
        finally:
            writer.transport.abort()


async def all_of(tries: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; when one fails, the others are given up before its failure is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in tries]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _ders(pem: bytes) -> tuple[bytes, ...]:
    parts = pem.decode("ascii").split("-----END CERTIFICATE-----")[:-1]
    return tuple(base64.b64decode(part.partition("-----BEGIN CERTIFICATE-----")[2]) for part in parts)
