"""The chain of NSEC records in a signed zone (RFC 4034, section 4). Each such record names the next name of the zone,
so that one walks through all of them, question by question, at one of the zone's own name servers. Zones that hash
their names (NSEC3) or make up the next name (RFC 4470) do not let one, and are known by that. The server learns it.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import name_below
from services.collector.archetypes.nameservers import addresses, has_its_turn, name_servers, zone_of
from services.collector.archetypes.sound import described
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Record
from services.contracts.claims import Claim, Entity, Relation

MANIFEST = Manifest(
    id="nsec_walk",
    version=1,
    title="NSEC walk",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc4034",
    format="https://www.rfc-editor.org/rfc/rfc5155",
    consumes=("domain", "uses_nameserver"),
    produces=("domain", "hostname"),
    options={"names": 5_000, "servers": 4},
    rate=0.0,
    concurrency=8,
    cost=10.0,
    timeout=900.0,
    licence="the target's own",
)


async def collect(seen: Entity | Relation, ctx: Context) -> AsyncIterator[Answer]:
    if has_its_turn(seen):
        return
    zone = zone_of(seen).value
    names = await name_servers(zone_of(seen), ctx)
    if not names or (isinstance(seen, Relation) and seen.target.value != names[0]):
        # A deeper zone is walked once, for the first of its name servers.
        return
    server, first = await answering(zone, names[: int(ctx.options["servers"])], ctx)
    yield first
    asked = {zone}
    link = link_of(first, zone)
    while link and leads_on(link, zone) and next_of(link) not in asked:
        name = next_of(link)
        if len(asked) >= int(ctx.options["names"]):
            return
        asked.add(name)
        answer = await ctx.dns.ask_at(server, name, "NSEC")
        link = link_of(answer, name)
        if link is None and not answer.resolutions[0].asked:
            raise Unreachable(f"the walk of {zone} broke off at {name}: {answer.resolutions[0].status}")
        if link:
            yield answer


async def answering(zone: str, names: list[str], ctx: Context) -> tuple[str, DnsAnswer]:
    """The address of the first name server that answers, and how its zone denies.

    Raises:
        Unreachable: none does.
    """
    status = "no address"
    for address in await addresses(names, ctx):
        first = await ctx.dns.ask_at(address, zone, "NSEC", "NSEC3PARAM")
        if all(resolution.asked for resolution in first.resolutions):
            return address, first
        status = first.resolutions[0].status
    raise Unreachable(f"no name server of {zone} answers: {status}")


def parse(answer: DnsAnswer, seen: Entity | Relation) -> Iterator[Claim]:
    zone = zone_of(seen)
    for resolution in answer.resolutions:
        for record in resolution.records:
            if record.type == "NSEC3PARAM":
                yield from hashed(record, zone)
            elif record.type == "NSEC":
                yield from linked(record, zone)


def hashed(record: Record, zone: Entity) -> Iterator[Claim]:
    """NSEC3PARAM: algorithm, flags, iterations, salt (RFC 5155, section 4.3)."""
    fields = record.data.split()
    iterations = int(fields[2][:6]) if len(fields) == 4 and fields[2].isdecimal() else None
    yield from described(zone, denial_of_existence="nsec3", nsec3_iterations=iterations)


def linked(record: Record, zone: Entity) -> Iterator[Claim]:
    """A link of the chain: its own name exists, with these types, and so does the next."""
    if record.owner == zone.value:
        yield from described(zone, denial_of_existence="nsec" if leads_on(record, zone.value) else "nsec, minimal")
    types = record.data.split()[1:]
    for text in (record.owner, next_of(record)) if leads_on(record, zone.value) else (record.owner,):
        name = name_below(text, zone)
        if name is None or name == zone:
            continue
        yield name
        if text.startswith("*."):
            yield from described(name, wildcard=True)
        elif text == record.owner and "NS" in types:
            yield from described(name, zone_cut=True)


def link_of(answer: DnsAnswer, name: str) -> Record | None:
    """The NSEC record of ``name`` itself."""
    records = (record for resolution in answer.resolutions for record in resolution.records)
    return next((record for record in records if record.type == "NSEC" and record.owner == name), None)


def next_of(record: Record) -> str:
    """The next name in the zone, in lower case without its final dot."""
    name = record.data.partition(" ")[0].lower()
    return name.removesuffix(".") if not name.endswith("\\.") else name


def leads_on(record: Record, zone: str) -> bool:
    """Whether the next name is another's, in the zone, and not the smallest one possible below this (RFC 4470)."""
    name = next_of(record)
    return name.endswith(f".{zone}") and not name.startswith("\\000.") and name != record.owner
