"""The open TCP ports of addresses in scope, by connecting to each, and what is said first on the open ones. In a
network it is found out which addresses are in use. The addresses learn that they were asked.
"""

import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

from services.collector.archetypes.names import weighed
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, Skipped, TcpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="tcp_ports",
    version=1,
    title="TCP ports",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc9293",
    format="https://www.iana.org/assignments/service-names-port-numbers/",
    consumes=("ip_address", "netblock"),
    produces=("ip_address", "service", "technology", "exposes", "part_of", "runs"),
    options={
        "ports": "21,22,23,25,53,80,81,110,111,135,139,143,389,443,445,465,514,587,636,873,990,"
        "993,995,1080,1433,1521,1723,1883,2049,2082,2083,2087,2181,2222,2375,2376,2379,3000,"
        "3128,3306,3389,4443,4444,5000,5060,5432,5601,5672,5900,5984,5985,6379,6443,7001,"
        "8000,8008,8080,8081,8086,8088,8140,8443,8500,8888,9000,9042,9090,9092,9200,9418,"
        "9443,10000,10250,11211,15672,25565,27017,50000",
        "addresses": 1_024,
    },
    # Ports up to 65535 and ranges of them: 22,80,8000-8010.
    forms={
        "ports": r"(?:(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
        r"(?:-(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3}))?(?:,(?!$)|$))+"
    },
    rate=0.0,
    concurrency=16,
    cost=70.0,
    freshness=86_400,
    timeout=3_600.0,
    licence="the target's own",
)

# Three ports that most hosts answer on, or refuse: an address that is silent on all of them is taken for unused.
SIGNS_OF_LIFE = (80, 443, 22)
SECONDS = 3.0
SECONDS_FOR_A_SIGN = 1.5
MAX_PORTS = 65_535

# What a port is for by the IANA registry and by custom: a guess, until the service itself says otherwise.
SERVICES = {
    21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "domain", 80: "http", 81: "http", 110: "pop3", 111: "sunrpc",
    135: "msrpc", 139: "netbios-ssn", 143: "imap", 389: "ldap", 443: "https", 445: "microsoft-ds", 465: "smtps",
    514: "shell", 587: "submission", 636: "ldaps", 873: "rsync", 990: "ftps", 993: "imaps", 995: "pop3s", 1080: "socks",
    1433: "ms-sql-s", 1521: "oracle", 1723: "pptp", 1883: "mqtt", 2049: "nfs", 2181: "zookeeper", 2222: "ssh",
    2375: "docker", 2376: "docker-s", 2379: "etcd", 3000: "http", 3128: "http-proxy", 3306: "mysql",
    3389: "ms-wbt-server", 5060: "sip", 5432: "postgresql", 5601: "kibana", 5672: "amqp", 5900: "vnc", 5984: "couchdb",
    5985: "wsman", 6379: "redis", 6443: "kubernetes", 8000: "http", 8008: "http", 8080: "http", 8081: "http",
    8086: "influxdb", 8443: "https", 8500: "consul", 8888: "http", 9042: "cassandra", 9090: "prometheus", 9092: "kafka",
    9200: "elasticsearch", 9418: "git", 9443: "https", 10250: "kubelet", 11211: "memcached", 15672: "rabbitmq",
    25565: "minecraft", 27017: "mongodb",
}  # fmt: skip

# What a protocol says first.
GREETINGS = tuple(
    (protocol, re.compile(pattern))
    for protocol, pattern in (
        ("ssh", rb"SSH-[12]\.[0-9]{1,2}-"),
        ("ftp", rb"220[ -][^\r\n]{0,200}?FTP"),
        ("smtp", rb"220[ -][^\r\n]{0,200}?(?:SMTP|Postfix|Exim|Sendmail)"),
        ("imap", rb"\* (?:OK|PREAUTH)"),
        ("pop3", rb"\+OK"),
        ("vnc", rb"RFB [0-9]{3}\.[0-9]{3}"),
        ("mysql", rb"[\s\S]{3}\x00\x0a[0-9]"),
        ("rsync", rb"@RSYNCD:"),
        ("redis", rb"-(?:ERR|NOAUTH|DENIED)[^\r\n]{0,80}?[Rr]edis"),
        ("http", rb"HTTP/1\.[01] [0-9]{3}"),
        ("amqp", rb"AMQP"),
        ("telnet", rb"\xff[\xfb-\xfe]"),
        ("nntp", rb"20[01] [^\r\n]{0,100}?NNTP"),
        ("irc", rb":[^\s]{1,100} NOTICE "),
    )
)

