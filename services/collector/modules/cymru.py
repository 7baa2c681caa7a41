"""Team Cymru maps addresses to the networks and autonomous systems that announce them, over DNS. It is asked for an
address, a network or a system by way of the resolver, which it sees instead of us; it learns what was asked.
"""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address, ip_network

from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.names import unquoted
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="cymru",
    version=1,
    title="Team Cymru IP to ASN",
    activity="passive",
    source="https://www.team-cymru.com/ip-asn-mapping",
    format="https://www.team-cymru.com/ip-asn-mapping#dns",
    consumes=("ip_address", "netblock", "asn"),
    produces=("netblock", "asn", "part_of", "announced_by"),
    rate=100.0,
    burst=200,
    concurrency=16,
    freshness=86_400,
    timeout=60.0,
    licence="free for use, not for resale",
)

MAX_ORIGINS = 20


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    answer = await ctx.dns.ask(question(seen), "TXT")
    for resolution in answer.resolutions:
        if not resolution.asked:
            raise Unreachable(f"{resolution.name}: {resolution.status}")
    yield answer


def question(seen: Entity) -> str:
    """The name that stands for an address (its reverse in another zone), a network (its first address) or a system."""
    if seen.type == "asn":
        return f"{seen.value.lower()}.asn.cymru.com"
    address = ip_network(seen.key[0])[0] if seen.type == "netblock" else ip_address(seen.key[0])
    labels = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return f"{labels}.origin{'6' if address.version == 6 else ''}.asn.cymru.com"


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    for resolution in answer.resolutions:
        for data in resolution.values[:MAX_ORIGINS]:
            text = b"".join(unquoted(data)).decode("utf-8", "replace")
            fields = [field.strip() for field in text.split("|")]
            if seen.type == "asn":
                yield from system(fields, seen)
            else:
                yield from origin(fields, seen)


def origin(fields: list[str], seen: Entity) -> Iterator[Claim]:
    """``64500 64501 | 192.0.2.0/24 | GB | ripencc | 2014-03-01``: who announces the network that holds the subject."""
    if len(fields) < 5:
        return
    block = sound(entities.netblock, fields[1])
    if block is None:
        return
    network, asked = ip_network(block.key[0]), ip_network(seen.key[0])
    if not network.overlaps(asked):
        return
    yield block
    if seen.type == "netblock":  # many addresses lie in one network, and its facts are claimed when it is asked about
        yield from described(block, **register(fields[2:5]), announced=True)
    if network != asked:
        inner, outer = (seen, block) if network.prefixlen < asked.prefixlen else (block, seen)
        yield relations.part_of(inner, outer)
    for number in fields[0].split()[:MAX_ORIGINS]:
        system = sound(entities.asn, number)
        if system is not None:
            yield system
            yield relations.announced_by(block, system)


def system(fields: list[str], seen: Entity) -> Iterator[Claim]:
    """``64500 | GB | ripencc | 2014-03-01 | HALYARD-AS Halyard Freight, GB``: what the register says of a system."""
    if len(fields) >= 5 and fields[0] == seen.key[0]:
        yield from described(seen, **register(fields[1:4]), description=fields[4], network_name=fields[4].split(" ")[0])


def register(fields: list[str]) -> dict[str, str | int | None]:
    country, registry, date = fields
    return {"country": country.upper(), "registry": registry.lower(), "allocated_at": instant(date)}
