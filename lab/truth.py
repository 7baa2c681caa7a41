"""The truth beside a world: every name with how it is found, every entity that may rightly be reported."""

import base64
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from lab.providers import Provider
from lab.web.certificates import AUTHORITY, AUTHORITY_NAME, Authority
from lab.web.pages import render
from lab.world import Account, Contact, Host, Record, Technology, World

Statement = tuple[str, ...]
"""An entity: its type, then the parts of its key, not yet in normal form."""


#: Names of products beside those in the CPE dictionary.
ALSO_CALLED = {"internet_information_services": ("iis",), "java": ("java servlet",), "wordpress": ("theme tideline",)}

_host_in_url = re.compile(r"https?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)").findall
_texts = re.compile(r'"((?:[^"\\]|\\.)*)"').findall
_name_in_spf = re.compile(r"(?:include|a|mx|exists):([A-Za-z0-9._-]+)").findall


def write_truth(world: World, authority: Authority, providers: Iterable[Provider] = ()) -> dict[str, Any]:
    """Everything that is true in `world`, for `truth.json`."""
    entities: dict[str, list[tuple[str, ...]]] = {}
    for kind, *parts in dict.fromkeys(all_entities(world, authority, providers)):
        entities.setdefault(kind, []).append(tuple(parts))
    return {
        "domain": world.domain,
        "seed": world.seed,
        "size": len(world.hosts),
        "names": [_name(host) for host in world.hosts],
        "stale": [{"name": name.name, "answer": name.answer} for name in world.stale],
        "dangling": [{"name": name.name, "target": name.target} for name in world.dangling],
        "wildcards": [
            {
                "owner": wildcard.owner,
                "addresses": wildcard.addresses,
                "cname": wildcard.cname,
                "rotates": wildcard.rotates,
                "members": wildcard.members,
            }
            for wildcard in world.wildcards
        ],
        "strangers": [{"name": stranger.name, "address": stranger.address} for stranger in world.strangers],
        "lookalikes": world.lookalikes,
        "target_addresses": [address.ip for address in world.addresses if address.owner == "target"],
        "name_servers": [server.address for server in world.nameservers],
        "findings": list(all_findings(world, authority)),
        "entities": entities,
    }


def _name(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "kind": host.kind,
        "ways": [{"kind": way.kind, "by": way.by, "detail": way.detail} for way in host.ways],
        "resolves": bool(host.addresses),
        "addresses": host.addresses,
        "below_wildcard": host.below_wildcard,
        "web": host.site is not None,
    }


def issuers(world: World) -> tuple[str, ...]:
    """The authorities of a world beside the lab's own."""
    return tuple(dict.fromkeys(one.issuer for one in world.certificates if one.issuer != AUTHORITY))


def all_findings(world: World, authority: Authority) -> Iterator[dict[str, Any]]:
    """What a deep scan has to find wrong: rule, entity (type and key; neither for all of the scan) and why."""
    certificates = {certificate.id: certificate for certificate in world.certificates}
    for planted in world.planted:
        key = planted.key
        if planted.type == "certificate":
            key = (authority.fingerprint(certificates[key[0]]),)
        elif planted.type == "crypto_key":
            key = (*key, next(iter(authority.public_keys())))
        yield {**structs.asdict(planted), "key": key}


def all_entities(world: World, authority: Authority, providers: Iterable[Provider]) -> Iterator[Statement]:
    """Every entity, most of them several times."""
    yield from _names(world)
    yield from _addresses(world)
    yield from _routing(world)
    yield from _web(world, authority)
    yield from _registries(world)
    yield from _people(world)
    for provider in providers:
        if provider.states:
            yield from provider.states(world)


def _named(name: str) -> Statement:
    """A domain or a host name; below `.example`, a registrable name has one label more."""
    return ("domain" if name.count(".") == 1 else "hostname", name)


def _names(world: World) -> Iterator[Statement]:
    yield from (_named(host.name) for host in world.hosts)
    yield from (_named(name.name) for name in world.stale)
    yield from (("ip_address", name.last_address) for name in world.stale if name.last_address)
    yield from (_named(name.name) for name in world.dangling)
    for wildcard in world.wildcards:
        yield from (_named(member) for member in wildcard.members)
        yield _named(wildcard.owner[2:])
    yield from (("domain", domain) for domain in world.organisation.domains)
    yield from (_named(server.name) for server in world.nameservers)
    yield from (("domain", ".".join(affiliate.domain.split(".")[-2:])) for affiliate in world.affiliates)
    for zone in world.zones:
        if zone.owner != "stranger":
            for record in zone.records:
                yield from _record(record, own=zone.owner == "target")


