"""What is withdrawn is there and counts nowhere, until it is restored."""

import json
from typing import Any

import msgspec
import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import Deleted
from services.contracts.resources import ClaimsQuery, DiffQuery, EntityQuery, Retract, ScanId, SearchQuery
from services.kernel.calls import Nothing, operator
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import message_type
from services.kernel.trail import open_trail
from services.storage.service import service
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
    record,
    result,
)

API = entities.hostname("api.example.org")
RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")
WRONG = "its parser was wrong"
SHARED = record("GET /shared")


async def filled(store: Depot) -> None:
    """Two scans, in which the DNS says that www is there and where, and crtsh that api is, on a record of both."""
    for scan in (SCAN, LATER):
        await store.take(
            result("dns_records", WWW, RESOLVES, attributes.attribute(WWW, "tag", "mail"), of=scan),
            result("crtsh", API, of=scan, version=2, records=[SHARED]),
            admitted((TARGET, "target", 0), (WWW, "in_scope", 0), (API, "in_scope", 0), of=scan),
        )
    await store.index()


async def retract(store: Depot, workspace: Any = WORKSPACE, **fields: Any) -> int:
    question = Retract(**{"reason": "" if fields.get("undo") else WRONG, **fields})
    return sum(batch.claims for batch in await store.follow(e.RETRACT, question, workspace))


async def told(store: Depot) -> dict[str, Any]:
    """All that anybody may read of both scans."""
    found = {}
    for scan in (SCAN, LATER):
        for form in ("hosts", "jsonl", "csv", "json"):
            found[f"{scan} {form}"] = await store.export(form, scan)
        found[f"{scan} canonical"] = await store.export("jsonl", scan, canonical=True)
        found[f"{scan} claims"] = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=scan))
        found[f"{scan} members"] = (await store.ask(e.FIND_ENTITIES, SearchQuery(scan=scan))).entities
    for value in ("www.example.org", "api.example.org", "192.0.2.1", "example.org"):
        found[value] = await store.ask(e.GET_ENTITY, EntityQuery(value=value))
    found["search"] = (await store.ask(e.FIND_ENTITIES, SearchQuery(text="example"))).entities
    found["diff"] = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    return found


async def values(store: Depot, scan: Any = None) -> set[str]:
    page = await store.ask(e.FIND_ENTITIES, SearchQuery(scan=scan))
    return {row.value for row in page.entities}


async def test_what_a_module_said_counts_nowhere_once_it_is_withdrawn(store: Depot) -> None:
    await filled(store)
    assert await retract(store, module="dns_records") == 6
    assert await store.export("hosts", all=True) == "example.org\tunknown\napi.example.org\tunknown\n"
    for form in ("jsonl", "csv", "json"):
        assert "www" not in await store.export(form)
    assert "dns_records" not in await store.export("jsonl", canonical=True)
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org")) == ()
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="192.0.2.1", scan=SCAN)) == ()
    assert await values(store) == await values(store, SCAN) == {"example.org", "api.example.org"}
    assert [view.module for view in await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN))] == ["crtsh"]


async def test_undoing_restores_everything_as_it_was(store: Depot) -> None:
    await filled(store)
    before, stored = await told(store), await store.tables()
    for words in ({"module": "dns_records"}, {"scan": LATER}, {"record": SHARED.id.hex()}):
        assert await retract(store, **words) > 0
        assert await told(store) != before
        assert await retract(store, **words, undo=True) > 0
        assert await told(store) == before
    assert await store.tables() == stored
    assert await store.ask(e.LIST_RETRACTIONS, Nothing()) == ()


async def test_a_scan_that_is_withdrawn_leaves_what_others_say(store: Depot) -> None:
    await filled(store)
    whole = await store.export("jsonl", LATER)
    assert await retract(store, scan=SCAN) == 4
    assert await values(store, SCAN) == {"example.org"}
    assert await values(store) == {"example.org", "api.example.org", "www.example.org", "192.0.2.1"}
    assert await store.export("jsonl", LATER) == whole
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    assert {assertion.scan for assertion in view.assertions} == {LATER}


async def test_another_version_is_not_meant(store: Depot) -> None:
    await filled(store)
    assert await retract(store, module="crtsh", version=1) == 0
    assert await retract(store, module="crtsh", version=2) == 2


async def test_of_several_words_what_all_take_in_is_withdrawn(store: Depot) -> None:
    await filled(store)
    assert await retract(store, module="crtsh", scan=LATER) == 1
    assert "api.example.org" in await values(store, SCAN)
    assert "api.example.org" not in await values(store, LATER)


async def test_what_rests_on_a_record_is_withdrawn_and_its_neighbours_stay(store: Depot) -> None:
    one, two = record("GET /1"), record("GET /2")
    await store.take(result("web", WWW, API, records=[one, two]), result("crtsh", WWW, records=[one]))
    assert await retract(store, record=one.id.hex().upper()) == 2
    left = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN))
    assert [(view.module, view.claim) for view in left] == [("web", API)]


