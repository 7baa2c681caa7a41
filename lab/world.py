"""The facts of the lab's internet: an organisation, what it runs, what surrounds it, and who knows what of it.

Everything is made once by `lab.generate` from (hosts, seed) and never changes. Providers, name servers and web hosts
only read it. Times are aware UTC datetimes, names are lower case without a trailing dot, addresses are in text form.
"""

from datetime import datetime
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Literal
from uuid import UUID

from msgspec import Struct

Reveal = Literal[
    "target", "passive", "brute", "permutation", "certificate", "page", "header", "record", "deeper", "transfer", "nsec"
]
Owner = Literal["target", "affiliate", "stranger", "provider"]


class Contact(Struct, frozen=True, kw_only=True):
    """Somebody in a registry: `country` is ISO 3166 alpha-2, `phone` E.164."""

    handle: str
    name: str
    organisation: str
    email: str
    phone: str
    street: str
    city: str
    postcode: str
    country: str


class Registration(Struct, frozen=True, kw_only=True):
    """A domain in its registry; `status` are EPP codes."""

    domain: str
    handle: str
    registrar: str
    registrar_iana_id: int
    registrar_url: str
    registrar_whois: str
    abuse_email: str
    abuse_phone: str
    created: datetime
    changed: datetime
    expires: datetime
    status: tuple[str, ...]
    nameservers: tuple[str, ...]
    signed: bool
    registrant: Contact
    administrative: Contact
    technical: Contact


class Netblock(Struct, frozen=True, kw_only=True):
    """An assigned network and who announces it."""

    network: str
    handle: str
    name: str
    status: str
    country: str
    registry: str
    registered: datetime
    changed: datetime
    asn: int
    owner: Owner
    holder: Contact
    abuse: Contact


