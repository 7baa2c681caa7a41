"""What resolutions say of names: addresses, aliases, that they exist, that a wildcard answered for them."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator

from services.collector.archetypes.names import any_name
from services.collector.archetypes.sound import described, sound
from services.collector.context import DnsAnswer, Unreachable
from services.collector.resolve.answer import Answer as Resolution
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Relation

MAX_ADDRESSES = 64
MAX_ALIASES = 16
# More names of one chunk than this with an alias to the same dead end are a wildcard's.
_MOST_TO_ONE_END = 10
_MOST_LEVELS = 100


def addresses(name: Entity, resolution: Resolution) -> Iterator[Relation]:
    """The addresses that a name has, behind whatever aliases."""
    records = [
        record for record in resolution.records if record.type == resolution.type and record.type in {"A", "AAAA"}
    ]
    for record in records[:MAX_ADDRESSES]:
        address = sound(entities.ip_address, record.data)
        if address is not None:
            yield relations.resolves_to(name, address, record=record.type, ttl=record.ttl)


def aliases(resolution: Resolution) -> Iterator[Relation]:
    """Each alias on the way from the asked name; a DNAME stands for what it made of names below it."""
    records = [record for record in resolution.records if record.type in {"CNAME", "DNAME"}]
    for record in records[:MAX_ALIASES]:
        source, target = any_name(record.owner), any_name(record.data)
        if source is not None and target is not None and source.key != target.key:
            yield relations.alias_of(source, target, record=record.type, ttl=record.ttl)


def names_found(answer: DnsAnswer) -> list[str]:
    """The names that exist of those that were tried: with an address of their own, or an alias that leads nowhere."""
    return [resolution.name for resolution in _existing(answer)]


def found_names(answer: DnsAnswer, levels: Iterable[str] | None = None) -> Iterator[Claim]:
    """Each name that was tried and exists, with its aliases and addresses; and each level where a wildcard answers.

    ``levels`` are those that exist: below a wildcard every name that one can think of has names below it that answer.
    """
    answering = {name.partition(".")[2] for name in answer.members}
    if answering and levels is not None:
        answering = answering.intersection(levels)
    for level in sorted(answering)[:_MOST_LEVELS]:
        above = any_name(level)
        if above is not None:
            yield from described(above, wildcard=True)
    for resolution in _existing(answer):
        name = any_name(resolution.name)
        if name is not None:
            yield name
            yield from aliases(resolution)
            yield from addresses(name, resolution)


async def to_the_end(answers: AsyncIterator[DnsAnswer]) -> AsyncIterator[DnsAnswer]:
    """Yield ``answers``, and fail after the last one if of names in them nobody could say whether they exist."""
    doubtful: DnsAnswer | None = None
    async for answer in answers:
        doubtful = answer if answer.unjudged else doubtful
        yield answer
    if doubtful is not None:
        raise unjudged(doubtful)


def unjudged(answer: DnsAnswer) -> Unreachable:
    """The failure of a module that can say nothing of names that have an answer, once it has said all else."""
    return Unreachable(f"{min(answer.unjudged)}: no answer for the names beside it, so a wildcard may be all it is")


def _existing(answer: DnsAnswer) -> Iterator[Resolution]:
    dead_ends = Counter(_dead_end(resolution) for resolution in answer.resolutions)
    for resolution in answer.resolutions:
        if resolution.name in answer.members or resolution.name in answer.unjudged:
            continue
        end = _dead_end(resolution)
        if resolution.status == "found" or (end and dead_ends[end] <= _MOST_TO_ONE_END):
            yield resolution


def _dead_end(resolution: Resolution) -> str:
    """Where the first alias of a name without an address leads, if it has one."""
    if resolution.status not in {"nodata", "nxdomain"} or not resolution.records:
        return ""
    chain = resolution.chain
    return chain[0] if chain else ""
