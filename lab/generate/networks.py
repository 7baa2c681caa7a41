"""What registries and routing say: netblocks, autonomous systems, domain registrations."""

from datetime import UTC, datetime
from hashlib import sha256

from lab.generate.organisation import ASN, HALYARD, NOW
from lab.generate.placement import (
    CDN,
    CDN_ASN,
    HOSTING,
    HOSTING_ASN,
    MAIL_ASN,
    OWN_IPV6,
    PROVIDERS,
    PROVIDERS_ASN,
    Networks,
)
from lab.world import AutonomousSystem, Contact, Exchange, Facility, Netblock, Owner, Registration

UPSTREAMS = {64496: "TIDALTRANSIT", 64497: "NORTHWAVE"}
PEERS = {64498: "MERSEY-IX-RS", 64499: "PENNINE-NET"}
REGISTRAR_DOMAIN = "quayside-registrar.example"
REGISTRAR = ("Quayside Registrar Ltd", 9998, f"https://www.{REGISTRAR_DOMAIN}", f"whois.{REGISTRAR_DOMAIN}")


def contact(handle: str, name: str, organisation: str, email: str, phone: str = HALYARD.phones[0]) -> Contact:
    return Contact(
        handle=handle,
        name=name,
        organisation=organisation,
        email=email,
        phone=phone,
        street=HALYARD.street,
        city=HALYARD.city,
        postcode=HALYARD.postcode,
        country="GB",
    )


def _company(name: str, domain: str, handle: str) -> tuple[Contact, Contact]:
    """The holder and the abuse contact of a company that is not the target."""
    holder = Contact(
        handle=f"ORG-{handle}-RIPE",
        name=name,
        organisation=name,
        email=f"noc@{domain}",
        phone="+441614960" + str(int(sha256(name.encode()).hexdigest(), 16) % 900 + 100),
        street="1 Exchange Square",
        city="Manchester",
        postcode="M3 1AA",
        country="GB",
    )
    abuse = Contact(
        handle=f"AR-{handle}-RIPE",
        name=f"{name} abuse",
        organisation=name,
        email=f"abuse@{domain}",
        phone=holder.phone,
        street=holder.street,
        city=holder.city,
        postcode=holder.postcode,
        country="GB",
    )
    return holder, abuse


OWNERS: dict[int, tuple[Contact, Contact]] = {
    ASN: (
        contact("ORG-HFL7-RIPE", HALYARD.name, HALYARD.legal_name.title(), f"noc@{HALYARD.domains[0]}"),
        contact("AR70001-RIPE", "Halyard Freight abuse", HALYARD.legal_name.title(), f"abuse@{HALYARD.domains[0]}"),
    ),
    HOSTING_ASN: _company("Brightquay Hosting Ltd", HOSTING, "BQH1"),
    CDN_ASN: _company("Edgeray Networks Ltd", CDN, "ERN1"),
    MAIL_ASN: _company("Microsoft Corporation", "microsoft.com", "MSFT1"),
    PROVIDERS_ASN: _company("Lighthouse Commons", "lighthouse-commons.example", "LHC1"),
}


def netblocks(networks: Networks) -> tuple[Netblock, ...]:
    """Every network with addresses in it."""
    rows: tuple[tuple[str, str, int, Owner], ...] = (
        (networks.own, "HALYARD-FREIGHT", ASN, "target"),
        (OWN_IPV6, "HALYARD-FREIGHT-6", ASN, "target"),
        (networks.hosting, "BRIGHTQUAY-SHARED", HOSTING_ASN, "affiliate"),
        (networks.cdn, "EDGERAY-EDGE", CDN_ASN, "affiliate"),
        (networks.mail, "MSFT-MAIL", MAIL_ASN, "affiliate"),
        (PROVIDERS, "LIGHTHOUSE-SERVICES", PROVIDERS_ASN, "provider"),
    )
    return tuple(
        Netblock(
            network=network,
            handle=f"NET-{sha256(network.encode()).hexdigest()[:6].upper()}-RIPE",
            name=name,
            status="ASSIGNED PA" if ":" not in network else "ALLOCATED-BY-RIR",
            country="GB",
            registry="ripe",
            registered=datetime(2012, 5, 14, 10, tzinfo=UTC),
            changed=datetime(2025, 2, 3, 15, 30, tzinfo=UTC),
            asn=asn,
            owner=owner,
            holder=OWNERS[asn][0],
            abuse=OWNERS[asn][1],
        )
        for network, name, asn, owner in rows
    )