# What products call themselves in a greeting, and where their version stands.
PRODUCTS = {
    "OpenSSH": rb"OpenSSH(?:_for_Windows)?_([0-9][\w.]{0,20})",
    "Dropbear": rb"dropbear(?:_([0-9][\w.]{0,20}))?",
    "libssh": rb"libssh[_-]([0-9][\w.]{0,20})",
    "RouterOS": rb"ROSSSH()",
    "Cisco IOS": rb"SSH-[12]\.[0-9]{1,2}-Cisco-([0-9.]{1,8})",
    "vsftpd": rb"vsFTPd ([0-9][\w.]{0,20})",
    "ProFTPD": rb"ProFTPD(?: ([0-9][\w.]{0,20}))?",
    "Pure-FTPd": rb"Pure-FTPd()",
    "FileZilla Server": rb"FileZilla Server(?: (?:version )?v?([0-9][\w.]{0,20}))?",
    "Microsoft FTP Service": rb"Microsoft FTP Service()",
    "Postfix": rb"ESMTP Postfix()",
    "Exim": rb"Exim ([0-9][\w.]{0,20})",
    "Sendmail": rb"Sendmail(?: ([0-9][\w.]{0,20}))?",
    "Microsoft Exchange": rb"Microsoft ESMTP MAIL Service()",
    "OpenSMTPD": rb"OpenSMTPD()",
    "Dovecot": rb"Dovecot()",
    "Cyrus": rb"Cyrus (?:IMAP|POP3) v?([0-9][\w.]{0,20})",
    "Courier": rb"Courier-IMAP()",
    "Zimbra": rb"Zimbra()",
    "MariaDB": rb"\x0a(?:5\.5\.5-)?([0-9][0-9.]{2,12})-MariaDB",
    "MySQL": rb"[\s\S]{3}\x00\x0a([0-9]\.[0-9]{1,2}\.[0-9]{1,3})[^\x00M]{0,40}\x00",
}  # fmt: skip


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if not ctx.scope.covers(seen):
        raise Skipped(f"{seen.value} is out of scope")
    if seen.type == "ip_address":
        yield await ctx.tcp.probe(seen.value, ports_of(str(ctx.options["ports"])), timeout=SECONDS)
        return
    network = ip_network(seen.value)
    if network.num_addresses > int(ctx.options["addresses"]):
        raise Skipped(f"{seen.value} has {network.num_addresses} addresses, too many to knock at each")
    for address in map(str, network):
        if not ctx.scope.excludes_address(address):
            signs = await ctx.tcp.probe(address, SIGNS_OF_LIFE, banner=False, timeout=SECONDS_FOR_A_SIGN)
            if signs.open or signs.refused:
                yield signs


def ports_of(text: str) -> tuple[int, ...]:
    """The ports in ``22,80,8000-8010``, each once, in order."""
    ports: dict[int, None] = {}
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (not last or last.isdecimal()):
            ports.update(dict.fromkeys(range(int(first), min(int(last or first), MAX_PORTS) + 1)))
    return tuple(port for port in ports if 0 < port <= MAX_PORTS)


def parse(answer: TcpAnswer, seen: Entity) -> Iterator[Claim]:
    address = sound(entities.ip_address, answer.address)
    if address is None:
        return
    if seen.type == "netblock":
        # All its ports are asked for when it has its own turn.
        yield address
        yield relations.part_of(address, seen)
        return
    for port in answer.open:
        service = sound(entities.service, address.value, "tcp", port)
        if service is not None:
            yield relations.exposes(address, service)
            yield from described(service, state="open")
            yield from greeted(service, port, answer.banners.get(port, b""))


def greeted(service: Entity, port: int, banner: bytes) -> Iterator[Claim]:
    """What a service is: by its own words, else, and with half the confidence, by its port."""
    yield from described(service, banner=readable(banner))
    protocol = next((name for name, begins in GREETINGS if begins.match(banner)), "")
    yield from described(service, protocol=protocol)
    if not protocol and port in SERVICES:
        yield from (weighed(claim, 50) for claim in described(service, protocol=SERVICES[port]))
    for product, pattern in PRODUCTS.items() if banner else ():
        if match := re.search(pattern, banner):
            version = (match[1] or b"").decode("ascii")
            yield from described(service, product=f"{product} {version}".strip())
            yield relations.runs(service, entities.technology(product, version), evidence="greeting")
            return


def readable(banner: bytes) -> str:
    """The first lines of a greeting as text, without what does not print."""
    text = banner[:512].decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
