"""RIPEstat (RIPE NCC) tells what the routing system and the registries of all regions say. It is asked for an address,
a network or an autonomous system: who announces it, what it announces, who takes complaints, where it is; it learns
what was asked.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_network

import msgspec

from services.collector.archetypes.documents import fitting, refuse_pages
from services.collector.archetypes.names import during, weighed
from services.collector.archetypes.neighbours import DAY, neighbourhood
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, ParseError, Unreachable
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="ripestat",
    version=2,
    title="RIPEstat",
    activity="passive",
    source="https://stat.ripe.net/",
    format="https://stat.ripe.net/docs/data-api/api-endpoints/",
    consumes=("ip_address", "netblock", "asn"),
    produces=(
        "ip_address",
        "netblock",
        "asn",
        "email_address",
        "location",
        "part_of",
        "announced_by",
        "has_contact",
        "located_at",
    ),
    hosts=("stat.ripe.net",),
    rate=4.0,
    burst=40,
    concurrency=4,
    cost=2.0,
    freshness=86_400,
    timeout=300.0,
    licence="RIPEstat service terms and conditions",
)

CALLS = {
    "ip_address": ("prefix-overview",),
    "netblock": ("prefix-overview", "abuse-contact-finder", "maxmind-geo-lite"),
    "asn": ("as-overview", "announced-prefixes", "abuse-contact-finder"),
}
MAX_PREFIXES = 5_000
MAX_CONTACTS = 20
MAX_PLACES = 20
REGISTRIES = {"ripe": "ripencc"}
BY_NETWORK = 50  # a network is one place to the data, and its addresses may be anywhere


class Document(msgspec.Struct):
    data_call_name: str
    data: msgspec.Raw
    status: str = "ok"
    messages: list[list[str]] = []


class Holder(msgspec.Struct):
    asn: int
    holder: str | None = None


class Overview(msgspec.Struct):
    resource: str
    announced: bool
    asns: list[Holder] = []
    holder: str | None = None


class Timeline(msgspec.Struct):
    starttime: str | None = None
    endtime: str | None = None


class Prefix(msgspec.Struct):
    prefix: str
    timelines: list[Timeline] = []


class Announced(msgspec.Struct):
    prefixes: list[msgspec.Raw]


class Contacts(msgspec.Struct):
    abuse_contacts: list[str]
    authoritative_rir: str | None = None


class Place(msgspec.Struct):
    country: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Located(msgspec.Struct):
    locations: list[msgspec.Raw] = []


class Geography(msgspec.Struct):
    located_resources: list[Located]


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    """Ask every call of the subject; of an address first by its neighbourhood, which many have in common."""
    if seen.type == "ip_address":
        answer = await ask(ctx, "prefix-overview", neighbourhood(seen), share=DAY)
        if any(parse(answer, seen)):
            yield answer
            return
    for call in CALLS[seen.type]:
        yield await ask(ctx, call, seen)


async def ask(ctx: Context, call: str, about: Entity, *, share: int = 0) -> HttpAnswer:
    url = f"https://stat.ripe.net/data/{call}/data.json"
    question = {"resource": about.value, "sourceapp": "mirage"}
    answer = await ctx.http.get(url, question, statuses=(200,), timeout=60.0, share=share)
    refuse_pages(answer)
    document = answer.json(Document)
    if document.status != "ok":
        raise Unreachable(f"{answer.url}: {document.status} {document.messages[:1]}")
    return answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    document = answer.json(Document)
    reader = READERS.get((document.data_call_name, seen.type))
    if reader is None:
        raise ParseError(f"{answer.url}: {document.data_call_name} was not asked for")
    try:
        yield from reader(document.data, seen)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"{answer.url}: {error}") from error


def announcement(data: msgspec.Raw, seen: Entity) -> Iterator[Claim]:
    """Who announces the network that holds an address or network."""
    overview = msgspec.json.decode(data, type=Overview)
    block = sound(entities.netblock, overview.resource)
    if not overview.announced or block is None:
        return
    network, asked = ip_network(block.key[0]), ip_network(seen.key[0])
    if not network.overlaps(asked):
        return
    yield block
    if seen.type == "netblock":  # many addresses lie in one network, and its facts are claimed when it is asked about
        yield from described(block, announced=True)
    if network != asked:
        inner, outer = (seen, block) if network.prefixlen < asked.prefixlen else (block, seen)
        yield relations.part_of(inner, outer)
    for holder in overview.asns:
        system = sound(entities.asn, holder.asn)
        if system is not None:
            yield system
            if seen.type == "netblock":
                yield from names(system, holder.holder)
            yield relations.announced_by(block, system)


def existence(data: msgspec.Raw, seen: Entity) -> Iterator[Claim]:
    """What a system is called, and whether it announces anything."""
    overview = msgspec.json.decode(data, type=Overview)
    yield from described(seen, announced=overview.announced)
    yield from names(seen, overview.holder)


def names(system: Entity, holder: str | None) -> Iterator[Claim]:
    """``RIPE-NCC-AS - Reseaux IP Europeens Network Coordination Centre``: the short name and all of it."""
    yield from described(system, network_name=(holder or "").partition(" - ")[0], description=holder)


def prefixes(data: msgspec.Raw, seen: Entity) -> Iterator[Claim]:
    """What a system announced in the last two weeks."""
    announced = msgspec.json.decode(data, type=Announced)
    for prefix in fitting(announced.prefixes[:MAX_PREFIXES], Prefix):
        block = sound(entities.netblock, prefix.prefix)
        if block is not None:
            begins = [instant(line.starttime) for line in prefix.timelines]
            ends = [instant(line.endtime) for line in prefix.timelines]
            period = (min(filter(None, begins), default=None), max(filter(None, ends), default=None))
            yield during(block, period)
            yield during(relations.announced_by(block, seen), period)


def contacts(data: msgspec.Raw, seen: Entity) -> Iterator[Claim]:
    """Who takes complaints about a network or system, and which registry says so."""
    found = msgspec.json.decode(data, type=Contacts)
    registry = (found.authoritative_rir or "").lower()
    yield from described(seen, registry=REGISTRIES.get(registry, registry))
    for text in found.abuse_contacts[:MAX_CONTACTS]:
        address = sound(entities.email_address, text)
        if address is not None:
            yield address
            yield relations.has_contact(seen, address, role="abuse")


def places(data: msgspec.Raw, seen: Entity) -> Iterator[Claim]:
    """Where a network is by GeoLite2: the country, and the city where it is known."""
    geography = msgspec.json.decode(data, type=Geography)
    raw = [place for located in geography.located_resources for place in located.locations]
    for place in fitting(raw[:MAX_PLACES], Place):
        for location in (
            sound(entities.location, "country", place.country or ""),
            sound(entities.location, "city", place.city or "", place.country or "")
            if place.city and place.country
            else None,
        ):
            if location is not None:
                yield location
                if location.key[0] == "city":
                    yield from described(location, latitude=place.latitude, longitude=place.longitude)
                yield weighed(relations.located_at(seen, location, basis="measured"), BY_NETWORK)


READERS: dict[tuple[str, str], Callable[[msgspec.Raw, Entity], Iterator[Claim]]] = {
    ("prefix-overview", "ip_address"): announcement,
    ("prefix-overview", "netblock"): announcement,
    ("as-overview", "asn"): existence,
    ("announced-prefixes", "asn"): prefixes,
    ("abuse-contact-finder", "netblock"): contacts,
    ("abuse-contact-finder", "asn"): contacts,
    ("maxmind-geo-lite", "netblock"): places,
}
