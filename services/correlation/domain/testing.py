"""Runs the tests that stand in a rule: facts in few words, and what is found in them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from msgspec import Struct

from services.contracts.attributes import ATTRIBUTES, attribute
from services.contracts.claims import Entity, Malformed
from services.contracts.entities import entity
from services.contracts.relations import RELATION_TYPES, relation
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidAbsence, SaidBy, SaidValue
from services.contracts.scope import ROLES
from services.correlation.domain.evaluating import judge_everything
from services.correlation.domain.instants import read_instant
from services.correlation.domain.judging import Found
from services.correlation.domain.reading.fields import check_keys
from services.correlation.domain.rule import Rule, RuleTest
from services.correlation.domain.world import FactBook
from services.kernel.errors import Invalid

SAYS: Final = "test"

_SHORT: Final = re.compile(r"(\w+)\s+(\w+)\s+(\w+)")
_LINK: Final = ("from", "relation", "to", "where", "by", "at", "absent")
_OF_FACTS: Final = ("role", "distance", "absent", "by", "at", "first_seen", "last_seen", "exists", "confidence")


class Outcome(Struct, frozen=True):
    """How a test ended: what was found, as the test would write it."""

    test: RuleTest
    found: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return sorted(self.found) == sorted(self.test.finds)


async def run_tests(rule: Rule) -> list[Outcome]:
    """Run all tests of a rule.

    Raises:
        Invalid: the facts of one make no sense.
    """
    return [await run_test(rule, test) for test in rule.tests]


async def run_test(rule: Rule, test: RuleTest) -> Outcome:
    try:
        names, book = read_facts(test)
    except (Invalid, Malformed) as error:
        raise Invalid(f"the test {test.says!r}: {error}") from error
    found = await judge_everything(rule, book, test.now)
    return Outcome(test, tuple(_as_written(each, test, names) for each in found))


def _as_written(found: Found, test: RuleTest, names: Mapping[str, str]) -> str:
    """A finding by its headline where the test says it so, by what it is about otherwise."""
    about = found.entities[0]
    return found.title if found.title in test.finds else names.get(about.id, about.value)


def read_facts(test: RuleTest) -> tuple[dict[str, str], FactBook]:
    """The names of entities by their ids (hex), and what is said of them."""
    names: dict[str, Entity] = {}
    entities: list[EntityFacts] = []
    links: list[dict[str, Any]] = []
    for fact in test.facts:
        if isinstance(fact, str):
            short = _SHORT.fullmatch(fact.strip())
            if short is None:
                raise Invalid(f"{fact[:80]!r} is not `name relation name`")
            links.append({"from": short[1], "relation": short[2], "to": short[3]})
        elif isinstance(fact, dict) and "from" in fact:
            links.append(fact)
        elif isinstance(fact, dict) and fact:
            name, facts = _entity_facts(fact, test.now)
            if name in names:
                raise Invalid(f"{name} is given twice")
            names[name] = facts.entity
            entities.append(facts)
        else:
            raise Invalid("a fact is a name with an entity, or a relation between two names")
    relations = [_relation_facts(link, names, test.now) for link in links]
    return {each.id.hex(): name for name, each in names.items()}, FactBook(entities, relations)


def _entity_facts(fact: Mapping[str, Any], now: int) -> tuple[str, EntityFacts]:
    name, written = next(iter(fact.items()))
    kind, _, key = str(written).strip().partition(" ")
    parts = key.split(" | ") if " | " in key else key.split()
    about = entity(kind, *(part.strip() for part in parts))
    for each in [*fact][1:]:
        if each not in ATTRIBUTES:
            check_keys({each: None}, (*_OF_FACTS, *ATTRIBUTES), f"the fact {name}")
    role = fact.get("role", "in_scope")
    if role not in (*ROLES, None):
        raise Invalid(f"{name}: {role!r} is no role")
    said = _said(fact, now)
    at = said[0].at
    return str(name), EntityFacts(
        entity=about,
        role=cast("Any", role),
        distance=fact.get("distance", 0),
        first_seen=read_instant(fact["first_seen"]).at(now) if "first_seen" in fact else at,
        last_seen=read_instant(fact["last_seen"]).at(now) if "last_seen" in fact else at,
        said=said if fact.get("exists", True) else (),
        attributes=tuple(
            SaidValue(each, _value(about, each, value, now), said)
            for each, values in [*fact.items()][1:]
            if each in ATTRIBUTES
            for value in (values if isinstance(values, list) else [values])
        ),
        absences=tuple(SaidAbsence(str(each), said) for each in _listed(fact.get("absent", []))),
    )


def _value(about: Entity, name: str, value: Any, now: int) -> str | int | float | bool:
    """A value as a source would say it; instants as rules write them."""
    if ATTRIBUTES[name].unit == "us" and not isinstance(value, int):
        value = read_instant(value).at(now)
    return attribute(about, name, value).value


def _relation_facts(link: Mapping[str, Any], names: Mapping[str, Entity], now: int) -> RelationFacts:
    check_keys(link, _LINK, "a relation of a test")
    for end in ("from", "to"):
        if link.get(end) not in names:
            raise Invalid(f"{link.get(end)!r} is no name of this test")
    kind = str(link.get("relation"))
    known = RELATION_TYPES.get(kind)
    where = link.get("where") or {}
    qualifiers = {key: str(value) for key, value in where.items() if known and key in known.qualifiers}
    if known and "record" in known.required and "record" not in qualifiers:
        qualifiers["record"] = "A" if kind == "resolves_to" else "CNAME"
    details = {key: value for key, value in where.items() if key not in qualifiers}
    made = relation(kind, names[link["from"]], names[link["to"]], qualifiers=qualifiers, details=details)
    return RelationFacts(
        type=made.type,
        source=made.source,
        target=made.target,
        qualifiers=made.qualifiers,
        details=made.details,
        said=_said(link, now),
    )


def _said(fact: Mapping[str, Any], now: int) -> tuple[SaidBy, ...]:
    at = read_instant(fact["at"]).at(now) if "at" in fact else now
    confidence = int(fact.get("confidence", 100))
    return tuple(SaidBy(str(module), 1, at, confidence, b"", ()) for module in _listed(fact.get("by", SAYS)))


def _listed(said: Any) -> Iterator[Any]:
    yield from said if isinstance(said, list) else [said]