async def test_a_claim_that_two_retractions_take_in_is_back_when_both_are_undone(store: Depot) -> None:
    await filled(store)
    await retract(store, scan=SCAN)
    await retract(store, module="dns_records")
    await retract(store, record=SHARED.id.hex())
    assert await retract(store, scan=SCAN, undo=True) == 0
    assert await retract(store, module="dns_records", undo=True) == 6
    assert await values(store, SCAN) == {"example.org", "www.example.org", "192.0.2.1"}
    assert await retract(store, record=SHARED.id.hex(), undo=True) == 2


async def test_withdrawing_twice_is_withdrawing_once(store: Depot) -> None:
    await filled(store)
    assert await retract(store, module="crtsh") == 2
    stored = await store.tables()
    assert await retract(store, module="crtsh") == 0
    assert await store.tables() == stored
    assert await retract(store, module="crtsh", undo=True) == 2
    assert await retract(store, module="crtsh", undo=True) == 0


async def test_a_retraction_that_was_broken_off_is_made_whole_by_saying_it_again(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retracting, "BATCH", 2)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(7)]
    await store.take(*(result("web", host, subject=host) for host in hosts))
    batches = store.calls.follow(e.RETRACT, Retract(module="web", reason=WRONG), operator(WORKSPACE))
    assert (await anext(batches)).claims == 2
    await batches.aclose()
    assert len(await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN))) == 5
    assert await retract(store, module="web") == 5
    assert await store.export() == ""


async def test_an_undoing_that_was_broken_off_leaves_it_listed_until_it_is_made_whole(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retracting, "BATCH", 2)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(5)]
    await store.take(*(result("web", host, subject=host) for host in hosts))
    assert await retract(store, module="web") == 5
    batches = store.calls.follow(e.RETRACT, Retract(module="web", reason="", undo=True), operator(WORKSPACE))
    assert (await anext(batches)).claims == 2
    await batches.aclose()
    assert len(await store.ask(e.LIST_RETRACTIONS, Nothing())) == 1
    assert await retract(store, module="web", undo=True) == 3
    assert await store.ask(e.LIST_RETRACTIONS, Nothing()) == ()


async def test_what_comes_later_is_withdrawn_as_it_comes(store: Depot) -> None:
    await store.take(result("web", WWW))
    await retract(store, module="web", version=1)
    await store.take(result("web", API, subject=WWW), result("web", API, subject=WWW, of=LATER, turn=1))
    await store.take(result("web", WWW, version=2, turn=2))
    assert await values_of_export(store) == {"www.example.org"}
    assert await store.export(of=LATER) == ""
    assert await retract(store, module="web", version=1) == 0
    assert await retract(store, module="web", version=1, undo=True) == 3
    await store.take(result("web", ADDRESS, subject=API))
    assert await values_of_export(store) == {"www.example.org", "api.example.org", "192.0.2.1"}


async def test_what_comes_while_it_is_restored_is_not_withdrawn(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retracting, "BATCH", 1)
    await store.take(result("web", WWW), result("web", API, subject=WWW))
    await retract(store, module="web")
    batches = store.calls.follow(e.RETRACT, Retract(module="web", undo=True), operator(WORKSPACE))
    assert (await anext(batches)).claims == 1
    await store.take(result("web", ADDRESS, subject=WWW))
    await batches.aclose()
    assert "192.0.2.1" in await values_of_export(store)
    assert len(await store.ask(e.LIST_RETRACTIONS, Nothing())) == 1
    await retract(store, module="web", undo=True)
    assert await values_of_export(store) == {"www.example.org", "api.example.org", "192.0.2.1"}


async def test_a_claim_whose_record_becomes_a_withdrawn_one_is_withdrawn_with_it(store: Depot) -> None:
    least, other = sorted((record("GET /1"), record("GET /2")), key=lambda each: each.id)
    await store.take(result("web", WWW, records=[other]))
    await retract(store, record=least.id.hex())
    await store.take(result("web", WWW, records=[least], turn=1))
    assert await store.export() == ""


async def test_a_source_is_the_modules_that_name_it_or_its_hosts(store: Depot) -> None:
    store.sources = {"crtsh": ("crt.sh", ("crt.sh", "mirror.example")), "web": ("the target itself", ())}
    await store.take(result("crtsh", WWW), result("web", API), result("dns_records", ADDRESS))
    assert await retract(store, source="Mirror.example") == 1
    assert await values_of_export(store) == {"api.example.org", "192.0.2.1"}
    (one,) = await store.ask(e.LIST_RETRACTIONS, Nothing())
    assert (one.source, one.modules) == ("Mirror.example", ("crtsh",))
    store.sources = {}
    await store.take(result("crtsh", WWW, turn=1, subject=WWW))
    assert await values_of_export(store) == {"api.example.org", "192.0.2.1"}
    assert await retract(store, source="Mirror.example", undo=True) == 2
    for undo in (False, True):
        with pytest.raises(NotFound):
            await retract(store, source="nobody.example", undo=undo)


