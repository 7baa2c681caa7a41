"""Whoever reads facts has all that a scan says, and of what he asks for again, what it says now."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, stated
from services.contracts.facts import MAX_CHANGED
from services.contracts.resources import Retract
from services.contracts.resources.storage import EntityFacts, Facts, FactsOf, FactsQuery, RelationFacts
from services.kernel.errors import Invalid, NotFound
from services.storage.usecases import facts
from services.storage.usecases.facts import ASSERTED
from tests.services.storage.depot import ADDRESS, LATER, SCAN, TARGET, WWW, Depot, admitted, record, result

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A", ttl=60)
NEWER = relations.resolves_to(WWW, ADDRESS, record="A", ttl=300)
TITLE = attributes.attribute(WWW, "tag", "mail")


def joined(pieces: Iterable[Facts]) -> tuple[list[EntityFacts], list[RelationFacts]]:
    pieces = list(pieces)
    return [each for one in pieces for each in one.entities], [each for one in pieces for each in one.relations]


async def read(store: Depot, of: UUID = SCAN, **fields: Any) -> tuple[list[EntityFacts], list[RelationFacts]]:
    return joined(await store.follow(e.READ_FACTS, FactsQuery(**{"scan": of, "all": True, **fields})))


async def read_of(store: Depot, *things: Any, of: UUID = SCAN) -> tuple[list[EntityFacts], list[RelationFacts]]:
    ids = tuple(each.id for each in things if not hasattr(each, "source"))
    pairs = tuple((each.source.id, each.id) for each in things if hasattr(each, "source"))
    return joined(await store.follow(e.READ_FACTS_OF, FactsOf(scan=of, entities=ids, relations=pairs)))


async def test_an_entity_has_its_place_and_all_that_is_said_of_it(store: Depot) -> None:
    proof = record("A www.example.org")
    await store.take(
        result("dns_records", stated(WWW, confidence=80, valid_from=5, valid_to=9), subject=WWW, records=[proof], at=7),
        result("dns_records", TITLE, Absence(WWW, "runs"), of=LATER),
        result("web", TITLE, at=8, version=3),
        result("brute", TITLE, Absence(WWW, "runs"), at=9),
        admitted((WWW, "in_scope", 0)),
        at=20,
    )
    ((found,), none) = await read(store)
    assert (found.entity, found.role, found.distance, found.first_seen, found.last_seen) == (WWW, "in_scope", 0, 7, 20)
    assert none == []
    (said,) = found.said
    assert (said.module, said.version, said.at, said.confidence) == ("dns_records", 1, 7, 80)
    assert (said.subject, said.evidence, said.valid_from, said.valid_to) == (WWW.id, (proof.id,), 5, 9)
    (tag,) = found.attributes
    assert (tag.name, tag.value) == ("tag", "mail")
    assert [(each.module, each.version, each.subject) for each in tag.said] == [
        ("web", 3, TARGET.id), ("brute", 1, TARGET.id),
    ]  # fmt: skip
    assert [(each.predicate, [one.module for one in each.said]) for each in found.absences] == [("runs", ["brute"])]


async def test_a_relation_has_its_ends_and_the_newest_details(store: Depot) -> None:
    await store.take(result("web", NEWER, at=9), result("dns_records", RESOLVES, at=5), admitted((WWW, "target", 0)))
    found, (relation,) = await read(store)
    assert [each.entity for each in found] == [WWW, ADDRESS]
    assert (found[1].role, found[1].said, found[1].attributes) == (None, (), ())
    assert (relation.id, relation.source, relation.target) == (RESOLVES.id, WWW, ADDRESS)
    assert (relation.qualifiers, relation.details) == (RESOLVES.qualifiers, {"ttl": 300})
    assert [each.module for each in relation.said] == ["dns_records", "web"]


async def test_entities_come_in_the_order_in_which_they_came_and_relations_after_their_sources(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "PIECE", 2)
    hosts = [entities.hostname(f"{name}.example.org") for name in "zyxwvut"]
    links = [relations.resolves_to(host, ADDRESS, record=kind) for host in hosts for kind in ("A", "AAAA", "CNAME")]
    await store.take(result("crtsh", *hosts))
    await store.take(result("dns_records", *links))
    pieces = await store.follow(e.READ_FACTS, FactsQuery(scan=SCAN, all=True))
    assert [each.entity for each in joined(pieces)[0]] == [*hosts, ADDRESS]
    assert {each.id for each in joined(pieces)[1]} == {link.id for link in links}
    seen = set()
    for piece in pieces:
        assert len(piece.entities) <= 2
        assert len(piece.relations) <= 2
        seen |= {each.entity for each in piece.entities}
        assert {each.source for each in piece.relations} <= seen


async def test_without_all_only_what_is_in_scope_is_read_and_where_that_leads(store: Depot) -> None:
    far, out = entities.hostname("far.example.net"), entities.hostname("out.example.net")
    links = [relations.resolves_to(host, ADDRESS, record="A") for host in (WWW, far)]
    await store.take(result("dns_records", *links, out), admitted((WWW, "in_scope", 0), (far, "affiliate", 1)))
    found, related = await read(store, all=False)
    assert [each.entity for each in found] == [WWW]
    assert [each.source for each in related] == [WWW]


async def test_of_a_hub_each_module_is_given_fifty_times(store: Depot) -> None:
    subjects = [entities.hostname(f"h{number}.example.org") for number in range(60)]
    await store.take(
        *(result("web", TITLE, RESOLVES, subject=each, at=n) for n, each in enumerate(subjects)),
        result("crtsh", TITLE),
    )
    found, (relation,) = await read(store)
    (tag,) = next(each for each in found if each.entity == WWW).attributes
    assert len(relation.said) == ASSERTED
    assert [each.module for each in tag.said].count("web") == ASSERTED
    assert [each.module for each in tag.said].count("crtsh") == 1


async def test_what_is_asked_for_is_what_reading_all_gives(store: Depot) -> None:
    hosts = [entities.hostname(f"h{number}.example.org") for number in range(80)]
    links = [relations.resolves_to(host, ADDRESS, record=kind) for host in hosts for kind in ("A", "AAAA")]
    for scan in (SCAN, LATER):
        await store.take(result("dns_records", TITLE, *links, of=scan), admitted((WWW, "target", 0), of=scan))
    everything = await read(store)
    some = await read_of(store, WWW, ADDRESS, *hosts, *links, RESOLVES, entities.hostname("unheard.example.org"))
    assert sorted(some[0], key=repr) == sorted((replace(each, named=()) for each in everything[0]), key=repr)
    assert sorted(some[1], key=repr) == sorted(everything[1], key=repr)
    assert len(some[1]) == 160


async def test_what_the_scan_does_not_say_any_more_is_left_out(store: Depot) -> None:
    await store.take(result("dns_records", RESOLVES, TITLE), result("crtsh", WWW), result("web", RESOLVES, of=LATER))
    await store.follow(e.RETRACT, Retract(module="dns_records", reason="wrong"))
    for found, related in (await read(store), await read_of(store, WWW, ADDRESS, RESOLVES)):
        assert [(each.entity, each.attributes) for each in found] == [(WWW, ())]
        assert related == []
    assert len((await read(store, LATER))[1]) == 1


async def test_too_much_at_once_and_a_scan_that_is_not_there_are_refused(store: Depot) -> None:
    with pytest.raises(Invalid):
        await store.follow(e.READ_FACTS_OF, FactsOf(scan=SCAN, entities=(WWW.id,) * (MAX_CHANGED + 1)))
    store.unknown = {LATER}
    for endpoint, question in ((e.READ_FACTS, FactsQuery(scan=LATER)), (e.READ_FACTS_OF, FactsOf(scan=LATER))):
        with pytest.raises(NotFound):
            await store.follow(endpoint, question)
