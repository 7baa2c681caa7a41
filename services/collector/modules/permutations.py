"""Names that follow from the ones that are known, asked of the recursive resolvers: the habits of naming are learnt
from the names themselves, what is found is learnt from in turn, and the most promising candidates come first. Only
the resolvers and the name servers behind them see the questions; no source learns anything.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain

from services.collector.archetypes.resolved import found_names, names_found, to_the_end
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.naming import Guesser
from services.contracts.claims import Claim
from services.contracts.subjects import Names

MANIFEST = Manifest(
    id="permutations",
    version=3,
    title="Permutations of known names",
    activity="guess",
    source="https://www.rfc-editor.org/rfc/rfc1034",
    format="https://www.rfc-editor.org/rfc/rfc1035",
    consumes=("names",),
    produces=("hostname", "domain", "ip_address", "resolves_to", "alias_of"),
    options={"limit": 400_000, "per_name": 180},
    rate=0.0,
    cost=400.0,
    freshness=604_800,
    timeout=3_600.0,
    licence="none",
)

FEWEST = 2_000
# The first rounds are short, because what they find tells how to go on.
SHARES = (0.1, 0.2, 0.3, 0.4)
# A round of so many without a find is the last.
ENOUGH = 10_000


async def collect(seen: Names, ctx: Context) -> AsyncIterator[Answer]:
    async for answer in to_the_end(rounds(seen, ctx)):
        yield answer


async def rounds(seen: Names, ctx: Context) -> AsyncIterator[DnsAnswer]:
    """What the guesses got, round after round."""
    fresh = seen.names if seen.fresh is None else seen.fresh
    limit = min(int(ctx.options["limit"]), FEWEST + int(ctx.options["per_name"]) * len(fresh))
    guesser = Guesser(seen.names, seen.zone, dead=await dead_names(fresh, ctx), fresh=seen.fresh)
    for share in SHARES:
        found: list[str] = []
        asked = answered = 0
        async for answer in ctx.dns.sweep(guesser.guess(int(limit * share))):
            asked += len(answer.resolutions)
            answered += sum(resolution.asked for resolution in answer.resolutions)
            found += names_found(answer)
            yield answer
        if not asked:
            continue  # nothing follows from these names, or nothing more
        if not answered:
            raise Unreachable(f"{seen.zone}: none of {asked} questions was answered")
        if not found and answered >= ENOUGH:
            return
        guesser.tell(found)


async def dead_names(names: Iterable[str], ctx: Context) -> list[str]:
    """Those names that do not exist any more, or only as members of a wildcard: they have no variants."""
    dead: list[str] = []
    async for answer in ctx.dns.sweep(names):
        dead += answer.members
        dead += [
            resolution.name
            for resolution in answer.resolutions
            if resolution.status == "nxdomain" and not resolution.records
        ]
    return sorted(dead)


def parse(answer: DnsAnswer, seen: Names) -> Iterator[Claim]:
    yield from found_names(answer, chain((seen.zone,), seen.names))