async def test_what_was_observed_since_an_instant_is_withdrawn_and_what_was_before_stays(store: Depot) -> None:
    await store.take(result("web", WWW, at=9), result("web", API, subject=WWW, at=10), result("crtsh", API, at=10))
    assert await retract(store, module="web", since=10) == 1
    await store.take(result("web", ADDRESS, subject=API, at=9), result("web", TARGET, subject=ADDRESS, at=11))
    assert await values_of_export(store) == {"www.example.org", "api.example.org", "192.0.2.1"}
    assert await retract(store, since=10) == 1
    assert await values_of_export(store) == {"www.example.org", "192.0.2.1"}


async def values_of_export(store: Depot) -> set[str]:
    return {json.loads(line)["value"] for line in (await store.export()).splitlines()}


async def test_what_was_answered_and_withdrawn_makes_nothing_gone(store: Depot) -> None:
    await store.take(result("web", WWW), result("web", WWW, of=LATER))
    await retract(store, module="web", scan=LATER)
    (change,) = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    assert (change.kind, change.value) == ("unknown", "www.example.org")


@pytest.mark.parametrize(("cited", "kind"), [("GET /later", "unknown"), ("GET /crtsh/0", "gone")])
async def test_a_record_that_is_withdrawn_casts_doubt_on_what_rests_on_it_alone(
    store: Depot, cited: str, kind: str
) -> None:
    await store.take(
        result("web", WWW),
        result("web", of=LATER, outcome="empty", records=[record("GET /later")]),
        result("crtsh", TARGET, of=LATER),
    )
    await retract(store, record=record(cited).id.hex())
    changes = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    assert [change.kind for change in changes if change.value == "www.example.org"] == [kind]


async def test_a_target_stays_whoever_named_it_too(store: Depot) -> None:
    await store.take(result("web", TARGET, WWW), admitted((TARGET, "target", 0), (WWW, "in_scope", 0)))
    await store.index()
    await retract(store, module="web")
    assert await values(store) == await values(store, SCAN) == {TARGET.value}


async def test_a_claim_of_two_turns_is_withdrawn_with_the_record_that_it_is_kept_with(store: Depot) -> None:
    least, other = sorted((record("GET /1"), record("GET /2")), key=lambda each: each.id)
    await store.take(result("web", WWW, records=[other]), result("web", WWW, records=[least], turn=1))
    assert await retract(store, record=other.id.hex()) == 0
    assert await retract(store, record=least.id.hex()) == 1
    assert await store.export() == ""


async def test_a_replay_reads_withdrawn_claims_and_what_is_stored_is_counted_with_them(store: Depot) -> None:
    await store.take(result("web", WWW))
    await retract(store, module="web")
    (view,) = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, withdrawn=True))
    assert view.claim == WWW
    assert (await store.ask(e.GET_STORED, ScanId(SCAN))).claims == 1


async def test_nobody_withdraws_what_is_said_in_another_workspace(store: Depot) -> None:
    await filled(store)
    before = await told(store)
    assert await retract(store, ELSEWHERE, module="crtsh") == 0
    assert await retract(store, ELSEWHERE, record=SHARED.id.hex()) == 0
    assert await told(store) == before
    assert await store.ask(e.LIST_RETRACTIONS, Nothing()) == ()


async def test_what_is_withdrawn_is_listed_with_its_reason(store: Depot) -> None:
    await filled(store)
    await retract(store, module="crtsh", version=2)
    await retract(store, record=SHARED.id.hex(), scan=SCAN, reason="forged")
    one, two = await store.ask(e.LIST_RETRACTIONS, Nothing())
    assert (one.module, one.version, one.scan, one.record, one.reason) == ("crtsh", 2, None, "", WRONG)
    assert (two.module, two.version, two.scan, two.record, two.reason) == ("", None, SCAN, SHARED.id.hex(), "forged")
    await store.take(Deleted(scan=SCAN))
    assert await store.ask(e.LIST_RETRACTIONS, Nothing()) == (one,)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"version": 2},
        {"module": "web", "reason": " "},
        {"module": "web", "reason": "a\nb"},
        {"module": "a\0"},
        {"record": "ab"},
        {"record": "zz" * 32},
    ],
    ids=repr,
)
async def test_what_says_not_whose_claims_or_why_is_refused(store: Depot, words: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await retract(store, **words)


async def test_the_audit_trail_names_what_was_withdrawn_and_no_text_that_names_nothing(store: Depot) -> None:
    await filled(store)
    open_trail(service, store.ports)
    await retract(store, module="crtsh", version=2)
    await retract(store, module="a text of who asks")
    await retract(store, record=SHARED.id.hex(), undo=True)
    async with store.sql.read() as view:
        rows = await view.fetch(
            "SELECT data FROM outbox WHERE type = :type ORDER BY position", type=message_type(Record)
        )
    assert [msgspec.json.decode(data, type=Record).about for (data,) in rows] == [
        {"module": "crtsh", "version": "2"}, {}, {"record": SHARED.id.hex(), "undo": "true"},
    ]  # fmt: skip


async def test_a_scan_that_is_not_there_cannot_be_withdrawn(store: Depot) -> None:
    store.unknown = {LATER}
    with pytest.raises(NotFound):
        await retract(store, scan=LATER)
