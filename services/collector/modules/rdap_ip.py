"""RDAP is how the regional registries publish who holds addresses. The directory of IANA says which registry knows an
address or a network, and that registry is asked: network, holder, contacts, dates. It learns what was asked: of an
address that is no target, only its neighbourhood.
"""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

from services.collector.archetypes.documents import fitting
from services.collector.archetypes.neighbours import DAY, neighbourhood
from services.collector.archetypes.rdap.bootstrap import ask_registry
from services.collector.archetypes.rdap.numbers import blocks_of, meets, numbers, register_of
from services.collector.archetypes.rdap.objects import Object, read_object
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, HttpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="rdap_ip",
    version=2,
    title="RDAP of addresses",
    activity="passive",
    source="https://about.rdap.org/",
    format="https://www.rfc-editor.org/rfc/rfc9083.html#section-5.4",
    consumes=("ip_address", "netblock"),
    produces=(
        "netblock",
        "asn",
        "registration",
        "organization",
        "person",
        "email_address",
        "phone_number",
        "location",
        "part_of",
        "announced_by",
        "registered_as",
        "has_contact",
        "member_of",
        "located_at",
        "operated_by",
        "same_as",
    ),
    hosts=("data.iana.org", "*"),
    rate=2.0,
    burst=40,
    concurrency=16,
    freshness=604_800,
    timeout=120.0,
    licence="registries' terms, for operational purposes",
)

MAX_ORIGINS = 20


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    """Ask for a target itself, and for other addresses by their neighbourhood unless it says nothing of them."""
    if seen.type == "ip_address" and ctx.scope.role_of(seen) != "target":
        answer = await ask_registry(neighbourhood(seen), ctx, share=DAY)
        found = read_object(answer, "ip network")
        if found is not None and any(meets(block, seen) for block in blocks_of(found)):
            yield answer
            return
    yield await ask_registry(seen, ctx, share=DAY)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    found = read_object(answer, "ip network")
    if found is None:
        return
    blocks = [block for block in blocks_of(found) if meets(block, seen)]
    if seen.type == "ip_address" and about_network(answer.url):
        for block in blocks:  # many addresses lie in one network, and its facts are claimed when it is asked about
            yield block
            yield from within(seen, block)
        return
    for block in blocks:
        yield block
        yield from described(
            block,
            parent_handle=found.parentHandle,
            network_range=f"{found.startAddress} - {found.endAddress}" if len(blocks_of(found)) > 1 else None,
        )
        yield from within(seen, block)
        yield from origins(found, block)
    if blocks:
        yield from numbers(found, blocks, register_of(answer.url))


def about_network(url: str) -> bool:
    """Whether a network was asked about: ``…/ip/192.0.2.0/24``."""
    return "/" in url.rpartition("/ip/")[2]


def within(seen: Entity, block: Entity) -> Iterator[Claim]:
    """Which of the two lies in the other; a registry answers with the network that holds what was asked for."""
    outer, inner = ip_network(block.key[0]), ip_network(seen.key[0])
    if outer.prefixlen < inner.prefixlen or seen.type == "ip_address":
        yield relations.part_of(seen, block)
    elif outer.prefixlen > inner.prefixlen:
        yield relations.part_of(block, seen)


def origins(found: Object, block: Entity) -> Iterator[Claim]:
    """Systems that may announce the network, which ARIN lists beside it."""
    for number in fitting((found.arin_originas0_originautnums or ())[:MAX_ORIGINS], int):
        system = sound(entities.asn, number)
        if system is not None:
            yield system
            yield relations.announced_by(block, system)