def _record(record: Record, *, own: bool) -> Iterator[Statement]:
    text = "".join(_texts(record.value)) if record.type == "TXT" else record.value
    yield ("dns_record", record.owner, record.type, text)
    if text.startswith("v=spf1"):
        yield from (_named(name) for name in _name_in_spf(text) if not name.startswith("_"))
    if record.owner.startswith("_"):
        return
    if own or record.type in ("A", "CNAME"):
        yield _named(record.owner)
    if record.type in ("A", "AAAA"):
        yield ("ip_address", record.value)
    if record.type in ("CNAME", "NS", "MX", "SRV"):
        yield _named(record.value.split()[-1].rstrip("."))


def _addresses(world: World) -> Iterator[Statement]:
    for address in world.addresses:
        yield ("ip_address", address.ip)
        yield ("location", "country", address.country)
        yield ("location", "city", address.city, address.country)
        yield from (("technology", cpe) for cpe in address.cpes)
        yield from (("vulnerability", vulnerability) for vulnerability in address.vulnerabilities)
        if address.ptr:
            yield _named(address.ptr)
        for port in address.ports:
            yield ("service", address.ip, "tcp", str(port.number))
            if port.protocol in ("http", "https"):
                yield ("url", f"{port.protocol}://{address.ip}/")
            if port.product:
                yield ("technology", port.product, port.version)
                yield ("technology", port.product)


def _routing(world: World) -> Iterator[Statement]:
    yield from (("netblock", network) for network in world.organisation.netblocks)
    for block in world.netblocks:
        yield ("netblock", block.network)
        yield ("registration", block.registry, block.handle)
    for system in world.systems:
        yield ("asn", str(system.number))
        yield ("registration", system.registry, system.handle)
        yield ("organization", "name", system.description, system.country)
        yield ("organization", "name", system.name, system.country)
        if system.peeringdb_id:
            yield ("organization", "peeringdb", str(system.peeringdb_id))
        for exchange in system.exchanges:
            yield ("ip_address", exchange.ipv4)
            yield ("ip_address", exchange.ipv6)
        yield from (("location", "city", facility.city, facility.country) for facility in system.facilities)


def _web(world: World, authority: Authority) -> Iterator[Statement]:
    for certificate in world.certificates:
        yield ("certificate", authority.fingerprint(certificate))
        yield from (_named(name.removeprefix("*.")) for name in certificate.names)
    for entry in world.logged:
        yield ("certificate", entry.sha256)
        yield ("organization", "name", entry.issuer.split("O=")[-1].split(",")[0])
    yield from (("crypto_key", "spki", digest) for digest in authority.public_keys(world.certificates))
    yield from (("organization", "name", name) for name in (AUTHORITY_NAME, *issuers(world)))
    # One that is signed with its own key names its holder as its issuer.
    yield ("organization", "name", world.organisation.legal_name.title())
    for host in world.hosts:
        yield from _front_pages(host.name)
        if host.site is not None:
            yield from _site(host)
    for wildcard in world.wildcards:
        for member in wildcard.members:
            yield from _front_pages(member)


def _front_pages(name: str) -> Iterator[Statement]:
    """What answers for a name, if only to say that there is nothing."""
    yield ("url", f"https://{name}/")
    yield ("url", f"http://{name}/")


def _site(host: Host) -> Iterator[Statement]:
    site = host.site
    assert site is not None
    base = f"https://{host.name}"
    paths = [page.path for page in site.pages]
    paths += ["/favicon.ico", "/robots.txt", "/sitemap.xml", "/assets/app.js", "/.well-known/security.txt"]
    paths += ["/.well-known/mta-sts.txt", "/brand/logo.svg", *(line.split()[-1] for line in site.robots)]
    for path in paths:
        if path.startswith("/"):
            yield ("url", base + path)
            yield ("url", f"http://{host.name}{path}")
    for url in (*site.script, *site.sitemap, *([site.redirect] if site.redirect else [])):
        yield ("url", url)
    for page in site.pages:
        yield from (_named(name) for name in _host_in_url(render(site, page)))
        for link in page.links:
            yield ("url", base + link if link.startswith("/") else link)
        yield from (("email_address", email) for email in page.emails)
        yield from (("phone_number", phone) for phone in page.phones)
        yield from (("url", account) for account in page.accounts)
    for product in site.technologies:
        for name in _product_names(product):
            yield ("technology", name, product.version)
            yield ("technology", name)
    for kind, identity in site.trackers:
        yield ("web_tracker", kind, identity)
    if site.favicon:
        yield ("fingerprint", "favicon_mmh3", str(favicon_hash(site.favicon)))


