"""Whatever changes in whatever order, findings are those of a full run on what is said then."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation
from services.contracts.endpoints import LIST_FINDINGS
from services.contracts.resources.correlation import FindingsQuery
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidAbsence, SaidBy, SaidValue
from services.correlation.domain.evaluating import judge_everything
from services.correlation.domain.reading import read_rule
from services.correlation.domain.rule import Rule
from services.correlation.domain.world import FactBook
from tests.services.correlation.observatory import BEGAN, DAY, SCAN, Observatory, observatory

HEAD = "version: 1\ntitle: t\ncategory: dns\nseverity: low\ndescription: d\n"

#: One rule of each kind that is judged in a way of its own.
RULES = tuple(
    read_rule(f"id: {name}\n{HEAD}{body}")
    for name, body in {
        "alone": """
things:
  host: {type: hostname, wildcard: true}
headline: "{host} answers for everything"
""",
        "linked": """
things:
  address: {type: ip_address}
  service: {type: service, state: open}
links: [address exposes service]
headline: "{service} is open at {address}"
""",
        "far_end": """
things:
  address: {type: ip_address, role: any}
  host: {type: hostname, role: in_scope}
links: [host resolves_to address]
headline: "{address} is used"
""",
        "over_hops": """
things:
  host: {type: hostname}
  other: {type: hostname, role: external, dangling_alias: true}
links: [{from: host, relation: alias_of, to: other, hops: 3}]
headline: "{host} leads to {other}"
""",
        "lonely": """
things:
  host: {type: hostname}
  address: {type: ip_address, role: [target, in_scope]}
links: [not host resolves_to address]
headline: "{host} has no address of ours"
""",
        "denied": """
things:
  host: {type: hostname, resolution: {absent: true}}
headline: "{host} does not resolve"
""",
        "triangle": """
things:
  address: {type: ip_address, role: any}
  one: {type: hostname, role: any}
  other: {type: hostname, role: any}
links: [one resolves_to address, other resolves_to address, one alias_of other]
headline: "{one} and {other}"
""",
        "pairs": """
things:
  address: {type: ip_address}
  service: {type: service}
links: [address exposes service]
each: [address, service]
headline: "{service} at {address}"
""",
        "crowded": """
things:
  address: {type: ip_address, role: any}
  host: {type: hostname, role: any}
links: [host resolves_to address]
group: {by: address, count: host, least: 2}
headline: "{count} names at {address}"
""",
        "gathered": """
things:
  host: {type: hostname, role: any}
  address: {type: ip_address, role: any}
links: [host resolves_to address]
group: {by: address, count: host, least: 2}
headline: "{count} at {address}"
""",
        "by_value": """
things:
  address: {type: ip_address, role: any, country: {said: true}}
group: {by: address.country, count: address, least: 2, most: 3}
headline: "{count} in {address.country}"
""",
        "whole": """
things:
  host: {type: hostname, role: any}
group: {by: scan, count: host, least: 3}
headline: "{count} hosts"
""",
        "soon": """
things:
  host: {type: hostname, role: any}
  address: {type: ip_address, role: any, created_at: {said: true}}
links: [host resolves_to address]
group: {by: host, count: address, least: 2}
within: {of: address.created_at, span: 2d}
headline: "{host} has {count} new ones"
""",
        "unusual": """
things:
  address: {type: ip_address, role: any, country: {said: true}}
unusual: {of: address.country, most: 30%, usual: 50%, least: 3}
headline: "few are in {address.country}"
""",
        "recent": """
things:
  host: {type: hostname, first_seen: {after: now-1d}}
headline: "{host} is new"
""",
        "either_way": """
things:
  one: {type: hostname, role: any, parked: true}
  other: {type: hostname, role: any}
