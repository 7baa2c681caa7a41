"""Whoever follows what storage says of a scan misses nothing, and is told of nothing that stayed as it was."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.facts import Changed, Deleted
from services.contracts.resources import Retract, ScanId
from services.kernel.messages import message_type
from services.storage import domain
from services.storage.usecases import retract as retracting
from tests.services.storage.depot import (
    ADDRESS,
    ELSEWHERE,
    LATER,
    SCAN,
    TARGET,
    WORKSPACE,
    WWW,
    Depot,
    admitted,
    result,
)

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


async def said(store: Depot, of: UUID = SCAN, workspace: UUID = WORKSPACE) -> list[Changed]:
    """What was said of a scan, in the order of the ordinals."""
    async with store.sql.read() as view:
        rows = await view.fetch(
            "SELECT data FROM outbox WHERE type = :type AND workspace = :workspace",
            type=message_type(Changed),
            workspace=workspace.bytes,
        )
    messages = [msgspec.json.decode(data, type=Changed) for (data,) in rows]
    return sorted((each for each in messages if each.scan == of), key=lambda each: each.ordinal)


async def latest(store: Depot, before: Sequence[Changed]) -> tuple[set[bytes], set[tuple[bytes, bytes]]]:
    fresh = (await said(store))[len(before) :]
    return {each for one in fresh for each in one.entities}, {each for one in fresh for each in one.relations}


async def test_all_that_was_claimed_of_and_all_that_is_new_is_said(store: Depot) -> None:
    await store.take(result("dns_records", RESOLVES, attributes.attribute(WWW, "tag", "mail"), TARGET))
    (message,) = await said(store)
    assert message.ordinal == 1
    assert set(message.entities) == {WWW.id, ADDRESS.id, TARGET.id}
    assert message.relations == ((WWW.id, RESOLVES.id),)


async def test_an_end_that_is_where_it_was_is_not_said_again(store: Depot) -> None:
    api = entities.hostname("api.example.org")
    await store.take(result("dns_records", RESOLVES))
    other = relations.resolves_to(api, ADDRESS, record="A")
    before = await said(store)
    await store.take(result("brute", other))
    assert await latest(store, before) == ({api.id}, {(api.id, other.id)})


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("affiliate", 2), False),
        (("external", 3), False),
        (("in_scope", 2), True),
        (("affiliate", 1), True),
    ],
)
async def test_a_place_is_said_where_it_is_stronger_or_nearer(store: Depot, place: tuple[Any, int], told: bool) -> None:
    await store.take(admitted((WWW, "affiliate", 2)))
    before = await said(store)
    await store.take(admitted((WWW, *place), ordinal=2))
    assert await latest(store, before) == ({WWW.id} if told else set(), set())


async def test_an_entity_of_another_scan_is_new_in_this_one(store: Depot) -> None:
    await store.take(result("crtsh", RESOLVES, of=LATER))
    await store.take(result("crtsh", RESOLVES))
    assert await latest(store, ()) == ({WWW.id, ADDRESS.id}, {(WWW.id, RESOLVES.id)})


async def test_ordinals_count_the_messages_of_each_scan_without_a_gap(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MAX_CHANGED", 3)
    hosts = [entities.hostname(f"h{number}.example.org") for number in range(7)]
    links = [relations.resolves_to(host, ADDRESS, record="A") for host in hosts]
    await store.take(result("crtsh", *hosts), result("brute", *links), result("crtsh", WWW, of=LATER))
    await store.take(result("web", *hosts))
    await store.take(result("web", WWW), workspace=ELSEWHERE)
    messages = await said(store)
    assert [each.ordinal for each in messages] == list(range(1, 9))
    assert all(0 < len(each.entities) + len(each.relations) <= 3 for each in messages)
    assert {each for one in messages for each in one.relations} == {(link.source.id, link.id) for link in links}
    assert [each.ordinal for each in await said(store, LATER)] == [1]
    assert [each.ordinal for each in await said(store, workspace=ELSEWHERE)] == [1]
    assert (await store.ask(e.GET_STORED, ScanId(SCAN))).changes == 8
    assert (await store.ask(e.GET_STORED, ScanId(UUID(int=77)))).changes == 0


async def test_what_a_deleted_scan_still_brings_changes_nothing(store: Depot) -> None:
    await store.take(Deleted(scan=SCAN))
    await store.take(result("crtsh", WWW), admitted((WWW, "in_scope", 0)))
    assert await said(store) == []


async def test_what_is_withdrawn_and_restored_is_said_batch_by_batch(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retracting, "BATCH", 1)
    await store.take(result("dns_records", RESOLVES), result("crtsh", TARGET, WWW), result("crtsh", WWW, of=LATER))
    for undo in (False, True):
        before = await said(store)
        question = Retract(module="dns_records", reason="wrong", undo=undo)
        await store.follow(e.RETRACT, question)
        assert await latest(store, before) == ({WWW.id, ADDRESS.id}, {(WWW.id, RESOLVES.id)})
        before = await said(store)
        await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong", undo=undo))
        assert await latest(store, before) == ({WWW.id, TARGET.id}, set())
    assert [each.ordinal for each in await said(store, LATER)] == [1, 2, 3]
