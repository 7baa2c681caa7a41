"""Why a rule did not fire on an entity: what held, one after the other, and the first condition that did not."""

from collections.abc import Sequence

from msgspec import Struct

from services.correlation.domain.conditions import holds
from services.correlation.domain.evaluating import find_hits, in_order
from services.correlation.domain.judging import judge
from services.correlation.domain.matching import Match, follow, leave_out
from services.correlation.domain.rule import Condition, Link, Rule, Thing
from services.correlation.domain.world import Place, World

#: How many candidates at the end of a link are looked at to say why none of them will do.
CANDIDATES = 100


class Explanation(Struct, frozen=True):
    """``steps`` held, in this order; ``stopped`` did not, and is empty where the rule fires."""

    steps: tuple[str, ...]
    stopped: str = ""


async def explain(rule: Rule, world: World, place: Place, now: int) -> Explanation:
    """How far a rule comes with an entity as its first thing, or as another one that could be of its type."""
    thing = next((each for each in rule.things if place.type in each.types), None)
    if thing is None:
        kinds = " or ".join(rule.first.types)
        return Explanation((), f"it is a {place.type}, and the rule is about a {kinds}")
    steps, stopped = _of_thing(thing, place, now)
    if stopped:
        return Explanation(tuple(steps), stopped)
    if thing is not rule.first:
        rest = f"as {thing.name} it will do; ask about the {' or '.join(rule.first.types)} that it would be found at"
        return Explanation(tuple(steps), rest)
    matches: Sequence[Match] = [Match({thing.name: place}, ())]
    for link, near in rule.steps:
        further = await follow(rule, link, near, world, matches, now)
        if not further:
            return Explanation(tuple(steps), await _of_link(rule, link, near, world, matches, now))
        steps.append(f"{_written(link)}: {len(further):,} found")
        matches = further
    for link in rule.absences:
        left = await leave_out(rule, link, world, matches, now)
        if not left:
            reason = (
                "there is such a thing" if not link.answered else "there is such a thing, or nobody said there is none"
            )
            return Explanation(tuple(steps), f"{_written(link)}: {reason}")
        steps.append(_written(link))
        matches = left
    return await _of_findings(rule, world, place, now, steps)


async def _of_findings(rule: Rule, world: World, place: Place, now: int, steps: list[str]) -> Explanation:
    if not rule.is_gathered:
        found = judge(rule, in_order(await find_hits(rule, world, [place], now)))
        if found:
            return Explanation(tuple(steps))
        assert rule.group is not None
        return Explanation(tuple(steps), f"the group: fewer than {rule.group.least} or too many")
    return Explanation(tuple(steps), "it matches; whether there is a finding depends on all others of the group")


def _of_thing(thing: Thing, place: Place, now: int) -> tuple[list[str], str]:
    """What holds of a place as a thing, and the first that does not."""
    steps = [f"{thing.name} is a {place.type}"]
    role = place.facts.role
    if thing.roles and role not in thing.roles:
        return steps, f"{thing.name} has the role {role or 'of none'}, not {' or '.join(sorted(thing.roles))}"
    for condition in thing.where:
        if not holds(condition, place, now):
            return steps, f"{thing.name}.{written(condition)}: {_has(place, condition)}"
        steps.append(f"{thing.name}.{written(condition)}")
    return steps, ""


async def _of_link(rule: Rule, link: Link, near: str, world: World, matches: Sequence[Match], now: int) -> str:
    """Why nothing will do at the end of a link."""
    far = rule.thing(link.other(near))
    plain = rule.without_conditions(far.name)
    candidates = await follow(plain, link, near, world, matches, now)
    if not candidates:
        return f"{_written(link)}: there is none"
    place = candidates[0].places[far.name]
    _, stopped = _of_thing(far, place, now)
    more = f" (and {min(len(candidates), CANDIDATES) - 1} more that will not do)" if len(candidates) > 1 else ""
    return f"{_written(link)}: {place.value} will not do, {stopped or 'it stands for another thing'}{more}"


def _has(place: Place, condition: Condition) -> str:
    spoken = place.spoken(condition.property)
    if spoken:
        return "it is " + ", ".join(str(value)[:100] for value, _ in spoken[:5])
    if place.is_denied(condition.property):
        return "somebody said that there is none"
    return "nobody says one"


def written(condition: Condition) -> str:
    """A condition as a rule would write it."""
    asked = condition.presence or ", ".join(f"{test.operator} {test.operand}" for test in condition.tests)
    how = f"{condition.quantifier} " if condition.quantifier != "some" else ""
    by = f" by {', '.join(sorted(condition.by))}" if condition.by else ""
    return f"{condition.property} {how}{asked}{by}"


def _written(link: Link) -> str:
    kinds = " or ".join(link.types) or "any relation"
    hops = f" over up to {link.hops}" if link.hops > 1 else ""
    return f"{'not ' if link.absent else ''}{link.source} {kinds} {link.target}{hops}"