def _product_names(product: Technology) -> Iterator[str]:
    yield product.product
    for name in (product.product, product.product.replace("_", " "), *ALSO_CALLED.get(product.product, ())):
        yield f"{product.vendor} {name}"
        yield name


def _account(account: Account) -> Statement:
    """An account; a handle of Mastodon is one of a server."""
    server = f"@{_host_in_url(account.url)[0]}" if account.platform == "mastodon" else ""
    return ("account", account.platform, account.handle + server)


def _contact(contact: Contact) -> Iterator[Statement]:
    yield ("email_address", contact.email)
    yield ("phone_number", contact.phone)
    for name in (contact.name, contact.organisation):
        yield ("organization", "name", name, contact.country)
        yield ("organization", "name", name)
    yield ("person", "rdap", contact.handle)
    yield ("location", "city", contact.city, contact.country)
    yield ("location", "country", contact.country)


def _registries(world: World) -> Iterator[Statement]:
    for registration in world.registrations:
        yield ("domain", registration.domain)
        yield ("registration", "example", registration.handle)
        yield ("organization", "name", registration.registrar)
        yield ("organization", "iana_registrar", str(registration.registrar_iana_id))
        yield ("email_address", registration.abuse_email)
        yield ("phone_number", registration.abuse_phone)
        for contact in (registration.registrant, registration.administrative, registration.technical):
            yield from _contact(contact)
    contacts = [contact for block in world.netblocks for contact in (block.holder, block.abuse)]
    contacts += [contact for system in world.systems for contact in (system.holder, system.abuse)]
    for contact in contacts:
        yield from _contact(contact)
    for entity in world.legal_entities:
        yield ("organization", "lei", entity.lei)
        yield ("identifier", "lei", entity.lei)
        for name in (entity.legal_name, *entity.other_names):
            yield ("organization", "name", name, entity.country)
        yield ("identifier", entity.register, entity.register_number)
        yield ("location", "city", entity.city, entity.country)


def _people(world: World) -> Iterator[Statement]:
    organisation = world.organisation
    yield ("organization", "name", organisation.name, organisation.country)
    yield ("organization", "name", organisation.legal_name, organisation.country)
    yield ("organization", "github", organisation.github)
    yield ("cloud_tenant", "microsoft", str(organisation.tenant.id))
    for domain in organisation.tenant.domains:
        if domain.endswith(".onmicrosoft.com"):  # what its DKIM keys call it
            yield ("cloud_tenant", "microsoft", domain)
    yield ("location", "city", organisation.city, organisation.country)
    for local in ("dmarc", "forensics", "hostmaster", "abuse", "noc", "dns-admin"):
        yield ("email_address", f"{local}@{world.domain}")
    yield from (("email_address", email) for email in organisation.emails)
    yield from (("phone_number", phone) for phone in organisation.phones)
    yield from (("crypto_address", chain, address) for chain, address in organisation.crypto_addresses)
    yield from map(_account, organisation.accounts)
    yield from (("domain", domain) for domain in organisation.tenant.domains if domain.count(".") == 1)
    for repository in organisation.repositories:
        yield ("code_repository", "github", f"{repository.owner}/{repository.name}")
    for person in organisation.people:
        yield ("email_address", person.email)
        yield ("username", person.email.split("@")[0])
        if person.phone:
            yield ("phone_number", person.phone)
        for platform, handle in (("github", person.github), ("gravatar", person.gravatar)):
            if handle:
                yield ("account", platform, handle)
                yield ("username", handle)
                yield ("person", platform, handle)
        yield from map(_account, person.accounts)
        yield from (("username", account.handle) for account in person.accounts)
        if person.pgp:
            yield ("crypto_key", "pgp", person.pgp)
            yield ("person", "openpgp", person.pgp)


def favicon_hash(icon: bytes) -> int:
    """The hash by which icons are looked up: MurmurHash3 of their base64 in lines of 76 characters."""
    return murmur3(base64.encodebytes(icon))


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0, signed (https://github.com/aappleby/smhasher, public domain)."""
    digest, whole = 0, len(data) // 4 * 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        digest = (_rotated(digest ^ _mixed(block), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    digest ^= _mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        digest = (digest ^ digest >> shift) * factor & 0xFFFFFFFF
    return digest - (1 << 32) if digest >> 31 else digest


def _rotated(number: int, count: int) -> int:
    return (number << count | number >> 32 - count) & 0xFFFFFFFF


def _mixed(block: int) -> int:
    return _rotated(block * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF
