"""A running lab: everything started in this process, stopped when the block ends."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lab.control import Control
from lab.dial import loopback, write_dial_table
from lab.dns.catalog import Catalog
from lab.dns.server import DnsServer
from lab.faults import Fault, Faults, Kind
from lab.generate import generate
from lab.journal import Journal
from lab.providers import Provider, load_providers
from lab.truth import issuers, write_truth
from lab.web.certificates import Authority
from lab.web.routing import Routing
from lab.web.server import WebServer
from lab.world import World

RESOLVER = "192.0.2.53"
DNS_PORT = 53
FLUSH_SECONDS = 0.5
FLUSH_LINES = 200
ATTEMPTS = 20


class Lab:
    """A lab and the handles on it.

    directory: where `dial.json`, `ca.pem`, `truth.json`, `world.json`, `lab.json` and the logs are.
    resolver: the logical address and port to give to `--resolver`; resolver_address: where it really is.
    """

    def __init__(self, world: World, directory: Path, providers: Mapping[str, Provider], *, log: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.world = world
        self.directory = directory
        self.providers = dict(providers)
        self.faults = Faults()
        self.journal = Journal(directory / "log" if log else None)
        self.routing = Routing(world, self.providers)
        self.authority = Authority(world.seed, directory, issuers(world))
        self.truth: dict[str, Any] = write_truth(world, self.authority, self.providers.values())
        self.catalog = Catalog(world, self.providers.values(), self.routing.provider_addresses)
        self.control = Control(self.journal, self.faults, self.touched)
        self.resolver = f"{RESOLVER}:{DNS_PORT}"
        self.resolver_address = (loopback(RESOLVER), 0)
        self._web = WebServer(world, self.routing, self.authority, self.journal, self.faults)
        self._dns: list[DnsServer] = []
        self._ports: dict[tuple[str, int], int] = {}
        self._flusher: asyncio.Task[None] | None = None

    @property
    def target(self) -> str:
        """The organisation's domain."""
        return self.world.domain

    @property
    def targets(self) -> list[str]:
        """What to scan so that all that was planted is found: the domain; of a weak world its others and a network."""
        organisation = self.world.organisation
        return [*organisation.domains, organisation.netblocks[-1]] if self.world.planted else [self.target]

    async def start(self) -> None:
        """Start every server and write what others need to find them."""
        self._ports = {("tcp", port): local for port, local in (await self._web.start()).items()}
        port = await self._start_dns()
        self._ports["udp", DNS_PORT] = self._ports["tcp", DNS_PORT] = port
        self.resolver_address = (loopback(RESOLVER), port)
        await self.control.start()
        write_dial_table(self.directory / "dial.json", self._endpoints(), self._addresses(), self._ports)
        for name, document in (("truth", self.truth), ("world", self.world), ("lab", self.description())):
            (self.directory / f"{name}.json").write_bytes(msgspec.json.encode(document))
        self._flusher = asyncio.get_running_loop().create_task(self._flush())

    def prepare(self) -> None:
        """Make what else is made when it is first asked for, so that whoever measures does not measure that."""
        for certificate in self.world.certificates:
            self.authority.context(certificate)

    async def stop(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        await self.control.stop()
        await self._web.stop()
        for server in self._dns:
            await server.stop()
        self.journal.close()

    def environment(self) -> dict[str, str]:
        """The variables that bring a Mirage process into the lab."""
        return {
            "MIRAGE_DIAL_TABLE": str(self.directory / "dial.json"),
            "SSL_CERT_FILE": str(self.authority.file),
        }

    def description(self) -> dict[str, Any]:
        """What `lab.json` says."""
        return {
            "target": self.target,
            "targets": self.targets,
            "resolver": self.resolver,
            "environment": self.environment(),
            "arguments": ["--resolver", self.resolver],
            "control": self.control.url,
            "truth": str(self.directory / "truth.json"),
        }

    def dial(self, ip: str, port: int, transport: str = "tcp") -> tuple[str, int]:
        """The loopback address and port behind a logical endpoint; KeyError when no address has that port."""
        return loopback(ip), self._ports[transport, port]

    def touched(self) -> int:
        """How often the target was met: connections to web hosts' addresses and questions to its name servers."""
        own = {address.ip for address in self.world.addresses}
        connections = sum(count for ip, count in self.journal.addresses().items() if ip in own)
        return connections + sum(count for name, count in self.journal.servers().items() if name != "resolver")

    async def _start_dns(self) -> int:
        """Start the resolver and the name servers, all on the same port of their own addresses."""
        for attempt in range(ATTEMPTS):
            self._dns = [DnsServer("resolver", self.catalog, self.journal, self.faults)]
            self._dns += [
                DnsServer(server.name, self.catalog, self.journal, self.faults, server.zones, server.transfers)
                for server in self.world.nameservers
            ]
            addresses = [loopback(RESOLVER), *(loopback(server.address) for server in self.world.nameservers)]
            port = 0
            try:
                for server, address in zip(self._dns, addresses, strict=True):
                    port = await server.start(address, port)
            except OSError:
                for server in self._dns:
                    await server.stop()
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            return port
        raise AssertionError("not reached")

    def _endpoints(self) -> Iterable[tuple[str, str, int]]:
        for address in self.world.addresses:
            yield from ((address.ip, "tcp", port.number) for port in address.ports if port.number != DNS_PORT)
        for host, ip in self.routing.provider_addresses.items():
            yield from ((ip, "tcp", port) for port in self.routing.ports(host))
        for ip in (RESOLVER, *(server.address for server in self.world.nameservers)):
            yield ip, "udp", DNS_PORT
            yield ip, "tcp", DNS_PORT

    def _addresses(self) -> Iterable[str]:
        yield RESOLVER
        yield from self.routing.provider_addresses.values()
        yield from (address.ip for address in self.world.addresses)

    async def _flush(self) -> None:
        """Write the logs in slices so small that no datagram waits for them."""
        while True:
            more = self.journal.flush(FLUSH_LINES)
            await asyncio.sleep(0 if more else FLUSH_SECONDS)


@contextlib.asynccontextmanager
async def running_lab(
    world: World | None = None,
    *,
    hosts: int = 60,
    seed: int = 1,
    transfer: bool = False,
    nsec: bool = False,
    directory: Path | None = None,
    providers: Mapping[str, Provider] | None = None,
    faults: Mapping[str, Fault | Kind] | None = None,
    log: bool = True,
) -> AsyncIterator[Lab]:
    """Run a lab on `world`, or on a new one of `hosts` names.

    directory: where its files go (a temporary one that is removed by default); providers: the sources (all by
    default); faults: what goes wrong from the start; log: whether to write who asked what to disk.
    """
    made = world or generate(hosts, seed, transfer=transfer, nsec=nsec)
    folder = directory or Path(tempfile.mkdtemp(prefix="lab-"))
    lab = Lab(made, folder, load_providers() if providers is None else providers, log=log)
    for key, fault in (faults or {}).items():
        lab.faults.set(key, fault)
    try:
        await lab.start()
        yield lab
    finally:
        await lab.stop()
        if directory is None:
            shutil.rmtree(folder, ignore_errors=True)
