"""Where names live: the networks, an address for every name, the ports that are open on it, and who else is there."""

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network
from math import ceil

from msgspec import Struct

from lab.generate.draft import AddressDraft, Draft, NameDraft
from lab.generate.organisation import ASN
from lab.world import Affiliate, Port, Stranger

PROVIDERS = "192.0.2.0/24"
HOSTING, HOSTING_ASN = "brightquay.example", 64501
CDN, CDN_ASN = "edgeray.example", 64502
MAIL, MAIL_ASN = "mail.protection.outlook.com", 8075
PROVIDERS_ASN = 64511
CDN_NETWORK = "198.51.100.128/25"
MAIL_NETWORK = "198.19.200.0/24"
OWN_IPV6 = "2001:db8:100::/48"

ON_CDN = frozenset(("www", "static", "cdn", "shop"))
ON_HOSTING = frozenset(("blog", "careers", "support", "press", "investors"))
MAIL_LABELS = frozenset(("mail", "smtp", "webmail"))
SHELL_LABELS = frozenset(("bastion", "git", "jump", "ssh", "sftp", "gw"))
WITHOUT_SITE = frozenset(("dc", "fs", "gw", "ftp", "bastion", "mysql", "postgres", "redis", "proxy", "ws", "as2"))

SSH = Port(
    number=22, protocol="ssh", banner="SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n", product="openssh", version="9.2p1"
)
FTP = Port(number=21, protocol="ftp", banner="220 ProFTPD 1.3.8 Server ready.\r\n", product="proftpd", version="1.3.8")
HTTP = Port(number=80, protocol="http")
HTTPS = Port(number=443, protocol="https")
HTTP_ALTERNATIVE = Port(number=8080, protocol="http", product="tomcat", version="9.0.83")
DNS = Port(number=53, protocol="dns")
MYSQL = Port(number=3306, protocol="mysql", banner="J\0\0\0\n8.0.36\0\x08\0\0\0", product="mysql", version="8.0.36")
MAIL_PORTS = (
    Port(number=25, protocol="smtp", banner="220 mx.halyard-freight.example ESMTP Postfix\r\n", product="postfix"),
    Port(number=587, protocol="smtp", banner="220 mx.halyard-freight.example ESMTP Postfix\r\n", product="postfix"),
    Port(number=993, protocol="imaps"),
)
BUSINESSES = ("bakery", "florist", "garage", "dentist", "choir", "gallery", "brewery", "joinery", "pottery", "cycles")
TOWNS = ("wirral", "formby", "southport", "ormskirk", "chester", "preston")


class Networks(Struct, frozen=True, kw_only=True):
    """The networks of the target and of those it rents from."""

    own: str
    hosting: str
    cdn: str = CDN_NETWORK
    mail: str = MAIL_NETWORK


def choose_networks(hosts: int) -> Networks:
    """A documentation network each for a small world, benchmark networks that are large enough for a large one."""
    addresses = ceil(hosts * 0.34) + 40
    if addresses <= 240:
        return Networks(own="203.0.113.0/24", hosting="198.51.100.0/25")
    return Networks(own=f"198.18.0.0/{32 - (addresses + 2).bit_length()}", hosting="198.19.0.0/22")


class Placement:
    """Hands out addresses of a network, in order, from its tenth on."""

    def __init__(self, draft: Draft, networks: Networks, seed: int) -> None:
        self.rng = random.Random(f"{seed} placement")
        self.draft = draft
        self.networks = networks
        self._next = dict.fromkeys((networks.own, networks.hosting, networks.cdn, networks.mail), 10)
        self._next[networks.own] = 1
        self.pools: dict[str, list[str]] = {}

    def new(self, network: str, *ports: Port) -> str:
        """Take the next address of `network` into use."""
        parsed = IPv4Network(network)
        offset = self._next[network] = self._next[network] + 1
        ip = str(parsed[offset])
        if IPv4Address(ip) not in parsed or offset >= parsed.num_addresses - 1:
            raise ValueError(f"{network} is full")
        owner, asn, city = {
            self.networks.own: ("target", ASN, "Liverpool"),
            self.networks.hosting: ("affiliate", HOSTING_ASN, "Manchester"),
            self.networks.cdn: ("affiliate", CDN_ASN, "London"),
            self.networks.mail: ("affiliate", MAIL_ASN, "Dublin"),
        }[network]
        self.draft.addresses[ip] = AddressDraft(
            ip=ip,
            owner=owner,  # type: ignore[arg-type]
            asn=asn,
            country="IE" if network == self.networks.mail else "GB",
            city=city,
            ports={port.number: port for port in ports},
        )
        return ip

    def shared(self, network: str, size: int) -> str:
        """One of a pool of at most `size` addresses that many names share."""
        pool = self.pools.setdefault(network, [])
        if len(pool) < size:
            pool.append(self.new(network))
            return pool[-1]
        return self.rng.choice(pool)

    def ipv6(self, ipv4: str) -> str:
        """The IPv6 address of the machine that has `ipv4`."""
        offset = int(IPv4Address(ipv4)) - int(ip_network(self.networks.own).network_address)
        ip = str(IPv6Address(int(ip_network(OWN_IPV6).network_address) + offset))
        if ip in self.draft.addresses:
            return ip
        first = self.draft.addresses[ipv4]
        self.draft.addresses[ip] = AddressDraft(
            ip=ip, owner=first.owner, asn=first.asn, country=first.country, city=first.city, ports=first.ports
        )
        return ip

    def attach(self, name: NameDraft, *ips: str) -> None:
        """Give `name` addresses, in DNS and in the addresses' own lists."""
        for ip in ips:
            name.addresses.append(ip)
            self.draft.addresses[ip].hosts.append(name.name)

    def open(self, name: NameDraft, *ports: Port) -> None:
        """Open ports on every address of `name`."""
        for ip in name.addresses:
            self.draft.addresses[ip].ports.update({port.number: port for port in ports})


