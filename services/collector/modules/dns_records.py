"""What the DNS says of a name, asked of the recursive resolvers: addresses and aliases of every name; name servers,
mail servers, texts and who may issue certificates for domains and wherever else a zone begins. Only the resolvers and
the name servers behind them see the questions.
"""

import re
from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import any_name, name_below
from services.collector.archetypes.resolved import addresses, aliases, unjudged
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Answer as Resolution
from services.collector.resolve.names import unquoted
from services.contracts import entities, relations
from services.contracts.claims import Absence, Claim, Entity

MANIFEST = Manifest(
    id="dns_records",
    version=3,
    title="DNS records",
    activity="dns",
    source="https://www.rfc-editor.org/rfc/rfc1034",
    format="https://www.rfc-editor.org/rfc/rfc1035",
    consumes=("domain", "hostname"),
    produces=(
        "domain",
        "hostname",
        "ip_address",
        "email_address",
        "dns_record",
        "resolves_to",
        "alias_of",
        "uses_nameserver",
        "uses_mailserver",
        "has_record",
        "mentions",
        "has_contact",
    ),
    rate=0.0,
    concurrency=64,
    freshness=3_600,
    timeout=60.0,
    licence="none",
)

ADDRESSES = ("A", "AAAA")
OF_ZONES = ("MX", "TXT", "SOA", "CAA")
MAX_RECORDS = 200
MAX_MENTIONED = 50
_issuer = re.compile(r'[0-9]{1,3} issue(?:wild)? "?([^";]{0,253})').match
_name_in_text = re.compile(r"(?<![a-z0-9._-])[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?", re.IGNORECASE)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    types = (*ADDRESSES, "NS", *OF_ZONES) if seen.type == "domain" else (*ADDRESSES, "NS")
    answer = await ctx.dns.ask(seen.value, *types)
    yield answer
    if seen.type != "domain" and any(resolution.type == "NS" and own(resolution) for resolution in answer.resolutions):
        yield await ctx.dns.ask(seen.value, *OF_ZONES)
    outcomes = {resolution.status for resolution in answer.resolutions if resolution.type in ADDRESSES}
    unanswered = outcomes - {"found", "nodata", "nxdomain"}
    if unanswered and "found" not in outcomes:
        # What was not answered is unknown; that the other question was answered negatively does not make it absent.
        raise Unreachable(f"{seen.value}: {', '.join(sorted(unanswered))}")
    if seen.value in answer.unjudged:
        raise unjudged(answer)


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    if seen.value in answer.members:
        yield from described(seen, covered_by_wildcard=True)
    elif seen.value not in answer.unjudged:
        yield from reached(answer, seen)
    for resolution in answer.resolutions:
        match resolution.type:
            case "NS":
                yield from name_servers(resolution, seen)
            case "MX":
                yield from mail_servers(resolution, seen)
            case "TXT":
                yield from texts(resolution, seen)
            case "SOA":
                yield from authority(resolution, seen)
            case "CAA":
                yield from issuers(resolution, seen)


def reached(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    """Aliases and addresses; that there are none, when both families were answered so."""
    asked = [resolution for resolution in answer.resolutions if resolution.type in ADDRESSES]
    links = {(link.source, link.target): link for resolution in asked for link in aliases(resolution)}
    yield from links.values()
    for resolution in asked:
        if resolution.status == "found":
            yield from addresses(seen, resolution)
    if len(asked) == len(ADDRESSES) and all(resolution.status in {"nodata", "nxdomain"} for resolution in asked):
        yield Absence(seen, "resolves_to")
        if all(resolution.status == "nxdomain" and not resolution.records for resolution in asked):
            yield from described(seen, response_code="NXDOMAIN")


def name_servers(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    records = own(resolution)
    for ttl, data in records:
        server = any_name(data)
        if server is not None:
            yield relations.uses_nameserver(seen, server, ttl=ttl)
    if records and seen.type == "hostname":
        yield from described(seen, zone_cut=True)


def mail_servers(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    for ttl, data in own(resolution):
        preference, _, host = data.partition(" ")
        server = any_name(host)
        if server is not None and preference.isdecimal():
            yield relations.uses_mailserver(seen, server, preference=int(preference[:5]), ttl=ttl)


def texts(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    """Each text as a record, with the names of its own domain in it; SPF is read by `mail_setup`."""
    for ttl, data in own(resolution):
        text = b"".join(unquoted(data)).decode("utf-8", "replace")
        record = sound(entities.dns_record, resolution.name, "TXT", text)
        if record is None:
            continue
        yield relations.has_record(seen, record, ttl=ttl)
        if text.lower().startswith("v=spf1"):
            continue
        names = (name_below(found[0], seen) for found in _name_in_text.finditer(text))
        for name in list(dict.fromkeys(name for name in names if name is not None and name.key != seen.key))[
            :MAX_MENTIONED
        ]:
            yield relations.mentions(record, name)


def authority(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    """Primary server, mailbox and serial number of the zone (RFC 1035, section 3.3.13)."""
    for _, data in own(resolution)[:1]:
        fields = data.split(" ")
        if len(fields) < 3:
            return
        serial = int(fields[2][:10]) if fields[2].isdecimal() and fields[2].isascii() else None
        yield from described(seen, soa_primary=fields[0], soa_mailbox=mailbox(fields[1]), soa_serial=serial)
        primary = name_below(fields[0], entities.registered_domain(seen.value))
        if primary is not None:
            yield primary
        yield from contact(mailbox(fields[1]), seen, "hostmaster")


def issuers(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    """Who may issue certificates, and who wants to hear of attempts (RFC 8659); that nobody said who."""
    if resolution.status in {"nodata", "nxdomain"} and not resolution.records:
        yield Absence(seen, "certificate_issuer")
    for ttl, data in own(resolution):
        record = sound(entities.dns_record, resolution.name, "CAA", data)
        if record is not None:
            yield relations.has_record(seen, record, ttl=ttl)
        if allowed := _issuer(data):
            yield from described(seen, certificate_issuer=allowed[1].strip().lower() or "nobody")
        _, _, reported = data.partition(" iodef ")
        if reported:
            yield from contact(reported.strip(' "'), seen, "certificates")


def contact(text: str, seen: Entity, role: str) -> Iterator[Claim]:
    """A mailbox in the subject's own domain; one elsewhere is a provider's."""
    address = sound(entities.email_address, text)
    home = entities.registered_domain(seen.value)
    if address is not None and name_below(address.key[0].rpartition("@")[2], home) is not None:
        yield relations.has_contact(seen, address, role=role)


def mailbox(rname: str) -> str:
    """The mailbox that a domain name stands for: its first label is the local part, in which dots are escaped."""
    found = re.match(r"((?:[^.\\]|\\.)+)\.(.+)", rname[:512])
    return f"{found[1].replace(chr(92), '')}@{found[2]}" if found else ""


def own(resolution: Resolution) -> list[tuple[int, str]]:
    """TTL and data of the records of the asked type that the asked name has itself, not by an alias."""
    return [
        (record.ttl, record.data)
        for record in resolution.records[:MAX_RECORDS]
        if record.type == resolution.type and record.owner == resolution.name
    ]