def systems(blocks: tuple[Netblock, ...]) -> tuple[AutonomousSystem, ...]:
    """The autonomous systems that announce `blocks`, and their neighbours."""
    names = {
        ASN: ("HALYARD-AS", "Halyard Freight Limited"),
        HOSTING_ASN: ("BRIGHTQUAY-AS", "Brightquay Hosting Ltd"),
        CDN_ASN: ("EDGERAY-AS", "Edgeray Networks Ltd"),
        MAIL_ASN: ("MICROSOFT-CORP-MSN-AS-BLOCK", "Microsoft Corporation"),
        PROVIDERS_ASN: ("LIGHTHOUSE-AS", "Lighthouse Commons"),
        **{number: (f"{name}-AS", f"{name.title()} Ltd") for number, name in {**UPSTREAMS, **PEERS}.items()},
    }
    owners: dict[int, Owner] = {ASN: "target", PROVIDERS_ASN: "provider"}
    return tuple(
        AutonomousSystem(
            number=number,
            name=name,
            handle=f"AS{number}",
            description=description,
            country="GB",
            registry="ripe",
            registered=datetime(2012, 5, 14, 10, tzinfo=UTC),
            changed=datetime(2025, 2, 3, 15, 30, tzinfo=UTC),
            owner=owners.get(number, "affiliate"),
            holder=OWNERS.get(number, OWNERS[PROVIDERS_ASN])[0],
            abuse=OWNERS.get(number, OWNERS[PROVIDERS_ASN])[1],
            website=HALYARD.website if number == ASN else "",
            looking_glass=f"https://lg.{HALYARD.domains[0]}/" if number == ASN else "",
            as_set=f"AS-{name.removesuffix('-AS')}",
            network_type="Enterprise" if number == ASN else "NSP",
            policy="Selective" if number == ASN else "Open",
            peeringdb_id=number - 54000 if number in (ASN, HOSTING_ASN, CDN_ASN) else None,
            prefixes=tuple(block.network for block in blocks if block.asn == number),
            upstreams=tuple(UPSTREAMS) if number == ASN else (),
            peers=tuple(PEERS) if number == ASN else (),
            exchanges=_exchanges() if number == ASN else (),
            facilities=_facilities() if number == ASN else (),
        )
        for number, (name, description) in names.items()
    )


def _exchanges() -> tuple[Exchange, ...]:
    return (
        Exchange(
            id=4401,
            name="Mersey-IX",
            city="Liverpool",
            country="GB",
            ipv4="198.19.250.17",
            ipv6="2001:db8:ffff::17",
            speed=10000,
        ),
        Exchange(
            id=4402,
            name="Pennine Exchange",
            city="Manchester",
            country="GB",
            ipv4="198.19.251.45",
            ipv6="2001:db8:fffe::45",
            speed=10000,
        ),
    )


def _facilities() -> tuple[Facility, ...]:
    return (
        Facility(id=9101, name="Dockside Data Centre", city="Liverpool", country="GB"),
        Facility(id=9102, name="Ancoats House", city="Manchester", country="GB"),
    )


def registrations(nameservers: tuple[str, ...]) -> tuple[Registration, ...]:
    """The target's domains and those of its suppliers."""
    primary = HALYARD.domains[0]
    people = (
        contact("HF1001-QS", HALYARD.people[1].name, HALYARD.legal_name.title(), f"hostmaster@{primary}"),
        contact("HF1002-QS", HALYARD.people[2].name, HALYARD.legal_name.title(), f"dns-admin@{primary}"),
    )
    names = [(domain, people, nameservers) for domain in HALYARD.domains]
    names += [
        (CDN, (OWNERS[CDN_ASN][0],) * 2, (f"ns1.{HOSTING}", f"ns2.{HOSTING}")),
        (HOSTING, (OWNERS[HOSTING_ASN][0],) * 2, (f"ns1.{HOSTING}", f"ns2.{HOSTING}")),
    ]
    name, iana_id, url, server = REGISTRAR
    return tuple(
        Registration(
            domain=domain,
            handle=f"D{int(sha256(domain.encode()).hexdigest()[:8], 16)}-EXAMPLE",
            registrar=name,
            registrar_iana_id=iana_id,
            registrar_url=url,
            registrar_whois=server,
            abuse_email=f"abuse@{REGISTRAR_DOMAIN}",
            abuse_phone="+441614960199",
            created=datetime(1999, 2, 17 + number, 11, 4, tzinfo=UTC),
            changed=datetime(2026, 1, 30, 8, 12, tzinfo=UTC),
            expires=datetime(NOW.year + 1, 2, 17 + number, 11, 4, tzinfo=UTC),
            status=("clientTransferProhibited", "clientUpdateProhibited"),
            nameservers=servers,
            signed=False,
            registrant=contacts[0],
            administrative=contacts[0],
            technical=contacts[1],
        )
        for number, (domain, contacts, servers) in enumerate(names)
    )
