"""The name that an address says it has (PTR), and whether that name leads back to it; asked of the recursive resolvers.
Only the resolvers and the name servers behind them, of the network and of the name, see the questions.
"""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address

import msgspec

from services.collector.archetypes.names import any_name
from services.collector.archetypes.resolved import addresses
from services.collector.archetypes.sound import described
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.contracts import relations
from services.contracts.claims import Absence, Claim, Entity

MANIFEST = Manifest(
    id="reverse_dns",
    version=2,
    title="Reverse DNS",
    activity="dns",
    source="https://www.rfc-editor.org/rfc/rfc1035",
    format="https://www.rfc-editor.org/rfc/rfc1912",
    consumes=("ip_address",),
    produces=("domain", "hostname", "reverse_resolves_to", "resolves_to"),
    rate=0.0,
    concurrency=64,
    freshness=86_400,
    timeout=60.0,
    licence="none",
)

MAX_NAMES = 20


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    pointer = ip_address(seen.key[0]).reverse_pointer
    answer = await ctx.dns.ask(pointer, "PTR")
    resolution = answer.resolutions[0]
    if not resolution.asked:
        raise Unreachable(f"{pointer}: {resolution.status}")
    kind = "AAAA" if ":" in seen.key[0] else "A"
    names = (any_name(data) for data in resolution.values[:MAX_NAMES])
    for name in dict.fromkeys(name.value for name in names if name is not None):
        forward = await ctx.dns.ask(name, kind)
        answer = msgspec.structs.replace(
            answer, records=answer.records + forward.records, resolutions=answer.resolutions + forward.resolutions
        )
    yield answer


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    pointers = [record for record in answer.resolutions[0].records if record.type == "PTR"][:MAX_NAMES]
    names = {name.value: (name, record.ttl) for record in pointers if (name := any_name(record.data)) is not None}
    if not names:
        if answer.resolutions[0].status in {"nodata", "nxdomain"}:
            yield Absence(seen, "reverse_resolves_to")
        return
    for name, ttl in names.values():
        yield relations.reverse_resolves_to(seen, name, ttl=ttl)
    confirmed = False
    for resolution in answer.resolutions[1:]:
        if resolution.name in names and resolution.status == "found":
            for relation in addresses(names[resolution.name][0], resolution):
                if relation.target.key == seen.key:
                    confirmed = True
                    yield relation
    if confirmed or all(resolution.asked for resolution in answer.resolutions[1:]):
        yield from described(seen, forward_confirmed=confirmed)