class Facility(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    city: str
    country: str


class Exchange(Struct, frozen=True, kw_only=True):
    """A presence at an internet exchange; `speed` in Mbit/s."""

    id: int
    name: str
    city: str
    country: str
    ipv4: str
    ipv6: str
    speed: int


class AutonomousSystem(Struct, frozen=True, kw_only=True):
    number: int
    name: str
    handle: str
    description: str
    country: str
    registry: str
    registered: datetime
    changed: datetime
    owner: Owner
    holder: Contact
    abuse: Contact
    website: str
    looking_glass: str
    as_set: str
    network_type: str
    policy: str
    peeringdb_id: int | None
    prefixes: tuple[str, ...]
    upstreams: tuple[int, ...]
    peers: tuple[int, ...]
    exchanges: tuple[Exchange, ...]
    facilities: tuple[Facility, ...]


class LegalEntity(Struct, frozen=True, kw_only=True):
    """A legal entity as GLEIF knows it; `register` is a registration authority code, `parent` a LEI."""

    lei: str
    legal_name: str
    other_names: tuple[str, ...]
    street: str
    city: str
    postcode: str
    country: str
    jurisdiction: str
    legal_form: str
    register: str
    register_number: str
    status: str
    founded: datetime
    registered: datetime
    updated: datetime
    renewal: datetime
    managing_lou: str
    parent: str | None


class Account(Struct, frozen=True, kw_only=True):
    platform: str
    handle: str
    url: str


class Person(Struct, frozen=True, kw_only=True):
    """Somebody at the organisation. A source knows a person only where the field for it is set."""

    name: str
    title: str
    email: str
    phone: str | None = None
    github: str | None = None
    gravatar: str | None = None
    pgp: str | None = None
    city: str
    country: str
    bio: str
    joined: datetime
    accounts: tuple[Account, ...] = ()


class Repository(Struct, frozen=True, kw_only=True):
    owner: str
    name: str
    description: str
    language: str
    homepage: str
    licence: str
    topics: tuple[str, ...]
    stars: int
    forks: int
    created: datetime
    pushed: datetime


class Tenant(Struct, frozen=True, kw_only=True):
    """A Microsoft Entra tenant; `domains` are its verified names, the `*.onmicrosoft.com` one among them."""

    id: UUID
    brand: str
    region: str
    federation: Literal["Managed", "Federated"]
    domains: tuple[str, ...]


class Organisation(Struct, frozen=True, kw_only=True):
    """The target: `domains` has the primary one first, `netblocks` are CIDRs it holds."""

    name: str
    legal_name: str
    slug: str
    tagline: str
    website: str
    street: str
    city: str
    postcode: str
    country: str
    founded: datetime
    lei: str
    asn: int
    domains: tuple[str, ...]
    netblocks: tuple[str, ...]
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    accounts: tuple[Account, ...]
    github: str
    people: tuple[Person, ...]
    repositories: tuple[Repository, ...]
    tenant: Tenant
    trackers: tuple[tuple[str, str], ...]
    crypto_addresses: tuple[tuple[str, str], ...]


class Technology(Struct, frozen=True, kw_only=True):
    """A product seen on a site: by response headers, by markup in the page, or by a cookie's name."""

    vendor: str
    product: str
    version: str
    category: str
    headers: tuple[tuple[str, str], ...] = ()
    markup: str = ""
    cookie: str = ""


class Page(Struct, frozen=True, kw_only=True):
    """A page of a site: what it names, links and discloses. `path` begins with a slash."""

    path: str
    title: str
    text: str = ""
    links: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    crypto_addresses: tuple[str, ...] = ()


class Site(Struct, frozen=True, kw_only=True):
    """What a web host answers. `pages` has `/` first; `script` are URLs named in `/assets/app.js`."""

    host: str
    title: str
    status: int = 200
    redirect: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    technologies: tuple[Technology, ...] = ()
    pages: tuple[Page, ...] = ()
    script: tuple[str, ...] = ()
    trackers: tuple[tuple[str, str], ...] = ()
    favicon: bytes = b""
    robots: tuple[str, ...] = ()
    sitemap: tuple[str, ...] = ()
    security_contact: str | None = None
    certificate: str | None = None


class Certificate(Struct, frozen=True, kw_only=True):
    """A certificate that hosts present; signed by the lab's authority on first use. `names` are its SANs."""

    id: str
    subject: str
    names: tuple[str, ...]
    serial: int
    not_before: datetime
    not_after: datetime
    issuer: str


class LoggedCertificate(Struct, frozen=True, kw_only=True):
    """A certificate in the public logs; `sources` are the ids of the providers that know this entry."""

    id: int
    serial: str
    sha256: str
    common_name: str
    names: tuple[str, ...]
    issuer: str
    issuer_id: int
    not_before: datetime
    not_after: datetime
    logged: datetime
    sources: frozenset[str]


class Port(Struct, frozen=True, kw_only=True):
    """An open TCP port: `protocol` is http, https, ssh, smtp …; `banner` is what it says first."""

    number: int
    protocol: str
    banner: str = ""
    product: str = ""
    version: str = ""


class Address(Struct, frozen=True, kw_only=True):
    """An address that exists: what listens on it, and what third parties say of it.

    `hosts` are the names that resolve to it, `listed` the DNS block list zones that list it.
    """

    ip: str
    owner: Owner
    asn: int
    country: str
    city: str
    ptr: str | None
    hosts: tuple[str, ...]
    ports: tuple[Port, ...]
    cpes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


class Way(Struct, frozen=True, kw_only=True):
    """One way to find a name.

    by: the source's id, the word, the name it was formed from, the host that shows it, the record's owner or the zone.
    detail: the path, the header, the record type or the naming form.
    """

    kind: Reveal
    by: str
    detail: str = ""


class Host(Struct, frozen=True, kw_only=True):
    """A name of the target that exists and resolves. `kind` is the only kind of way that finds it first.

    known_to: ids of the passive sources that list it; `site` is set where it serves web pages;
    below_wildcard: the wildcard owner (`*.apps.…`) above it, whose answer differs from its own.
    """

    name: str
    kind: Reveal
    addresses: tuple[str, ...]
    cname: str | None = None
    known_to: frozenset[str] = frozenset()
    ways: tuple[Way, ...] = ()
    site: Site | None = None
    below_wildcard: str | None = None


class StaleName(Struct, frozen=True, kw_only=True):
    """A name that sources still list and that no longer resolves; `answer` says what DNS says of it."""

    name: str
    known_to: frozenset[str]
    last_address: str
    last_seen: datetime
    answer: Literal["nxdomain", "nodata", "servfail", "dangling"] = "nxdomain"


class Wildcard(Struct, frozen=True, kw_only=True):
    """A wildcard: its owner (`*.apps.…`), its answer, and members that sources list though they are no hosts.

    `rotates`: each answer is another part of `addresses`.
    """

    owner: str
    addresses: tuple[str, ...]
    cname: str | None
    rotates: bool
    members: tuple[str, ...]
    known_to: frozenset[str]


class Dangling(Struct, frozen=True, kw_only=True):
    """A CNAME to a third party's resource that nobody holds any more."""

    name: str
    target: str
    provider: str
    known_to: frozenset[str]


class Affiliate(Struct, frozen=True, kw_only=True):
    """A supplier of the target: its domain, what it does for it, and the names the target points to."""

    name: str
    domain: str
    role: Literal["cdn", "mail", "hosting", "dns", "saas"]
    asn: int
    netblocks: tuple[str, ...]
    hosts: tuple[tuple[str, str], ...]


class Stranger(Struct, frozen=True, kw_only=True):
    """Somebody else's host on an address that the target uses too: never touched, never reported."""

    name: str
    address: str


class Record(Struct, frozen=True, kw_only=True):
    """A DNS record in presentation form."""

    owner: str
    type: str
    value: str
    ttl: int = 300


class NameServer(Struct, frozen=True, kw_only=True):
    """An authoritative server; it answers for `zones` and gives those in `transfers` away whole."""

    name: str
    address: str
    owner: Owner
    zones: tuple[str, ...]
    transfers: tuple[str, ...] = ()


class Zone(Struct, frozen=True, kw_only=True):
    """A zone with all its records, SOA and NS at the apex among them.

    rotating: owners that answer with one of their addresses at a time; failing: owners that answer SERVFAIL;
    nsec: whether denials carry NSEC records and NSEC can be asked for.
    """

    name: str
    owner: Owner
    records: tuple[Record, ...]
    rotating: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    nsec: bool = False


class World(Struct, frozen=True, kw_only=True, dict=True):
    """The whole of it. `now` is the world's own clock, to which every date in it relates."""

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
