"""Makes a world from a number of hosts and a seed; the same two give the same world.

The rules are in `lab/README.md`; they are fixed before anything is measured in a world.
"""

import random
from datetime import timedelta

from msgspec import structs

from lab.generate.draft import AddressDraft, Draft, NameDraft
from lab.generate.names import Plan, plan_names
from lab.generate.networks import netblocks, registrations, systems
from lab.generate.organisation import DOMAIN, HALYARD, NOW, legal_entities
from lab.generate.placement import (
    CDN,
    CDN_ASN,
    HOSTING,
    HOSTING_ASN,
    HTTP,
    HTTPS,
    OWN_IPV6,
    Networks,
    Placement,
    affiliates,
    choose_networks,
    place_names,
    place_strangers,
)
from lab.generate.revelation import RecordNames, reveal_on_sites
from lab.generate.sites import build_site, certificates, furnish, logged_certificates
from lab.generate.zones import build_zones, write_mail_records
from lab.world import Address, Dangling, Host, StaleName, Way, Wildcard, World

LOGS = ("crtsh", "certspotter")
SUPPLIER_NAMES = {HOSTING_ASN: f"srv-{{}}.{HOSTING}", CDN_ASN: f"edge-{{}}.{CDN}"}
BLOCK_LISTS = ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org")
TAKEN_AWAY = (
    ("halyard-promo.azurewebsites.net", "azure"),
    ("halyard-winter-sale.herokudns.com", "heroku"),
    ("halyard-events.s3-website.eu-west-2.amazonaws.com", "s3"),
    ("halyard-handbook.netlify.app", "netlify"),
)


def generate(hosts: int = 60, seed: int = 1, *, transfer: bool = False, nsec: bool = False) -> World:
    """Make the world of an organisation with `hosts` names below its domain.

    transfer, nsec: whether a delegated zone each gives its contents away by zone transfer and by NSEC; otherwise both
    are refused everywhere. Raises ValueError when `hosts` is too small to have every kind of name.
    """
    plan = plan_names(hosts, seed, transfer=transfer, nsec=nsec)
    rng = random.Random(f"{seed} world")
    draft = Draft(domain=DOMAIN)
    for planned in plan.names:
        name = draft.fqdn(planned.name)
        draft.names[name] = NameDraft(name=name, planned=planned)
        draft.names[name].ways += _ways(draft, planned.name, draft.names[name])
    networks = choose_networks(hosts)
    placement = Placement(draft, networks, seed)
    records = RecordNames(draft, placement, seed)
    records.assign()
    place_names(draft, placement, hosts)
    records.settle()
    furnish(draft, placement, seed)
    strangers = place_strangers(draft, placement, hosts)
    reveal_on_sites(draft, seed)
    wildcards = _wildcards(draft, placement, plan, rng)
    stale = _stale(draft, plan, networks, rng)
    dangling = _dangling(draft, plan, rng)
    write_mail_records(draft, placement, records)
    zones, nameservers = build_zones(draft, networks, records, wildcards, stale, dangling, strangers, placement)
    _annotate(draft, rng)
    hosts_made = tuple(_host(draft, name, wildcards) for name in draft.names.values())
    blocks = netblocks(networks)
    known = {host.name: host.known_to for host in hosts_made}
    known |= {name.name: name.known_to for name in stale}
    known |= {name.name: name.known_to for name in dangling}
    return World(
        seed=seed,
        now=NOW,
        organisation=structs.replace(HALYARD, netblocks=(networks.own, OWN_IPV6)),
        hosts=hosts_made,
        stale=stale,
        wildcards=wildcards,
        dangling=dangling,
        affiliates=affiliates(networks, draft),
        strangers=strangers,
        lookalikes=(f"not{DOMAIN}", f"www.{DOMAIN}.mirror-cdn.example", f"{DOMAIN}.invalid", f"my-{DOMAIN}"),
        addresses=tuple(_address(draft, address) for address in draft.addresses.values()),
        netblocks=blocks,
        systems=systems(blocks),
        registrations=registrations(tuple(server.name for server in nameservers if DOMAIN in server.zones)),
        legal_entities=legal_entities(),
        certificates=certificates(draft, strangers),
        logged=logged_certificates(known, wildcards, LOGS, seed),
        nameservers=nameservers,
        zones=zones,
        words=tuple(sorted(plan.words)),
    )


def _ways(draft: Draft, short: str, name: NameDraft) -> list[Way]:
    """The ways that follow from the plan alone."""
    planned = name.planned
    if planned.kind == "permutation":
        return [Way(kind="permutation", by=draft.fqdn(planned.base), detail=planned.form)]
    if planned.kind in ("brute", "deeper"):
        return [Way(kind=planned.kind, by=short.split(".", maxsplit=1)[0], detail=draft.fqdn(planned.level))]
    return []


