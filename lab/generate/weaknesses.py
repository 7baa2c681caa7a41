"""What is wrong with a world that is weak on purpose: put into a world that was made, so that other worlds stay.

Every finding that a deep scan of it should make is among `World.planted`, whether it was put there here or was in
the world before; a scan of the organisation's domains and its network that makes another one is wrong.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal

from msgspec import Struct, structs

from lab.generate.networks import contact
from lab.generate.organisation import DOMAIN, HALYARD, OTHER_DOMAINS
from lab.generate.placement import HOSTING, HTTP, HTTPS
from lab.generate.planted import planted
from lab.generate.sites import AUTHORITY
from lab.generate.technologies import NGINX, PHP, favicon
from lab.generate.zones import SERIAL
from lab.world import (
    Address,
    AutonomousSystem,
    Certificate,
    Host,
    NameServer,
    Netblock,
    Page,
    Port,
    Record,
    Registration,
    Site,
    Technology,
    World,
    Zone,
)

Flaw = Literal["none", "expired", "expiring", "weak", "self_signed", "wrong_name", "issuer"]

NETWORK = "203.0.113."
SIZE_AND_SEED = (60, 1)
RANGE = "203.0.113.200/29"
"""Where the weak hosts are: what of the network is scanned."""
FAR_NETWORK, FAR_ASN, FAR_NAME = "198.19.220.0/24", 64503, "Brightquay Straits Pte Ltd"
CLOUD, TRACK = OTHER_DOMAINS
BUILDER = f"build.{CLOUD}"
CHEAP_AUTHORITY = "Bargain Certificates Ltd"
LIVE_SERVICES = ("azurewebsites.net", "herokudns.com", "amazonaws.com", "netlify.app")
SSH_OLD = Port(number=22, protocol="ssh", banner="SSH-2.0-OpenSSH_7.4\r\n", product="openssh", version="7.4")
FTP_OLD = Port(
    number=21, protocol="ftp", banner="220 ProFTPD 1.3.5 Server (Depot)\r\n", product="proftpd", version="1.3.5"
)
LOGIN = '<form method="post" action="/login"><input name="user"><input type="password" name="secret"></form>'
PHPMYADMIN = Technology(vendor="phpmyadmin", product="phpmyadmin", version="", category="administration")
APACHE_OLD = Technology(
    vendor="apache",
    product="http_server",
    version="2.4.49",
    category="web server",
    headers=(("Server", "Apache/2.4.49 (Unix)"),),
)


class WeakSite(Struct, frozen=True, kw_only=True):
    """A site: what is on its page, and what is wrong with its certificate (None: it has none)."""

    title: str
    markup: str = ""
    links: tuple[str, ...] = ()
    technologies: tuple[Technology, ...] = (NGINX,)
    flaw: Flaw | None = "none"
    security_expires: timedelta | None = None


class WeakHost(Struct, frozen=True, kw_only=True):
    """A name at an address that it may share with others, with open ports or a site."""

    label: str
    number: int
    ports: tuple[Port, ...] = ()
    site: WeakSite | None = None
    network: str = NETWORK

    @property
    def name(self) -> str:
        return f"{self.label}.{DOMAIN}"

    @property
    def ip(self) -> str:
        return f"{self.network}{self.number}"


def _port(number: int, protocol: str, banner: str = "") -> Port:
    return Port(number=number, protocol=protocol, banner=banner)


HOSTS = (
    WeakHost(label="db-archive", number=200, ports=(_port(5432, "postgresql"), SSH_OLD)),
    WeakHost(label="rdp-gate", number=201, ports=(_port(3389, "ms-wbt-server"), _port(5900, "vnc", "RFB 003.008\n"))),
    WeakHost(
        label="depot-legacy",
        number=202,
        ports=(FTP_OLD, _port(23, "telnet", "\xff\xfd\x18\xff\xfd\x20"), _port(445, "microsoft-ds")),
    ),
    WeakHost(label="cache-old", number=203, ports=(_port(6379, "redis"), _port(2375, "docker"))),
    WeakHost(label="queue-hub", number=203, ports=(_port(1883, "mqtt"), _port(389, "ldap"))),
    WeakHost(
        label="sqladmin",
        number=204,
        site=WeakSite(title="phpMyAdmin", markup=LOGIN, technologies=(NGINX, PHP, PHPMYADMIN)),
    ),
    WeakHost(
        label="tariff-files",
        number=204,
        site=WeakSite(title="Index of /", links=("/old/", "/tariffs.csv")),
    ),
    WeakHost(label="depot-web", number=204, site=WeakSite(title="Depot bookings", technologies=(APACHE_OLD,))),
    WeakHost(label="crew-login", number=205, site=WeakSite(title="Crew", markup=LOGIN, flaw=None)),
    WeakHost(label="fairs", number=204, site=WeakSite(title="Trade fairs", flaw="expired")),
    WeakHost(label="brochures", number=204, site=WeakSite(title="Brochures", flaw="expiring")),
    WeakHost(label="scanner", number=204, site=WeakSite(title="Container scanner", flaw="weak")),
    WeakHost(label="printer", number=204, site=WeakSite(title="Print room", flaw="self_signed")),
    WeakHost(label="extranet", number=204, site=WeakSite(title="Extranet", flaw="wrong_name")),
    WeakHost(label="pilots", number=204, site=WeakSite(title="Pilot scheme", flaw="issuer")),
    WeakHost(label="web-new", number=204, site=WeakSite(title="Welcome to nginx!")),
    WeakHost(label="uat-booking", number=204, site=WeakSite(title="Bookings (acceptance)")),
    WeakHost(label="disclose", number=204, site=WeakSite(title="Security", security_expires=timedelta(days=-40))),
    WeakHost(label="singapore", number=20, site=WeakSite(title="Halyard Straits"), network="198.19.220."),
)
"""None has the first label of a name that was there before."""


def weaken(world: World, day: datetime) -> World:
    """The demo's world with what is wrong put into it; what is about to end, ends some days after `day`.

    Raises ValueError for another world, of which nobody has said what a scan should find in it.
    """
    if (len(world.hosts), world.seed) != SIZE_AND_SEED:
        raise ValueError("only the world of 60 hosts and seed 1 can be made weak")
    certificates = tuple(_certificates(day))
    organisation = structs.replace(world.organisation, netblocks=(*world.organisation.netblocks, RANGE))
    weak = structs.replace(
        world,
        organisation=organisation,
        hosts=(*(_lasting(host, day) for host in world.hosts), *(_host(weak, day) for weak in HOSTS), _builder(world)),
        addresses=(*world.addresses, *_addresses()),
        netblocks=(*world.netblocks, _far_block(world)),
        systems=(*world.systems, _far_system(world)),
        registrations=tuple(_registrations(world, day)),
        certificates=(*world.certificates, *certificates),
        nameservers=tuple(_nameservers(world)),
        zones=tuple(_zones(world)),
    )
    return structs.replace(weak, planted=tuple(planted(weak)))


def _lasting(host: Host, day: datetime) -> Host:
    """A host whose security.txt holds for a while, whenever it is asked for."""
    if host.site is None:
        return host
    return structs.replace(host, site=structs.replace(host.site, security_expires=day + timedelta(days=300)))


def _host(weak: WeakHost, day: datetime) -> Host:
    return Host(
        name=weak.name,
        kind="passive",
        addresses=(weak.ip,),
        known_to=frozenset(("hackertarget", "anubis")),
        site=_site(weak, weak.site, day) if weak.site else None,
    )


def _builder(world: World) -> Host:
    """A name that only the transfer of its zone tells."""
    return Host(name=BUILDER, kind="transfer", addresses=(_home(world),))


def _home(world: World) -> str:
    return next(host.addresses[0] for host in world.hosts if host.name == DOMAIN)


def _site(weak: WeakHost, site: WeakSite, day: datetime) -> Site:
    return Site(
        host=weak.name,
        title=site.title,
        headers=tuple(header for product in site.technologies for header in product.headers),
        technologies=site.technologies,
        pages=(Page(path="/", title=site.title, markup=site.markup, links=site.links),),
        favicon=favicon(HALYARD.slug),
        security_contact=HALYARD.emails[4] if site.security_expires else None,
        security_expires=day + (site.security_expires or timedelta(0)),
        certificate=None if site.flaw is None else weak.name,
    )


def _addresses() -> Iterator[Address]:
    by_ip: dict[str, list[WeakHost]] = {}
    for weak in HOSTS:
        by_ip.setdefault(weak.ip, []).append(weak)
    for ip, sharing in by_ip.items():
        own = ip.startswith(NETWORK)
        ports = {port.number: port for weak in sharing for port in (*weak.ports, *_web_ports(weak))}
        names = tuple(weak.name for weak in sharing)
        yield Address(
            ip=ip,
            owner="target" if own else "affiliate",
            asn=HALYARD.asn if own else FAR_ASN,
            country="GB" if own else "SG",
            city="Liverpool" if own else "Singapore",
            ptr=None,
            hosts=names,
            known_hosts=names,
            ports=tuple(port for _, port in sorted(ports.items())),
        )


def _web_ports(weak: WeakHost) -> tuple[Port, ...]:
    if weak.site is None:
        return ()
    return (HTTP,) if weak.site.flaw is None else (HTTP, HTTPS)


def _certificates(day: datetime) -> Iterator[Certificate]:
    for weak in HOSTS:
        if weak.site is None or weak.site.flaw is None:
            continue
        flaw = weak.site.flaw
        end = {"expired": -21, "expiring": 9}.get(flaw)
        yield Certificate(
            id=weak.name,
            subject=weak.name,
            names=(f"panel.{HOSTING}",) if flaw == "wrong_name" else (weak.name,),
            serial=int(sha256(f"{DOMAIN} {weak.name}".encode()).hexdigest()[:30], 16),
            not_before=datetime(2025, 11, 20, tzinfo=UTC),
            not_after=datetime(2049, 11, 20, tzinfo=UTC) if end is None else day + timedelta(days=end),
            issuer=CHEAP_AUTHORITY if flaw == "issuer" else AUTHORITY,
            key="RSA 1024" if flaw == "weak" else "P-256",
            self_signed=flaw == "self_signed",
        )


def _far_block(world: World) -> Netblock:
    """A network of somebody at the other end of the world, of whom one address is rented."""
    model = world.netblock(next(address.ip for address in world.addresses if address.owner == "affiliate"))
    assert model is not None
    holder = contact("ORG-BQS1-RIPE", FAR_NAME, FAR_NAME, f"noc@{HOSTING}")
    return structs.replace(
        model,
        network=FAR_NETWORK,
        handle="NET-BQS1-RIPE",
        name="BRIGHTQUAY-STRAITS",
        country="SG",
        asn=FAR_ASN,
        holder=holder,
        abuse=holder,
    )


def _far_system(world: World) -> AutonomousSystem:
    block = _far_block(world)
    return structs.replace(
        world.systems[1],
        number=FAR_ASN,
        name="BRIGHTQUAY-STRAITS-AS",
        handle=f"AS{FAR_ASN}",
        description=FAR_NAME,
        country="SG",
        holder=block.holder,
        abuse=block.abuse,
        as_set="AS-BRIGHTQUAY-STRAITS",
        peeringdb_id=None,
        prefixes=(FAR_NETWORK,),
    )


def _registrations(world: World, day: datetime) -> Iterator[Registration]:
    """One domain is about to end, another can be moved away by anybody who gets into the account of its registrar."""
    rented = tuple(f"ns{number}.{HOSTING}" for number in (1, 2))
    for found in world.registrations:
        ends = day + timedelta(days=12 if found.domain == CLOUD else 300)
        servers = {CLOUD: rented, TRACK: (rented[0], f"ns-old.{DOMAIN}")}.get(found.domain, found.nameservers)
        status = ("active",) if found.domain == TRACK else found.status
        yield structs.replace(found, expires=ends, nameservers=servers, status=status)


def _nameservers(world: World) -> Iterator[NameServer]:
    first, second = (f"ns{number}.{HOSTING}" for number in (1, 2))
    address = next(address for address in world.addresses if second in address.hosts)
    others = (CLOUD, TRACK)
    for server in world.nameservers:
        yield structs.replace(server, zones=(*server.zones, *others)) if server.name == first else server
    yield NameServer(name=second, address=address.ip, owner="affiliate", zones=(CLOUD,), transfers=(CLOUD,))


def _zones(world: World) -> Iterator[Zone]:
    mail = f"10 mx1.{DOMAIN}."
    rented = tuple(f"ns{number}.{HOSTING}." for number in (1, 2))
    senders = '" "'.join(f"include:s{number}.{TRACK} " for number in range(1, 12))
    weak = {
        CLOUD: [
            *_delegated(CLOUD, rented),
            (CLOUD, "MX", mail),
            (CLOUD, "TXT", '"v=spf1 mx +all"'),
            (BUILDER, "A", _home(world)),
        ],
        TRACK: [
            *_delegated(TRACK, (rented[0], f"ns-old.{DOMAIN}.")),
            (TRACK, "MX", mail),
            (TRACK, "MX", f"20 mx-old.{DOMAIN}."),
            (TRACK, "TXT", f'"v=spf1 " "{senders}" "?all"'),
            *((f"s{number}.{TRACK}", "TXT", f'"v=spf1 ip4:{NETWORK}{number + 1} -all"') for number in range(1, 12)),
            (f"_dmarc.{TRACK}", "TXT", '"v=DMARC1; p=none"'),
            (TRACK, "CAA", '0 issue "letsencrypt.org"'),
        ],
    }
    made = {
        name: Zone(
            name=name,
            owner="affiliate",
            records=tuple(Record(owner=owner, type=kind, value=value) for owner, kind, value in records),
            nsec=name == CLOUD,
        )
        for name, records in weak.items()
    }
    for zone in world.zones:
        if zone.name == DOMAIN:
            own = [Record(owner=weak.name, type="A", value=weak.ip) for weak in HOSTS]
            yield structs.replace(zone, records=(*zone.records, *own))
        else:
            yield made.get(zone.name, zone)
    for name in LIVE_SERVICES:
        records = [Record(owner=owner, type=kind, value=value) for owner, kind, value in _delegated(name, rented)]
        yield Zone(name=name, owner="affiliate", records=tuple(records))


def _delegated(zone: str, servers: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """The records that a zone begins with."""
    servers = tuple(servers)
    yield (zone, "SOA", f"{servers[0]} hostmaster.{DOMAIN}. {SERIAL} 7200 3600 1209600 300")
    yield from ((zone, "NS", server) for server in servers)