def place_names(draft: Draft, placement: Placement, hosts: int) -> None:
    """Give every name its addresses and ports, apart from those that have one and aliases of others."""
    rng, networks = placement.rng, placement.networks
    for name in draft.names.values():
        if name.addresses or name.cname:
            continue
        label = name.label
        roll = rng.random()
        rented = name.planned.kind == "passive" and not name.planned.wildcard and not name.planned.level
        if rented and (label in ON_CDN or (hosts > 100 and roll < 0.06)):
            _on_cdn(draft, placement, name)
        elif rented and (label in ON_HOSTING or (hosts > 100 and roll < 0.18)):
            placement.attach(name, placement.shared(networks.hosting, max(3, hosts // 40)))
        elif label in MAIL_LABELS | SHELL_LABELS or name.planned.wildcard:
            placement.attach(name, placement.new(networks.own))
        else:
            placement.attach(name, placement.shared(networks.own, max(8, hosts // 4)))
            if roll > 0.88:
                placement.attach(name, placement.ipv6(name.addresses[0]))
        _open_ports(placement, name, rng)


def _on_cdn(draft: Draft, placement: Placement, name: NameDraft) -> None:
    name.cname = f"{name.label}-hf.{CDN}"
    ip = placement.shared(placement.networks.cdn, 4)
    placement.attach(name, ip)
    draft.record(name.cname, "A", ip, 60)


def _open_ports(placement: Placement, name: NameDraft, rng: random.Random) -> None:
    label = name.label
    if label in MAIL_LABELS:
        placement.open(name, *MAIL_PORTS)
    if label in SHELL_LABELS or (rng.random() < 0.06 and not name.cname):
        placement.open(name, SSH)
    if label == "ftp":
        placement.open(name, FTP)
    if rng.random() < 0.02 and not name.cname:
        placement.open(name, rng.choice((HTTP_ALTERNATIVE, MYSQL)))


def place_strangers(draft: Draft, placement: Placement, hosts: int) -> tuple[Stranger, ...]:
    """Other customers on the rented addresses: never to be touched, never to be reported."""
    rng = placement.rng
    strangers = []
    for network in (placement.networks.hosting, placement.networks.cdn):
        for _ in range(max(4, hosts // 60)):
            town, business = rng.choice(TOWNS), rng.choice(BUSINESSES)
            name = f"www.{town}-{business}{rng.randint(10, 99)}.example"
            ip = placement.shared(network, 3)
            strangers.append(Stranger(name=name, address=ip))
            draft.addresses[ip].hosts.append(name)
            draft.addresses[ip].ports.update({80: HTTP, 443: HTTPS})
    return tuple(strangers)


def affiliates(networks: Networks, draft: Draft) -> tuple[Affiliate, ...]:
    """Those the target rents from, with the names it points to."""
    targets = {record.owner: record.value for record in draft.records if record.type == "A"}

    def below(domain: str) -> tuple[tuple[str, str], ...]:
        return tuple((owner, ip) for owner, ip in targets.items() if owner.endswith("." + domain))

    return (
        Affiliate(
            name="Edgeray",
            domain=CDN,
            role="cdn",
            asn=CDN_ASN,
            netblocks=(networks.cdn,),
            hosts=below(CDN),
        ),
        Affiliate(
            name="Brightquay Hosting",
            domain=HOSTING,
            role="hosting",
            asn=HOSTING_ASN,
            netblocks=(networks.hosting,),
            hosts=below(HOSTING),
        ),
        Affiliate(
            name="Microsoft",
            domain=MAIL,
            role="mail",
            asn=MAIL_ASN,
            netblocks=(networks.mail,),
            hosts=below(MAIL),
        ),
    )
