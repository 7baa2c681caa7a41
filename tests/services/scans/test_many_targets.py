"""A scan of very many targets: none of its messages, lists and rows grows with them."""

import msgspec
import pytest

from services.contracts.facts import Started
from services.contracts.plan import Limits
from services.contracts.resources import ScanId
from services.kernel.calls import Nothing
from services.kernel.messages import MAX_BYTES
from services.scans import api
from services.scans.domain.candidates import Candidates
from services.scans.settings import TARGETS_SAID
from services.scans.store import scans as scan_store
from services.scans.usecases.admit import admit
from services.scans.usecases.ledger import _PLANS, _PLANS_KEPT, Ledger
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, module

LONG = 600
URLS = tuple(f"https://www.example.org/{number}/{'a' * 1900}" for number in range(LONG))
WEB = module("web", "passive", "url")


async def test_no_message_carries_all_targets(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    assert sum(map(len, URLS)) > MAX_BYTES
    await desk.create(*URLS)
    (started,) = await desk.all_said(Started)
    assert (len(started.targets), started.target_count) == (TARGETS_SAID, LONG)


async def test_a_scan_is_shown_and_listed_with_its_first_targets_and_their_count(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    scan = await desk.scan(await desk.create(*URLS))
    (listed,) = await api.list_scans(desk.ports, CALLER, Nothing())
    assert (len(scan.targets), scan.target_count) == (TARGETS_SAID, LONG)
    assert (listed.targets, listed.target_count) == (URLS[:TARGETS_SAID], LONG)
    assert len((await api.get_plan(desk.ports, CALLER, ScanId(scan.id))).targets) == LONG


async def test_the_row_that_every_result_changes_does_not_hold_all_targets(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    scan = await desk.create(*URLS)
    before = await api.get_plan(desk.ports, CALLER, ScanId(scan))
    async with desk.sql.read() as view:
        row = await view.fetch_one("SELECT LENGTH(targets) + LENGTH(plan) FROM scan")
    assert row is not None
    assert row[0] <= TARGETS_SAID * 2_100 + scan_store.PLAN_IN_ROW
    desk.ports.state.clear()  # as another process would find it
    assert await api.get_plan(desk.ports, CALLER, ScanId(scan)) == before


async def test_the_plans_of_a_few_scans_are_kept_in_memory_and_all_are_there(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("dns", "dns", "domain"))
    scans = [await desk.create(f"example{number}.org") for number in range(2 * _PLANS_KEPT)]
    for number, scan in enumerate(scans):
        (target,) = (await api.get_plan(desk.ports, CALLER, ScanId(scan))).targets
        assert target.value == f"example{number}.org"
    assert len(desk.ports.state[_PLANS]) <= _PLANS_KEPT


async def test_a_long_plan_goes_with_its_scan(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    scan = await desk.create(*URLS)
    async with desk.sql.read() as view:
        row = await scan_store.load(view, CALLER.workspace.bytes, scan.bytes)
    assert row is not None
    await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    async with desk.sql.begin() as tx:
        while not await scan_store.sweep(tx, row.key, 1000):
            pass
        assert await tx.fetch_one("SELECT 1 FROM long_plan") is None


async def test_a_word_list_is_kept_as_long_as_a_scan_with_a_long_plan_has_it(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    words = bytes(range(32))
    first, second = (
        await desk.create("https://a.example/", words=words.hex()),
        await desk.create(*URLS, words=words.hex()),
    )
    async with desk.sql.begin() as tx:
        for scan, left in ((first, True), (second, False)):
            row = await scan_store.load_for_change(tx, CALLER.workspace.bytes, scan.bytes)
            assert row is not None
            await scan_store.drop(tx, row)
            assert await scan_store.has_words(tx, CALLER.workspace.bytes, words) is left


async def test_scans_made_before_the_count_was_kept_are_listed_as_they_were(open_desk: OpenDesk) -> None:
    desk = await open_desk(WEB)
    scan = await desk.create("https://a.example/", "https://b.example/")
    plan = await api.get_plan(desk.ports, CALLER, ScanId(scan))
    async with desk.sql.begin() as tx:
        await tx.execute(
            "UPDATE scan SET target_count = NULL, target_set = NULL, targets = :targets",
            targets=msgspec.json.encode(plan.targets).decode(),
        )
    (listed,) = await api.list_scans(desk.ports, CALLER, Nothing())
    assert (listed.targets, listed.target_count) == (("https://a.example/", "https://b.example/"), 2)


async def test_the_time_to_take_in_targets_is_none_of_the_time_that_a_run_may_take(
    open_desk: OpenDesk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def admit_slowly(ledger: Ledger, seen: Candidates) -> None:
        clock.forward(60)
        await admit(ledger, seen)

    monkeypatch.setattr("services.scans.usecases.create.admit", admit_slowly)
    desk = await open_desk(WEB)
    scan = await desk.scan(await desk.create("https://a.example/", limits=Limits(timeout=10)))
    assert scan.deadline == clock.at + 10_000_000
