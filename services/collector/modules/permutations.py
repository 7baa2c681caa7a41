"""Names that follow from the ones that are known, asked of the recursive resolvers: the habits of naming are learnt
from the names themselves, what is found is learnt from in turn, and the most promising candidates come first. Only
the resolvers and the name servers behind them see the questions; no source learns anything.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import chain

from services.collector.archetypes.resolved import found_names, names_found
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.naming import candidates
from services.contracts.claims import Claim
from services.contracts.subjects import Names

MANIFEST = Manifest(
    id="permutations",
    version=1,
    title="Permutations of known names",
    activity="guess",
    source="https://www.rfc-editor.org/rfc/rfc1034",
    format="https://www.rfc-editor.org/rfc/rfc1035",
    consumes=("names",),
    produces=("hostname", "domain", "ip_address", "resolves_to", "alias_of"),
    options={"limit": 200_000, "per_name": 150},
    rate=0.0,
    cost=200.0,
    freshness=604_800,
    timeout=3_600.0,
    licence="none",
)

FEWEST = 2_000
# The first rounds are short, because what they find tells how to go on.
SHARES = (0.3, 0.3, 0.4)


async def collect(seen: Names, ctx: Context) -> AsyncIterator[Answer]:
    names = list(seen.names)
    limit = min(int(ctx.options["limit"]), FEWEST + int(ctx.options["per_name"]) * len(names))
    asked: set[int] = set()
    for share in SHARES:
        found: list[str] = []
        answered = False
        async for answer in ctx.dns.sweep(candidates(names, seen.zone, int(limit * share), asked)):
            answered = answered or any(resolution.asked for resolution in answer.resolutions)
            found += names_found(answer)
            yield answer
        if not answered and names:
            raise Unreachable(f"{seen.zone}: no question was answered")
        if not found:
            return
        names += sorted(found)


def parse(answer: DnsAnswer, seen: Names) -> Iterator[Claim]:
    yield from found_names(answer, chain((seen.zone,), seen.names))
