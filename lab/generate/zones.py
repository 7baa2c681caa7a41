"""The zones: the target's own with everything in it, its suppliers', its neighbours'."""

from collections.abc import Iterable

from lab.generate.draft import Draft, NameDraft
from lab.generate.names import DELEGATED
from lab.generate.organisation import HALYARD
from lab.generate.placement import CDN, DNS, HOSTING, MAIL, MAIL_PORTS, Networks, Placement
from lab.generate.revelation import RecordNames
from lab.world import Dangling, NameServer, Owner, Record, StaleName, Stranger, Way, Wildcard, Zone

SERIAL = 2026110201
TOKENS = (
    "google-site-verification=Zb3yHfX0qk8LwT4vRm2sN7pJc1dE6uGa9oKtQxWlYhI",
    "MS=ms48201937",
    "atlassian-domain-verification=r9QmT3vHkX0pLw7yZc2sN8bJd1fE6uGa4oKiQxWlYhV5tRzM",
    "docusign=3b2f1c9e-7a54-4d0e-9c8b-51f2a7e6d430",
    "stripe-verification=5f0c9a7be1d24386a0cf8e21b7d94c3f6a15e8d2",
    "facebook-domain-verification=q7m2x9vz4k1w8r5t3y6p0n",
    "apple-domain-verification=Hf7Kq2Lw9Zx4Vb1N",
    "adobe-idp-site-verification=4c1b7e90d25f3a6881e0c97ab5d24f13",
)


def write_mail_records(draft: Draft, placement: Placement, records: RecordNames) -> None:
    """MX, SPF, DMARC, MTA-STS, TLS-RPT, BIMI, DKIM and the providers' tokens, as mail set-ups have them."""
    domain = draft.domain
    outlook = f"{domain.replace('.', '-')}.{MAIL}"
    draft.record(outlook, "A", placement.new(placement.networks.mail, *MAIL_PORTS))
    for preference, exchanger in enumerate(records.exchangers, 1):
        draft.record(domain, "MX", f"{preference * 10} {exchanger.name}.")
    draft.record(domain, "MX", f"50 {outlook}.")
    senders = [f"a:{sender.name}" for sender in records.mail_senders]
    include = f"_spf.{domain}"
    first = " ".join(("v=spf1 mx", *senders[:1], f"include:{include}", "include:spf.protection.outlook.com -all"))
    second = " ".join(("v=spf1", f"ip4:{placement.networks.own}", *senders[1:], "include:sendgrid.net ~all"))
    draft.record(domain, "TXT", f'"{first}"')
    draft.record(include, "TXT", f'"{second}"')
    draft.record("spf.protection.outlook.com", "TXT", f'"v=spf1 ip4:{placement.networks.mail} -all"')
    draft.record("sendgrid.net", "TXT", '"v=spf1 ip4:198.19.201.0/24 ~all"')
    for token in TOKENS:
        draft.record(domain, "TXT", f'"{token}"')
    dmarc = f"v=DMARC1; p=quarantine; rua=mailto:dmarc@{domain}; ruf=mailto:forensics@{domain}; pct=100"
    draft.record(f"_dmarc.{domain}", "TXT", f'"{dmarc}"')
    draft.record(f"_mta-sts.{domain}", "TXT", f'"v=STSv1; id={SERIAL};"')
    tenant = HALYARD.tenant.domains[-1]
    for selector in ("selector1", "selector2"):
        target = f"{selector}-{domain.replace('.', '-')}._domainkey.{tenant}."
        draft.record(f"{selector}._domainkey.{domain}", "CNAME", target)
    draft.record(domain, "CAA", '0 issue "letsencrypt.org"')
    draft.record(domain, "CAA", f'0 iodef "mailto:{HALYARD.emails[4]}"')


def name_records(names: Iterable[NameDraft]) -> Iterable[Record]:
    """The address records and aliases of names."""
    for name in names:
        if name.cname:
            yield Record(owner=name.name, type="CNAME", value=name.cname + ".")
            continue
        for ip in name.addresses:
            yield Record(owner=name.name, type="AAAA" if ":" in ip else "A", value=ip)


def _apex(zone: str, nameservers: Iterable[str]) -> list[Record]:
    servers = list(nameservers)
    soa = f"{servers[0]}. hostmaster.{zone}. {SERIAL} 7200 3600 1209600 300"
    return [
        Record(owner=zone, type="SOA", value=soa, ttl=3600),
        *(Record(owner=zone, type="NS", value=server + ".", ttl=3600) for server in servers),
    ]