def _host(draft: Draft, name: NameDraft, wildcards: tuple[Wildcard, ...]) -> Host:
    planned = name.planned
    below = f"*.{draft.fqdn(planned.level)}" if planned.wildcard else None
    passive = [Way(kind="passive", by=source) for source in sorted(planned.known_to) if planned.kind != "target"]
    return Host(
        name=name.name,
        kind=planned.kind,
        addresses=tuple(name.addresses),
        cname=name.cname,
        known_to=planned.known_to,
        ways=(*passive, *name.ways),
        site=build_site(draft, name),
        below_wildcard=below if below in {wildcard.owner for wildcard in wildcards} else None,
    )


def _public(draft: Draft, host: str) -> bool:
    """Whether third parties know that `host` is there."""
    name = draft.names.get(host)
    return name is None or name.planned.kind in ("target", "passive")


def _address(draft: Draft, address: AddressDraft) -> Address:
    return Address(
        ip=address.ip,
        owner=address.owner,
        asn=address.asn,
        country=address.country,
        city=address.city,
        ptr=address.ptr,
        hosts=tuple(address.hosts),
        known_hosts=tuple(host for host in address.hosts if _public(draft, host)),
        ports=tuple(port for _, port in sorted(address.ports.items())),
        cpes=tuple(
            f"cpe:/a:{port.product}:{port.product}" + (f":{port.version}" if port.version else "")
            for _, port in sorted(address.ports.items())
            if port.product
        ),
        tags=address.tags,
        vulnerabilities=address.vulnerabilities,
        listed=address.listed,
    )


def _wildcards(draft: Draft, placement: Placement, plan: Plan, rng: random.Random) -> tuple[Wildcard, ...]:
    """Wildcards in turn: one whose answer rotates, one with a single address, one that is an alias."""
    made = []
    for number, level in enumerate(plan.wildcards):
        cname = f"tenants-hf{number}.{CDN}" if number % 3 == 2 else None
        network = placement.networks.cdn if cname else placement.networks.own
        addresses = [placement.new(network, HTTP, HTTPS) for _ in range(4 if number % 3 == 0 else 1)]
        if cname:
            draft.record(cname, "A", addresses[0], 60)
        draft.sans[f"*.{draft.fqdn(level)}"] = [f"*.{draft.fqdn(level)}"]
        known = frozenset(rng.sample(["crtsh", "wayback", "otx", "anubis", "rapiddns", "subdomaincenter"], 3))
        made.append(
            Wildcard(
                owner=f"*.{draft.fqdn(level)}",
                addresses=tuple(addresses),
                cname=cname,
                rotates=number % 3 == 0,
                members=tuple(draft.fqdn(member) for member in plan.members[level]),
                known_to=known - {"crtsh"},
            )
        )
    return tuple(made)


def _stale(draft: Draft, plan: Plan, networks: Networks, rng: random.Random) -> tuple[StaleName, ...]:
    base = networks.own.split("/")[0].rsplit(".", 1)[0]
    return tuple(
        StaleName(
            name=draft.fqdn(name),
            known_to=known_to,
            last_address=f"{base}.{rng.randint(2, 250)}",
            last_seen=NOW - timedelta(days=rng.randint(200, 2500)),
            answer=rng.choices(("nxdomain", "nodata", "servfail"), (90, 5, 5))[0],
        )
        for name, known_to in plan.stale
    )


def _dangling(draft: Draft, plan: Plan, rng: random.Random) -> tuple[Dangling, ...]:
    taken = {draft.fqdn(name) for name, _ in plan.stale} | set(draft.names)
    made = []
    for label, (target, provider) in zip(("promo", "wintersale", "summit", "handbook2"), TAKEN_AWAY, strict=True):
        name = draft.fqdn(label)
        if name not in taken:
            known = frozenset(rng.sample(["crtsh", "certspotter", "wayback", "otx", "urlscan"], 2))
            made.append(Dangling(name=name, target=target, provider=provider, known_to=known))
    return tuple(made)


def _annotate(draft: Draft, rng: random.Random) -> None:
    """What third parties say of addresses: reverse names, block lists, known faults."""
    for address in draft.addresses.values():
        first = next((host for host in address.hosts if host in draft.names), None)
        if first and address.owner == "target" and address.ptr is None and draft.names[first].planned.kind == "passive":
            address.ptr = first if rng.random() < 0.5 else None
        elif address.owner == "affiliate" and address.asn in SUPPLIER_NAMES:
            address.ptr = SUPPLIER_NAMES[address.asn].format(address.ip.replace(".", "-"))
            address.tags = ("cloud",)
        if 22 in address.ports:
            address.vulnerabilities = ("CVE-2024-6387",)
    rented = [address for address in draft.addresses.values() if address.asn == HOSTING_ASN and address.hosts]
    for address, zone in zip(rented, BLOCK_LISTS, strict=False):
        address.listed = (zone, BLOCK_LISTS[0]) if zone != BLOCK_LISTS[0] else (zone,)
    own = next(address for address in draft.addresses.values() if address.owner == "target" and 25 in address.ports)
    own.listed = (BLOCK_LISTS[0],)
