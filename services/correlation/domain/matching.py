"""Finds what a rule looks for: first things that fit, joined with what their links lead to, batch by batch."""

from collections.abc import AsyncIterator, Collection, Generator, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from services.correlation.domain.conditions import all_hold
from services.correlation.domain.rule import Link, Rule, Thing
from services.correlation.domain.world import Direction, Place, Tie, World
from services.kernel.errors import Exhausted

#: How many things one batch may be tried with along one link, and after how many others have their turn.
MAX_TRIED: Final = 5_000_000
TURN: Final = 5_000
#: How many matches of one first thing are looked at; a hub of which there are more says no more by that.
MAX_MATCHES: Final = 10_000


class Turn:
    """Awaited, it lets others have their turn, as a sleep of no time does."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Match(Struct, frozen=True):
    """What the names of a rule stand for: places, and for each step the ties along which it went."""

    places: dict[str, Place]
    ties: tuple[tuple[Tie, ...], ...]

    @property
    def key(self) -> tuple[bytes, ...]:
        """What tells it from other matches of the rule."""
        return tuple(place.id for place in self.places.values())


def fits(thing: Thing, place: Place, now: int) -> bool:
    """Whether a place is what a rule looks for under a name, its links left aside."""
    return (
        place.type in thing.types
        and (not thing.roles or place.facts.role in thing.roles)
        and all_hold(thing.where, place, now)
    )


async def match(rule: Rule, world: World, places: Iterable[Place], now: int) -> dict[bytes, list[Match]]:
    """The matches of a rule with one of ``places`` as its first thing, by their ids, in the order of their keys."""
    name = rule.first.name
    matches = [Match({name: place}, ()) for place in places if fits(rule.first, place, now)]
    for link, near in rule.steps:
        if not matches:
            return {}
        matches = await follow(rule, link, near, world, matches, now)
    for link in rule.absences:
        if matches:
            matches = await leave_out(rule, link, world, matches, now)
    found: dict[bytes, list[Match]] = {}
    for each in sorted(matches, key=lambda each: each.key):
        found.setdefault(each.places[name].id, []).append(each)
    return found


async def follow(rule: Rule, link: Link, near: str, world: World, matches: Sequence[Match], now: int) -> list[Match]:
    """Matches, each with what a link leads to from the thing ``near``."""
    far = link.other(near)
    starting: dict[bytes, list[Match]] = {}
    for each in matches:
        starting.setdefault(each.places[near].id, []).append(each)
    found: dict[tuple[bytes, ...], Match] = {}
    counts: dict[bytes, int] = {}
    tried = 0
    async for begin, way, place in _lead(rule, link, near, world, starting, now):
        for each in starting[begin]:
            tried += 1
            if tried % TURN == 0:
                await Turn()
            if tried > MAX_TRIED:
                raise Exhausted(f"the rule {rule.id} looks at too much: what is at {far} has too many others")
            if not _may_be(each, far, place):
                continue
            first = each.places[rule.first.name].id
            if counts.get(first, 0) >= MAX_MATCHES:
                continue
            longer = Match(each.places | {far: place}, (*each.ties, way))
            if longer.key not in found:
                counts[first] = counts.get(first, 0) + 1
                found[longer.key] = longer
    return list(found.values())


def _may_be(match: Match, name: str, place: Place) -> bool:
    """Whether a place can stand under a name of a match: different names stand for different places."""
    known = match.places.get(name)
    if known is not None:
        return known.id == place.id
    return all(other.id != place.id for other in match.places.values())


async def _lead(
    rule: Rule, link: Link, near: str, world: World, starting: Collection[bytes], now: int
) -> AsyncIterator[tuple[bytes, tuple[Tie, ...], Place]]:
    """What a link leads to: (where it begins, the ties along the way, the place at its end), shortest ways first."""
    thing = rule.thing(link.other(near))
    direction = _direction(link, near)
    ways: dict[bytes, dict[bytes, tuple[Tie, ...]]] = {begin: {begin: ()} for begin in starting}
    edge: dict[bytes, set[bytes]] = {begin: {begin} for begin in starting}  # by where ways are now: where they began
    for hop in range(link.hops):
        reached: dict[bytes, set[bytes]] = {}
        async for ties in world.ties(edge, link.types, direction):
            fresh = [
                (begin, end, tie)
                for tie in sorted(ties, key=lambda tie: tie.id)
                if all_hold(link.where, tie, now)
                for end in _ends(tie, edge, direction)
                for begin in sorted(edge[end])
            ]
            places = await world.places({tie.other(end) for _, end, tie in fresh})
            for begin, end, tie in fresh:
                place = places.get(tie.other(end))
                if place is None:
                    continue
                if link.hops > 1:
                    if place.id in ways[begin]:
                        continue
                    ways[begin][place.id] = (*ways[begin][end], tie)
                    reached.setdefault(place.id, set()).add(begin)
                if fits(thing, place, now):
                    yield begin, ways[begin][place.id] if link.hops > 1 else (tie,), place
        edge = reached
        if not edge or hop + 1 == link.hops:
            return


async def leave_out(rule: Rule, link: Link, world: World, matches: Sequence[Match], now: int) -> list[Match]:
    """The matches of which there is nothing at the end of an absent link but what they have already."""
    near = link.source if link.source in rule.bound else link.target
    far = link.other(near)
    starting = {each.places[near].id for each in matches}
    there: dict[bytes, set[bytes]] = {}
    async for begin, _, place in _lead(rule, link, near, world, starting, now):
        there.setdefault(begin, set()).add(place.id)
    left = []
    for each in matches:
        ends = there.get(each.places[near].id, set())
        known = each.places.get(far)
        others = {place.id for place in each.places.values()}
        blocked = known.id in ends if known is not None else bool(ends - others)
        denied = not link.answered or any(each.places[near].is_denied(name) for name in link.types)
        if not blocked and denied:
            left.append(each)
    return left


async def touched_firsts(
    rule: Rule, world: World, entities: Mapping[bytes, str], ties: Collection[tuple[str, bytes, bytes]]
) -> set[bytes]:
    """The first things whose matches may be others since ``entities`` and ``ties`` changed, were added or removed.

    Conditions are left aside, since what held before is not known any more. Entities come with their types, those that
    are gone without; a tie is (type, source, target).
    """
    found: set[bytes] = set()
    for thing in rule.things:
        changed = [each for each, kind in entities.items() if not kind or kind in thing.types]
        if changed:
            found |= await _walk_back(rule, world, thing.name, changed)
    for link in rule.links:
        near = _near(rule, link)
        ends = {
            end
            for kind, source, target in ties
            if not link.types or kind in link.types
            for end in _near_ends(link, near, source, target)
        }
        inside = set(entities) if link.hops > 1 else set()
        if ends and link.hops > 1:
            ends |= await _walk(world, link, link.other(near), ends, link.hops - 1)
        if inside:
            ends |= await _walk(world, link, link.other(near), inside, link.hops)
        if ends:
            found |= ends if near == rule.first.name else await _walk_back(rule, world, near, ends)
    return found


async def _walk_back(rule: Rule, world: World, name: str, ids: Collection[bytes]) -> set[bytes]:
    here = set(ids)
    for link, entered in rule.way_back(name):
        if not here:
            break
        here = await _walk(world, link, entered, here, link.hops)
    return here


async def _walk(world: World, link: Link, near: str, ids: Collection[bytes], hops: int) -> set[bytes]:
    """Where a link leads to from ``ids`` at its end ``near``, over up to ``hops`` ties."""
    direction = _direction(link, near)
    reached, edge = set[bytes](), set(ids)
    for _ in range(hops):
        further: set[bytes] = set()
        async for ties in world.ties(edge, link.types, direction):
            further |= {tie.other(end) for tie in ties for end in _ends(tie, edge, direction)}
        edge = further - reached
        reached |= further
        if not edge:
            break
    return reached


def _near(rule: Rule, link: Link) -> str:
    """The end of a link that is nearer to the first thing."""
    for each, near in rule.steps:
        if each is link:
            return near
    return link.source if link.source in rule.bound else link.target


def _near_ends(link: Link, near: str, source: bytes, target: bytes) -> set[bytes]:
    if link.either:
        return {source, target}
    return {source if near == link.source else target}


def _direction(link: Link, near: str) -> Direction:
    if link.either:
        return "both"
    return "out" if near == link.source else "in"


def _ends(tie: Tie, ids: Collection[bytes], direction: Direction) -> list[bytes]:
    """At which of ``ids`` a tie begins, seen in a direction."""
    ends = []
    if direction != "in" and tie.source in ids:
        ends.append(tie.source)
    if direction != "out" and tie.target in ids:
        ends.append(tie.target)
    return ends
