"""Zone transfers (AXFR) from the target's own name servers. Each server of a zone is asked for all of it; one that
gives it away names every host and record of the zone at once. The name servers learn that they were asked.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from services.collector.archetypes.names import any_name, name_below
from services.collector.archetypes.nameservers import addresses, has_its_turn, name_servers, zone_of
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.pages.names import names_below
from services.collector.resolve.answer import Record
from services.collector.resolve.names import unquoted
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Relation

MANIFEST = Manifest(
    id="zone_transfer",
    version=1,
    title="Zone transfer",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc5936",
    format="https://www.rfc-editor.org/rfc/rfc1035",
    consumes=("domain", "uses_nameserver"),
    produces=(
        "dns_record",
        "domain",
        "hostname",
        "ip_address",
        "alias_of",
        "has_record",
        "mentions",
        "resolves_to",
        "uses_mailserver",
        "uses_nameserver",
    ),
    options={"servers": 8},
    rate=0.0,
    concurrency=8,
    cost=4.0,
    timeout=300.0,
    licence="the target's own",
)

MAX_CLAIMS = 80_000
# What DNSSEC adds to a zone says nothing of it, and there is one of each for every name.
SIGNING = frozenset({"RRSIG", "NSEC", "NSEC3", "DNSKEY", "NSEC3PARAM", "CDS", "CDNSKEY", "DS"})


async def collect(seen: Entity | Relation, ctx: Context) -> AsyncIterator[Answer]:
    if has_its_turn(seen):
        return
    zone = zone_of(seen)
    names = [seen.target.value] if isinstance(seen, Relation) else await name_servers(zone, ctx)
    trouble: Unreachable | None = None
    given = False
    for server in await addresses(names[: int(ctx.options["servers"])], ctx):
        try:
            # The second server has the same zone; that it gives it away shows in the first message.
            answer = await ctx.dns.transfer(server, zone.value, max_records=1 if given else 100_000)
        except Unreachable as error:
            trouble = error
            continue
        if any(resolution.records for resolution in answer.resolutions):
            given = True
            yield answer
    if trouble and not given:
        raise trouble


def parse(answer: DnsAnswer, seen: Entity | Relation) -> Iterator[Claim]:
    zone = zone_of(seen)
    for resolution in answer.resolutions:
        if resolution.records:
            yield from described(zone, open_zone_transfer=address_of(resolution.server))
            break
    yield from islice(zone_claims(answer, zone), MAX_CLAIMS)


def zone_claims(answer: DnsAnswer, zone: Entity) -> Iterator[Claim]:
    for resolution in answer.resolutions:
        for record in resolution.records:
            if record.type not in SIGNING and record.owner.endswith(zone.value):
                yield from record_claims(record, zone)


def record_claims(record: Record, zone: Entity) -> Iterator[Claim]:
    """What one record says: of a host where it is at a host name, else as a record of the zone."""
    owner = name_below(record.owner, zone)
    if record.owner.startswith("*.") and owner is not None:
        yield from described(owner, wildcard=True)
        return
    if owner is not None and owner != zone:
        yield owner
    if owner is not None and record.type in {"A", "AAAA"}:
        address = sound(entities.ip_address, record.data)
        if address is not None:
            yield relations.resolves_to(owner, address, record=record.type, ttl=record.ttl)
        return
    target = any_name(record.data.rpartition(" ")[2])
    if owner is None or target is None or record.type not in {"CNAME", "DNAME", "NS", "MX"}:
        yield from kept(record, owner or zone, zone)
    elif record.type in {"CNAME", "DNAME"}:
        yield relations.alias_of(owner, target, record=record.type, ttl=record.ttl)
    elif record.type == "NS":
        yield relations.uses_nameserver(owner, target, ttl=record.ttl)
        if owner != zone:
            yield from described(owner, zone_cut=True)
    else:
        preference = record.data.partition(" ")[0]
        number = int(preference) if preference.isdecimal() and len(preference) < 6 else None
        yield relations.uses_mailserver(owner, target, preference=number, ttl=record.ttl)


def kept(record: Record, about: Entity, zone: Entity) -> Iterator[Claim]:
    """A record as it was published, and the names of the zone that its data speaks of."""
    quoted = record.type in {"TXT", "SPF"}
    data = b"".join(unquoted(record.data)).decode("utf-8", "replace") if quoted else record.data
    published = sound(entities.dns_record, record.owner, record.type, data)
    if published is None:
        return
    yield relations.has_record(about, published, ttl=record.ttl)
    if record.type == "SOA":
        # Its second name is a mailbox in disguise.
        return
    for text in names_below(data.encode("utf-8", "replace"), zone.value):
        name = any_name(text)
        if name is not None and name != zone:
            yield name
            yield relations.mentions(published, name)


def address_of(server: str) -> str:
    """The address in ``192.0.2.53:53`` or ``[2001:db8::53]:53``."""
    return server.rpartition(":")[0].strip("[]") if server.count(":") == 1 or server[:1] == "[" else server