def build_zones(
    draft: Draft,
    networks: Networks,
    records: RecordNames,
    wildcards: tuple[Wildcard, ...],
    stale: tuple[StaleName, ...],
    dangling: tuple[Dangling, ...],
    strangers: tuple[Stranger, ...],
    placement: Placement,
) -> tuple[tuple[Zone, ...], tuple[NameServer, ...]]:
    """Every zone of the lab but the providers' and the reverse ones, and who answers for each."""
    domain = draft.domain
    hosting = [placement.new(networks.hosting, DNS) for _ in range(2)]
    for number, ip in enumerate(hosting, 1):
        draft.record(f"ns{number}.{HOSTING}", "A", ip)
        draft.addresses[ip].hosts.append(f"ns{number}.{HOSTING}")
    own = [server.name for server in records.nameservers]
    rented = [f"ns{number}.{HOSTING}" for number in (1, 2)]
    contents = [
        *_apex(domain, [*own, rented[0]]),
        *name_records(name for name in draft.names.values() if _zone_of(name, domain) == domain),
        *(record for record in draft.records if record.owner == domain or record.owner.endswith("." + domain)),
        *(record for wildcard in wildcards for record in _wildcard_records(wildcard)),
        *(Record(owner=name.name, type="TXT", value='"parked"') for name in stale if name.answer == "nodata"),
        *(Record(owner=name.name, type="CNAME", value=name.target + ".") for name in dangling),
    ]
    zones = []
    servers: dict[str, list[str]] = {server: [domain] for server in own}
    servers[rented[0]] = [domain]
    transfers: dict[str, list[str]] = {}
    for kind, label in DELEGATED.items():
        zone = f"{label}.{domain}"
        members = [name for name in draft.names.values() if _zone_of(name, domain) == zone]
        if not any(name.planned.kind == kind for name in members):
            continue
        contents += [Record(owner=zone, type="NS", value=server + ".", ttl=3600) for server in rented]
        inside = [*_apex(zone, rented), *name_records(members)]
        zones.append(Zone(name=zone, owner="target", records=tuple(inside), nsec=kind == "nsec"))
        for server in rented:
            servers.setdefault(server, []).append(zone)
        if kind == "transfer":
            transfers[rented[1]] = [zone]
        for name in (name for name in members if name.planned.kind == kind):
            name.ways.append(Way(kind=name.planned.kind, by=zone, detail=rented[1] if kind == "transfer" else "NSEC"))
    zones.insert(
        0,
        Zone(
            name=domain,
            owner="target",
            records=tuple(contents),
            rotating=frozenset(wildcard.owner for wildcard in wildcards if wildcard.rotates),
            failing=frozenset(name.name for name in stale if name.answer == "servfail"),
        ),
    )
    zones += _other_zones(draft, rented, strangers)
    return tuple(zones), _nameservers(draft, servers, transfers)


def _zone_of(name: NameDraft, domain: str) -> str:
    """The zone that has the records of `name`; a zone that is not delegated has no name of the kind below it."""
    if name.planned.kind in DELEGATED:
        return f"{name.planned.level}.{domain}"
    return name.name if name.planned.delegated else domain


def _wildcard_records(wildcard: Wildcard) -> Iterable[Record]:
    if wildcard.cname:
        yield Record(owner=wildcard.owner, type="CNAME", value=wildcard.cname + ".", ttl=60)
    else:
        for ip in wildcard.addresses:
            yield Record(owner=wildcard.owner, type="A", value=ip, ttl=60)


def _other_zones(draft: Draft, rented: list[str], strangers: tuple[Stranger, ...]) -> list[Zone]:
    """Zones of suppliers and neighbours, and the target's other domains, which only point to its home page."""
    home = next(ip for ip in draft.names[draft.domain].addresses if ":" not in ip)
    foreign: dict[str, tuple[Owner, list[Record]]] = {
        zone: ("affiliate", [])
        for zone in (CDN, HOSTING, MAIL, "spf.protection.outlook.com", "sendgrid.net", "onmicrosoft.com")
    }
    for record in draft.records:
        for zone, (_, contents) in foreign.items():
            if record.owner == zone or record.owner.endswith("." + zone):
                contents.append(record)
    for other in HALYARD.domains[1:]:
        foreign[other] = (
            "affiliate",
            [Record(owner=owner, type="A", value=home) for owner in (other, f"www.{other}")]
            + [Record(owner=other, type="TXT", value='"v=spf1 -all"')],
        )
    for stranger in strangers:
        zone = stranger.name.removeprefix("www.")
        foreign[zone] = (
            "stranger",
            [Record(owner=owner, type="A", value=stranger.address) for owner in (zone, stranger.name)],
        )
    return [
        Zone(name=zone, owner=owner, records=(*_apex(zone, rented), *contents))
        for zone, (owner, contents) in foreign.items()
    ]


def _nameservers(
    draft: Draft, servers: dict[str, list[str]], transfers: dict[str, list[str]]
) -> tuple[NameServer, ...]:
    addresses = {host: address for address in draft.addresses.values() for host in address.hosts}
    return tuple(
        NameServer(
            name=server,
            address=addresses[server].ip,
            owner=addresses[server].owner,
            zones=tuple(zones),
            transfers=tuple(transfers.get(server, ())),
        )
        for server, zones in servers.items()
    )
