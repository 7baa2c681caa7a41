"""Names of a word list, asked of the recursive resolvers at every level that exists: the domain, names with names
below them, and, with the first words only, every other host. Names without an address are looked into further, since
they may have an IPv6 address or names below them. Only the resolvers and the name servers behind them see what is
asked.
"""

import re
from collections.abc import AsyncIterator, Iterator
from hashlib import blake2b
from itertools import chain, islice

from msgspec import structs

from services.collector.archetypes.resolved import found_names, to_the_end, unjudged
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity
from services.contracts.subjects import Level

MANIFEST = Manifest(
    id="brute",
    version=2,
    title="Word list",
    activity="guess",
    source="https://www.rfc-editor.org/rfc/rfc1034",
    format="https://www.rfc-editor.org/rfc/rfc1035",
    consumes=("domain", "hostname", "level"),
    produces=("domain", "hostname", "ip_address", "resolves_to", "alias_of"),
    options={"words": 1_000_000, "leaf_words": 20, "below_words": 200},
    rate=0.0,
    concurrency=64,
    cost=5.0,
    freshness=604_800,
    timeout=3_600.0,
    licence="none",
)

MAX_LEAF_WORDS = 500
# Of names that exist without an address, the most that are looked into; more of them is a habit of the zone.
MAX_BARE = 100
_word = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,4}").fullmatch
_MAX_NAME = 253


async def collect(seen: Entity | Level, ctx: Context) -> AsyncIterator[Answer]:
    async for answer in to_the_end(tries(seen, ctx)):
        yield answer


async def tries(seen: Entity | Level, ctx: Context) -> AsyncIterator[DnsAnswer]:
    """What all words got, and then what names that exist without an address have."""
    zone = seen.zone if isinstance(seen, Level) else seen.value
    count = int(ctx.options["words"])
    names = below(zone, ctx, count)
    leaf = isinstance(seen, Entity) and seen.type == "hostname"
    if leaf:
        count = int(ctx.options["leaf_words"])
        if not count:
            return
        # The host itself comes first in what is one unit of questions.
        names = chain([zone], below(zone, ctx, min(count, MAX_LEAF_WORDS)))
    bare: list[str] = []
    asked = answered = 0
    async for given in ctx.dns.sweep(names):
        answer = given
        if leaf:
            if not has_room(zone, given):
                return
            answer = structs.replace(given, resolutions=given.resolutions[1:])
        bare += bare_names(answer)
        asked += len(answer.resolutions)
        answered += sum(resolution.asked for resolution in answer.resolutions)
        yield answer
    if asked and not answered:
        raise Unreachable(f"{zone}: none of {asked} questions was answered")
    bare = sorted(bare)[:MAX_BARE]
    if not bare or not await denies(zone, ctx):
        return
    async for answer in ctx.dns.sweep(bare, "AAAA"):
        yield answer
    words = list(islice(spoken(ctx), int(ctx.options["below_words"])))
    async for answer in ctx.dns.sweep(f"{word}.{name}" for name in bare for word in words):
        yield answer


def below(zone: str, ctx: Context, count: int) -> Iterator[str]:
    """The first ``count`` words as names below ``zone``."""
    for word in islice(spoken(ctx), count):
        if len(word) + 1 + len(zone) <= _MAX_NAME:
            yield f"{word}.{zone}"


def spoken(ctx: Context) -> Iterator[str]:
    """The words of the list that can be labels, in its order; what follows ``#`` is a remark."""
    for line in ctx.wordlist():
        word = line.partition("#")[0].strip().strip(".").lower()
        if _word(word):
            yield word


def has_room(name: str, answer: DnsAnswer) -> bool:
    """Whether names may exist below a host, the first of an answer: not where it does not exist itself (RFC 8020), nor
    below a wildcard.

    Raises:
        Unreachable: nobody could say.
    """
    resolution = answer.resolutions[0]
    if not resolution.asked:
        raise Unreachable(f"{name}: {resolution.status}")
    if name in answer.unjudged:
        raise unjudged(answer)
    exists = resolution.status != "nxdomain" or bool(resolution.records)
    return exists and name not in answer.members


async def denies(zone: str, ctx: Context) -> bool:
    """Whether the zone says so of a name that does not exist; else one without an address tells nothing."""
    label = blake2b(zone.encode(), digest_size=8).hexdigest()
    answer = await ctx.dns.ask(f"{label}.{zone}", "A")
    return answer.resolutions[0].status == "nxdomain" and not answer.resolutions[0].records


def bare_names(answer: DnsAnswer) -> list[str]:
    """The names that exist and have no IPv4 address."""
    return [
        resolution.name
        for resolution in answer.resolutions
        if resolution.status == "nodata" and not resolution.records and resolution.name not in answer.members
    ]


def parse(answer: DnsAnswer, seen: Entity | Level) -> Iterator[Claim]:
    yield from found_names(answer)