links: [{from: one, relation: alias_of, to: other, either: true}]
headline: "{one} and {other}"
""",
    }.items()
)

HOSTS = [entities.hostname(f"h{number}.example.org") for number in range(5)]
ADDRESSES = [entities.ip_address(f"192.0.2.{number}") for number in range(4)]
SERVICES = [entities.service(f"192.0.2.{number}", "tcp", "5432") for number in range(3)]
MODULES = some.lists(some.sampled_from(["crtsh", "brute", "web"]), min_size=1, max_size=2, unique=True)


def said(modules: Sequence[str], at: int = BEGAN) -> tuple[SaidBy, ...]:
    return tuple(SaidBy(module, 1, at, 80, b"", ()) for module in modules)


@some.composite
def entity_facts(draw: some.DrawFn) -> EntityFacts:
    about: Entity = draw(some.sampled_from([*HOSTS, *ADDRESSES, *SERVICES]))
    by = said(draw(MODULES))
    choices = {
        "hostname": {"wildcard": some.booleans(), "dangling_alias": some.booleans(), "parked": some.booleans()},
        "ip_address": {
            "country": some.sampled_from(["DE", "FR"]),
            "created_at": some.integers(0, 6).map(lambda days: BEGAN + days * DAY),
        },
        "service": {"state": some.sampled_from(["open", "closed"])},
    }[about.type]
    values = draw(some.fixed_dictionaries({}, optional=choices))
    return EntityFacts(
        entity=about,
        role=draw(some.sampled_from(["target", "in_scope", "external", None])),
        distance=0,
        first_seen=BEGAN - draw(some.sampled_from([0, 3 * DAY])),
        last_seen=BEGAN,
        said=by,
        attributes=tuple(SaidValue(name, value, by) for name, value in values.items()),
        absences=(SaidAbsence("resolution", by),) if about.type == "hostname" and draw(some.booleans()) else (),
    )


@some.composite
def relation_facts(draw: some.DrawFn) -> RelationFacts:
    made: Relation = draw(
        some.one_of(
            some.builds(relations.resolves_to, some.sampled_from(HOSTS), some.sampled_from(ADDRESSES)),
            some.builds(relations.exposes, some.sampled_from(ADDRESSES), some.sampled_from(SERVICES)),
            some.tuples(some.sampled_from(HOSTS), some.sampled_from(HOSTS))
            .filter(lambda pair: pair[0] != pair[1])
            .map(lambda pair: relations.alias_of(*pair)),
        )
    )
    return RelationFacts(
        type=made.type,
        source=made.source,
        target=made.target,
        qualifiers=made.qualifiers,
        said=said(draw(MODULES)),
    )


CHANGES = some.lists(
    some.tuples(some.sampled_from(["put", "put", "put", "take_away"]), some.one_of(entity_facts(), relation_facts())),
    min_size=1,
    max_size=8,
)


async def in_full(watch: Observatory, rules: Sequence[Rule]) -> set[tuple[object, ...]]:
    book = watch.book()
    facts = FactBook(book.entities.values(), book.relations.values())
    found = [each for rule in rules for each in await judge_everything(rule, facts, BEGAN)]
    return {(each.id, each.title, each.confidence, frozenset(each.entities)) for each in found}


async def as_kept(watch: Observatory) -> set[tuple[object, ...]]:
    page = await watch.ask(LIST_FINDINGS, FindingsQuery(scan=SCAN, all=True, limit=1000))
    assert page.judged
    return {(row.id, row.title, row.confidence, frozenset(row.entities)) for row in page.findings}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(CHANGES, min_size=1, max_size=6))
def test_findings_that_follow_every_change_are_those_of_a_full_run(batches: list[list[tuple[str, object]]]) -> None:
    async def run(folder: Path) -> None:
        async with observatory(folder) as watch:
            watch.use(*RULES)
            await watch.start()
            for batch in batches:
                for change, facts in batch:
                    getattr(watch.book(), change)(facts)
                await watch.catch_up()
                assert await as_kept(watch) == await in_full(watch, RULES)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def rich() -> FactBook:
    """A world in which every rule finds something."""

    def place(about: Entity, role: Any = "in_scope", first_seen: int = BEGAN, **values: Any) -> EntityFacts:
        by = said(["crtsh"])
        attributes = tuple(SaidValue(name, value, by) for name, value in values.items())
        absences = (SaidAbsence("resolution", by),) if about == HOSTS[3] else ()
        return EntityFacts(
            entity=about,
            role=role,
            distance=0,
            first_seen=first_seen,
            last_seen=BEGAN,
            said=by,
            attributes=attributes,
            absences=absences,
        )

    def tie(made: Relation) -> RelationFacts:
        ends = {"source": made.source, "target": made.target}
        return RelationFacts(type=made.type, **ends, qualifiers=made.qualifiers, said=said(["dns_records"]))

    places = [
        place(HOSTS[0], wildcard=True, parked=True),
        place(HOSTS[1], role="external", dangling_alias=True),
        *(place(host) for host in HOSTS[2:]),
        *(place(address, country="DE", created_at=BEGAN) for address in ADDRESSES[:3]),
        place(ADDRESSES[3], country="FR", created_at=BEGAN),
        place(SERVICES[0], state="open"),
    ]
    ties = [
        relations.exposes(ADDRESSES[0], SERVICES[0]),
        *(relations.resolves_to(host, ADDRESSES[0]) for host in HOSTS[:3]),
        relations.resolves_to(HOSTS[0], ADDRESSES[1]),
        relations.alias_of(HOSTS[0], HOSTS[2]),
        relations.alias_of(HOSTS[2], HOSTS[1]),
    ]
    return FactBook(places, map(tie, ties))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
async def test_every_rule_of_the_property_finds_something_in_some_world(rule: Rule) -> None:
    """Else the property would say nothing of it."""
    assert await judge_everything(rule, rich(), BEGAN)
