"""The facts of the lab's internet: an organisation, what it runs, what surrounds it, and who knows what of it.

Everything is made once by `lab.generate` from (hosts, seed) and never changes. Providers, name servers and web hosts
only read it. Times are aware UTC datetimes, names are lower case without a trailing dot, addresses are in text form.
"""

from datetime import datetime
from functools import cached_property
from ipaddress import ip_address, ip_network

from msgspec import Struct

from lab.world.dns import NameServer, Record, Zone
from lab.world.names import Address, Affiliate, Dangling, Host, Port, Reveal, StaleName, Stranger, Way, Wildcard
from lab.world.organisation import Account, Organisation, Person, Repository, Tenant
from lab.world.registries import (
    AutonomousSystem,
    Contact,
    Exchange,
    Facility,
    LegalEntity,
    Netblock,
    Owner,
    Registration,
)
from lab.world.weaknesses import Planted
from lab.world.web import Certificate, LoggedCertificate, Page, Site, Technology

__all__ = [
    "Account",
    "Address",
    "Affiliate",
    "AutonomousSystem",
    "Certificate",
    "Contact",
    "Dangling",
    "Exchange",
    "Facility",
    "Host",
    "LegalEntity",
    "LoggedCertificate",
    "NameServer",
    "Netblock",
    "Organisation",
    "Owner",
    "Page",
    "Person",
    "Planted",
    "Port",
    "Record",
    "Registration",
    "Repository",
    "Reveal",
    "Site",
    "StaleName",
    "Stranger",
    "Technology",
    "Tenant",
    "Way",
    "Wildcard",
    "World",
    "Zone",
]


class World(Struct, frozen=True, kw_only=True, dict=True):
    """The whole of it. `now` is the world's own clock, to which every date in it relates.

    `planted` is what a scan should find wrong with a world that is weak on purpose; other worlds have nothing there.
    """

    seed: int
    now: datetime
    organisation: Organisation
    hosts: tuple[Host, ...]
    stale: tuple[StaleName, ...]
    wildcards: tuple[Wildcard, ...]
    dangling: tuple[Dangling, ...]
    affiliates: tuple[Affiliate, ...]
    strangers: tuple[Stranger, ...]
    lookalikes: tuple[str, ...]
    addresses: tuple[Address, ...]
    netblocks: tuple[Netblock, ...]
    systems: tuple[AutonomousSystem, ...]
    registrations: tuple[Registration, ...]
    legal_entities: tuple[LegalEntity, ...]
    certificates: tuple[Certificate, ...]
    logged: tuple[LoggedCertificate, ...]
    nameservers: tuple[NameServer, ...]
    zones: tuple[Zone, ...]
    words: tuple[str, ...]
    planted: tuple[Planted, ...] = ()

    @property
    def domain(self) -> str:
        """The target's primary domain."""
        return self.organisation.domains[0]

    @cached_property
    def _hosts(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def _addresses(self) -> dict[str, Address]:
        return {address.ip: address for address in self.addresses}

    @cached_property
    def _registrations(self) -> dict[str, Registration]:
        return {registration.domain: registration for registration in self.registrations}

    @cached_property
    def _systems(self) -> dict[int, AutonomousSystem]:
        return {system.number: system for system in self.systems}

    @cached_property
    def _last_addresses(self) -> dict[str, str]:
        last = {name.name: name.last_address for name in self.stale}
        for wildcard in self.wildcards:
            last.update(dict.fromkeys(wildcard.members, wildcard.addresses[0] if wildcard.addresses else ""))
        last.update({host.name: host.addresses[0] for host in self.hosts if host.addresses})
        return last

    @cached_property
    def _known(self) -> dict[str, list[str]]:
        known: dict[str, list[str]] = {}
        for name, sources in (
            *((host.name, host.known_to) for host in self.hosts),
            *((stale.name, stale.known_to) for stale in self.stale),
            *((dangling.name, dangling.known_to) for dangling in self.dangling),
            *((member, wildcard.known_to) for wildcard in self.wildcards for member in wildcard.members),
        ):
            for source in sources:
                known.setdefault(source, []).append(name)
        return {source: sorted(names) for source, names in known.items()}

    def known_names(self, source: str, below: str) -> list[str]:
        """The names at or below `below` that the passive source with id `source` lists, sorted.

        Live, stale and wildcard names are among them, as in real sources.
        """
        suffix = "." + below
        return [name for name in self._known.get(source, []) if name == below or name.endswith(suffix)]

    def last_address(self, name: str) -> str:
        """The IPv4 address a source last saw for `name`, or an empty string."""
        return self._last_addresses.get(name, "")

    def logged_certificates(self, source: str, below: str) -> list[LoggedCertificate]:
        """Certificates known to `source` with a name at or below `below`, oldest first."""
        suffix = "." + below
        return [
            entry
            for entry in self.logged
            if source in entry.sources and any(name == below or name.endswith(suffix) for name in entry.names)
        ]

    def host(self, name: str) -> Host | None:
        return self._hosts.get(name)

    def address(self, ip: str) -> Address | None:
        return self._addresses.get(ip)

    def registration(self, domain: str) -> Registration | None:
        return self._registrations.get(domain)

    def system(self, number: int) -> AutonomousSystem | None:
        return self._systems.get(number)

    def netblock(self, ip: str) -> Netblock | None:
        """The most specific netblock that contains `ip` (an address or a CIDR)."""
        wanted = ip_network(ip) if "/" in ip else ip_network(ip_address(ip))
        best: Netblock | None = None
        for block in self.netblocks:
            network = ip_network(block.network)
            if network.version != wanted.version or not wanted.subnet_of(network):  # type: ignore[arg-type]
                continue
            if best is None or network.prefixlen > ip_network(best.network).prefixlen:
                best = block
        return best

    def person(self, *, email: str = "", github: str = "") -> Person | None:
        """The person with that e-mail address or GitHub login."""
        for person in self.organisation.people:
            if (email and person.email == email.lower()) or (github and person.github == github.lower()):
                return person
        return None
