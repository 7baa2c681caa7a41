"""What a collector makes of batches: each request once whatever dies, each result once, and nobody disturbs another."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.collector import api, store
from services.collector.collector import GONE, HELD, LEFT, LONGEST_LEFT, say_modules
from services.collector.consumers import CONSUMERS, deleted, give_up
from services.collector.context import Blocked, RateLimited, Unreachable
from services.collector.item.run import Module
from services.collector.journal import digest
from services.collector.manifest import ModuleFile, digest_of_file
from services.collector.versions import FRESH, UNASKED, Versions
from services.contracts import entities
from services.contracts.commands import Collect, command_id
from services.contracts.endpoints import GET_PLAN
from services.contracts.facts import ANNOUNCED, Collected, Deleted, Superseded
from services.contracts.plan import Plan
from services.contracts.resources import Announcement, ScanId
from services.contracts.subjects import Names, NamesDigest
from services.kernel import metrics
from services.kernel.blobs import Blob
from services.kernel.calls import Caller, Nothing, operator
from services.kernel.errors import Exhausted, NotFound, Unavailable
from services.kernel.messages import envelop
from services.kernel.service import Hold, Received
from services.kernel.workers import Workers
from services.scans.settings import RATED_WINDOW
from tests.collector.process import Process, World, ask, asks, command, item, message_id, process
from tests.collector.workshop import SCAN, WORKSPACE, manifest, plan


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def hosts(results: list[Collected]) -> set[str]:
    return {said.claim.value for result in results for said in result.said}


# Announcing


async def test_the_digest_of_an_announcement_tells_which_modules_are_in_it(tmp_path: Path) -> None:
    digests = []
    for module in (asks("/a"), asks("/a"), asks("/a", version=2)):
        async with process(tmp_path / "one", World(), module) as one:
            announced = one.collector.announced
            answer = await api.get_announcement(one.ports, operator(WORKSPACE), Nothing())
            assert answer == Announcement(announced.digest, announced.modules)
            assert say_modules(one.ports) == {ANNOUNCED: announced.digest}
            digests.append(announced.digest)
    assert digests[0] == digests[1] != digests[2]


# Once


async def test_a_batch_is_asked_and_its_results_are_said_once(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", "/b")) as one:
        batch = command(item(1), item(2))
        for _ in range(3):
            assert await one.run(batch) is None
        results = await one.said(Collected)
        assert {result.item for result in results} == {item(1).id, item(2).id}
        assert [(each.outcome, each.parts, each.requests) for each in results] == [("found", 1, 2)] * 2
        assert hosts(results) == {"a.n1.org", "b.n1.org", "a.n2.org", "b.n2.org"}
        assert all(len(each.records) == 2 for each in results)
    assert set(world.asked.values()) == {1}


async def test_a_batch_that_is_given_out_again_while_it_is_in_work_comes_back_when_it_is_not(tmp_path: Path) -> None:
    world = World()
    held = world.held["/a of n1.org"] = asyncio.Event()
    async with process(tmp_path, world, asks("/a", "/b")) as one:
        running = asyncio.create_task(one.run(command(item(1))))
        await until(lambda: "/a of n1.org" in world.asked)
        assert await one.run(command(item(1))) == HELD
        held.set()
        assert await running is None
        assert await one.run(command(item(1))) is None
        assert len(await one.said(Collected)) == 1
    assert set(world.asked.values()) == {1}


@pytest.mark.parametrize(("rate", "waits_for"), [(0.0, "collector"), (1000.0, "source")])
async def test_items_that_are_done_are_counted_by_what_they_had_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float, waits_for: str
) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()
    async with process(tmp_path, World(), asks("/a", rate=rate)) as one:
        await one.run(command(item(1), item(2)))
    counted = re.findall(r"(?m)^mirage_items_total{(.*)} (\S+)$", (await metrics.render()).decode())
    assert counted == [(f'outcome="found",waits_for="{waits_for}"', "2.0")]


async def test_results_name_the_command_that_led_to_them(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        batch, unknown = command(item(1), item(2)), command(item(3), version=9, batch=2)
        for each in (batch, unknown):
            await one.run(each)
        async with one.sql.read() as view:
            causes = {bytes(row[0]) for row in await view.fetch("SELECT cause FROM outbox")}
    assert causes == {command_id(WORKSPACE, each.batch).bytes for each in (batch, unknown)}


async def test_a_bundle_names_the_last_of_the_commands_whose_results_are_in_it(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        one._tasks[1].cancel()  # results are gathered
        running = []
        for number in (1, 2, 3):
            running.append(asyncio.create_task(one.run(command(item(number), batch=number))))
            await until(lambda so_far=number: len(one.collector._results._waiting) == so_far)
        one._tasks.append(asyncio.create_task(one.collector._results.run()))
        await asyncio.gather(*running)
        async with one.sql.read() as view:
            causes = [bytes(row[0]) for row in await view.fetch("SELECT cause FROM outbox")]
    assert causes == [command_id(WORKSPACE, UUID(int=3)).bytes]


async def test_a_finished_request_is_never_made_twice_whenever_the_process_dies(tmp_path: Path) -> None:
    paths = ("/a", "/b", "/c", "/d")
    world = World()
    for dies_at in paths:
        held = world.held[f"{dies_at} of n1.org"] = asyncio.Event()
        async with process(tmp_path, world, asks(*paths)) as one:
            running = asyncio.create_task(one.run(command(item(1))))
            await until(lambda request=f"{dies_at} of n1.org": request in world.asked)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert not await one.said(Collected)
        held.set()
    async with process(tmp_path, world, asks(*paths)) as last:
        await last.run(command(item(1)))
        (result,) = await last.said(Collected)
        assert hosts([result]) == {"a.n1.org", "b.n1.org", "c.n1.org", "d.n1.org"}
        assert await last.ids(Collected) == [message_id(item(1))]
    assert world.asked == dict.fromkeys((f"{path} of n1.org" for path in paths), 2)  # the one in flight, and once more


async def test_a_death_between_journal_and_publishing_costs_no_request(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        one._tasks[1].cancel()  # results are gathered and never written
        running = asyncio.create_task(one.run(command(item(1))))
        await until(lambda: bool(one.collector._results._waiting))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    async with process(tmp_path, world, asks("/a")) as two:
        await two.run(command(item(1)))
        assert hosts(await two.said(Collected)) == {"a.n1.org"}
    assert world.asked == {"/a of n1.org": 1}


async def test_a_death_between_publishing_and_accepting_says_nothing_again(tmp_path: Path) -> None:
    world = World()
    for _ in range(2):
        async with process(tmp_path, world, asks("/a")) as one:
            await one.run(command(item(1)))
            assert await one.ids(Collected) == [message_id(item(1))]
    assert world.asked == {"/a of n1.org": 1}


async def test_two_who_work_on_the_same_item_say_the_same(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", "/b", concurrency=2)) as one:
        await asyncio.gather(*(one.run(command(item(1))) for _ in range(2)))
        assert set(await one.ids(Collected)) == {message_id(item(1))}
        results = await one.said(Collected)
        assert all(each.records == results[0].records for each in results)


async def test_a_result_is_said_in_one_bundle_alone_whoever_else_had_its_item(tmp_path: Path) -> None:
    world = World()
    world.held["/a of n3.org"] = asyncio.Event()
    async with process(tmp_path, world, asks("/a", concurrency=4)) as one:
        late = asyncio.create_task(one.run(command(item(1), item(3), batch=1)))
        await asyncio.gather(*(one.run(command(item(1), item(other), batch=other)) for other in (2, 4)))
        world.held["/a of n3.org"].set()
        await late
        results = await one.said(Collected)
    assert sorted(result.item for result in results) == [item(number).id for number in (1, 2, 3, 4)]


async def test_in_the_next_turn_only_what_failed_is_asked_again(tmp_path: Path) -> None:
    world = World()
    world.failures["/b of n1.org"] = RateLimited("slowly", 5.0)
    async with process(tmp_path, world, asks("/a", "/b", "/c")) as one:
        await one.run(command(item(1)))
        world.failures.clear()
        await one.run(command(item(1), batch=2))
        await one.run(command(item(1, turn=1), batch=3))
        first, second = await one.said(Collected)
    assert (first.outcome, first.retry_after, first.turn, hosts([first])) == ("rate_limited", 5.0, 0, {"a.n1.org"})
    assert (second.outcome, second.turn) == ("found", 1)
    assert hosts([second]) == {"a.n1.org", "b.n1.org", "c.n1.org"}
    assert world.asked == {"/a of n1.org": 1, "/b of n1.org": 2, "/c of n1.org": 1}


# Leases


async def test_a_batch_that_is_leased_to_nobody_is_dropped_unasked(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        one.lost.add(command(item(1)).batch)
        assert await one.run(command(item(1))) is None
        assert not await one.said(Collected)
    assert not world.asked


async def test_a_batch_of_a_scan_that_was_deleted_is_dropped_without_an_error(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        one.calls.serve(None, {GET_PLAN: gone})
        assert await one.run(command(item(1))) is None
        assert not await one.said(Collected)
    assert not world.asked


async def gone(_: object, caller: Caller, question: ScanId) -> Plan:
    raise NotFound(f"there is no scan {question.scan}")


async def test_a_batch_that_is_lost_on_the_way_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.collector.RENEW_EVERY", 0.01)
    world = World()
    world.held["/a of n1.org"] = asyncio.Event()
    async with process(tmp_path, world, asks("/a")) as one:
        running = asyncio.create_task(one.run(command(item(1))))
        await until(lambda: bool(world.asked) and one.renewals > 3)
        one.lost.add(command(item(1)).batch)
        assert await running is None
        world.held["/a of n1.org"].set()
        assert not await one.said(Collected)


async def test_a_lease_that_could_not_be_renewed_for_a_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collector.collector.RENEW_EVERY", 0.01)
    world = World()
    world.held["/a of n1.org"] = asyncio.Event()
    async with process(tmp_path, world, asks("/a")) as one:
        running = asyncio.create_task(one.run(command(item(1))))
        await until(lambda: bool(world.asked))
        one.away = 3
        await until(lambda: one.away == 0)
        world.held["/a of n1.org"].set()
        await running
        assert hosts(await one.said(Collected)) == {"a.n1.org"}


async def test_while_scans_is_away_nothing_is_begun(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        one.away = 1
        with pytest.raises(Unavailable):
            await one.run(command(item(1)))
    assert not world.asked


# Rates


async def test_a_batch_that_waits_for_a_rate_goes_back_with_what_is_done_published(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", rate=0.1, burst=2)) as one:
        delay = await one.run(command(*(item(number) for number in range(5))))
        assert delay is not None
        assert 5 < delay <= 20
        assert len(await one.said(Collected)) == 2
        assert not any(slot.locked() for slot in one.collector._slots.values())
        again = await one.run(command(*(item(number) for number in range(5))))
        assert again is not None
    assert len(world.asked) == 2


async def test_a_batch_comes_back_well_within_its_lease_however_long_its_rate_makes_it_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collector.collector.LONGEST_DELAY", 3.0)
    async with process(tmp_path, World(), asks("/a", rate=0.04)) as one:
        assert await one.run(command(item(1), item(2))) == 3.0


async def test_a_short_wait_is_waited_for(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", rate=20.0)) as one:
        assert await one.run(command(*(item(number) for number in range(4)))) is None
        assert len(await one.said(Collected)) == 4


async def test_workspaces_take_turns_at_a_source_with_a_rate(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", rate=500.0)) as one:
        ours = [command(item(n), item(n + 1), batch=n) for n in range(100, 140, 2)]
        theirs = [command(item(n), item(n + 1), batch=n) for n in range(200, 240, 2)]

        async def hand_out(workspace: UUID, waiting: list[Collect]) -> None:
            while waiting:
                await one.collector.run_batch(workspace, waiting.pop(0), Hold(one.bus, None))  # type: ignore[arg-type]

        # Each scan has as many batches at such a source as scans lets it have; the first comes some time before.
        workers = [asyncio.create_task(hand_out(WORKSPACE, ours)) for _ in range(RATED_WINDOW)]
        await until(lambda: len(world.asked) > 2)
        workers += [asyncio.create_task(hand_out(UUID(int=77), theirs)) for _ in range(RATED_WINDOW)]
        await asyncio.gather(*workers)
    whose = ["/a of n1" in request for request in world.asked]
    assert (sum(whose), len(whose)) == (40, 80)
    first = whose.index(False)
    assert first <= 2 * RATED_WINDOW + 4, "the second waits for no more than what is in flight of the first"
    both = whose[first : first + 60]
    for taken in range(1, len(both) + 1):
        assert abs(2 * sum(both[:taken]) - taken) <= 4 * RATED_WINDOW, taken


async def test_a_worker_is_free_while_a_batch_waits_for_its_rate(tmp_path: Path) -> None:
    world = World()
    slow, quick = asks("/a", rate=0.001), asks("/b", name="quick")
    async with process(tmp_path, world, slow, quick) as one:
        await one.declare()
        batches = [
            command(item(1), item(2), batch=1),
            command(item(3), module="quick", batch=2),
        ]
        await one.bus.publish(
            [envelop(each, source="scans", workspace=WORKSPACE, id=each.batch, filter="passive") for each in batches]
        )
        handles = next(each for each in CONSUMERS if each.name == "collect")
        worker = asyncio.create_task(
            Workers(one.ports, one.ports.outbox, type(handles)(**{**_fields(handles), "parallel": 1})).run()
        )
        await until(lambda: "/b of n3.org" in world.asked)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert world.asked == {"/a of n1.org": 1, "/b of n3.org": 1}


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


async def test_no_more_items_of_a_module_are_under_way_than_it_says(tmp_path: Path) -> None:
    world = World()
    for number in range(6):
        world.held[f"/a of n{number}.org"] = asyncio.Event()
    async with process(tmp_path, world, asks("/a", concurrency=2)) as one:
        batches = [command(*(item(n) for n in some), batch=some[0]) for some in ((0, 1, 2), (3, 4, 5))]
        running = [asyncio.create_task(one.run(batch)) for batch in batches]
        await until(lambda: len(world.asked) == 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(world.asked) == 2
        for event in world.held.values():
            event.set()
        await asyncio.gather(*running)
        assert len(await one.said(Collected)) == 6


# Faults


async def test_a_fault_of_one_item_is_its_own(tmp_path: Path) -> None:
    def made(world: World) -> Module:
        async def collect(seen, ctx):
            yield await ask(world, ctx, f"/a of {seen.value}")
            if seen.value == "n2.org":
                raise KeyError("x")

        return Module(manifest(), collect, lambda answer, seen: [entities.hostname(f"a.{seen.value}")])

    world = World()
    world.failures["/a of n3.org"] = Blocked("no")
    async with process(tmp_path, world, made) as one:
        await one.run(command(*(item(number) for number in (1, 2, 3, 4))))
        results = {result.item.int - 1000: result for result in await one.said(Collected)}
    assert [(n, each.outcome, bool(each.said)) for n, each in sorted(results.items())] == [
        (1, "found", True),
        (2, "failed", True),
        (3, "blocked", False),
        (4, "found", True),
    ]
    assert len(results[3].records) == 1


async def test_a_full_disk_fails_no_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        with monkeypatch.context() as full:

            async def put(*_: object) -> None:
                raise Exhausted("the disk is full")

            full.setattr(one.blobs, "put", put)
            with pytest.raises(Exhausted):
                await one.run(command(item(1), item(2), item(3)))
            assert not await one.said(Collected)
        await one.run(command(item(1), item(2), item(3)))
        assert [each.outcome for each in await one.said(Collected)] == ["found"] * 3


@pytest.mark.parametrize(("announced", "reason"), [(b"", "ModuleNotFoundError"), (b"other", "was changed while")])
async def test_a_module_that_cannot_be_imported_fails_its_items(tmp_path: Path, announced: bytes, reason: str) -> None:
    path = tmp_path / "nothing.py"
    path.write_bytes(b"")
    async with process(tmp_path / "one", World(), asks("/a")) as one:
        one.collector._code.clear()
        for name, file in one.collector.modules.items():
            one.collector.modules[name] = ModuleFile(file.manifest, path, digest_of_file(announced))
        await one.run(command(item(1)))
        (result,) = await one.said(Collected)
    assert result.outcome == "failed"
    assert reason in result.reason


async def test_a_set_of_names_is_fetched_and_one_that_is_gone_fails_its_item_alone(tmp_path: Path) -> None:
    def made(world: World) -> Module:
        async def collect(seen, ctx):
            yield await ask(world, ctx, f"{len(seen.names)} names of {seen.zone}")

        return Module(manifest(), collect, lambda answer, seen: map(entities.hostname, seen.names))

    world = World()
    async with process(tmp_path, world, made) as one:
        one.names["aa"] = Names("example.com", ("a.example.com", "b.example.com"))
        sets = [item(number, NamesDigest("example.com", digest, 2)) for number, digest in enumerate(("aa", "bb"))]
        await one.run(command(*sets))
        results = {result.item: result for result in await one.said(Collected)}
    assert hosts([results[sets[0].id]]) == {"a.example.com", "b.example.com"}
    assert results[sets[0].id].subject == sets[0].subject
    assert (results[sets[1].id].outcome, "no names" in results[sets[1].id].reason) == ("failed", True)


async def test_wildcards_that_could_not_be_read_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        real, failures = one.collector.journal.recorded, [Unavailable("the database is away")]

        async def recorded(*given: Any) -> Any:
            if failures:
                raise failures.pop()
            return await real(*given)

        monkeypatch.setattr(one.collector.journal, "recorded", recorded)
        with pytest.raises(Unavailable):
            await one.run(command(item(1)))
        await one.run(command(item(1)))
        assert hosts(await one.said(Collected)) == {"a.n1.org"}


async def test_a_batch_that_failed_for_good_is_closed_item_by_item(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        batch = command(item(1), item(2, turn=3))
        async with one.ports.outbox.unit() as unit:
            await give_up(one.ports, unit, Received(batch, WORKSPACE, 0), "it crashed \udcff " * 100)
        results = await one.said(Collected)
        assert [(each.item, each.turn, each.outcome, each.parts) for each in results] == [
            (item(1).id, 0, "failed", 1),
            (item(2).id, 3, "failed", 1),
        ]
        assert all(len(each.reason) <= 500 for each in results)
        assert await one.ids(Collected) == [message_id(item(1)), message_id(item(2, turn=3))]


# Versions


@pytest.mark.parametrize(("module", "version", "live"), [("probe", 2, 1), ("probe", 0, 1), ("other", 1, None)])
async def test_a_version_that_is_not_here_is_said_to_be_superseded(
    tmp_path: Path, module: str, version: int, live: int | None
) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a")) as one:
        for _ in range(2):
            assert await one.run(command(item(1), module=module, version=version)) is None
        first, _ = await one.said(Superseded)
        assert (first.module, first.version, first.live, first.batch) == (module, version, live, command().batch)
        assert len(set(await one.ids(Superseded))) == 1
        assert not await one.said(Collected)
    assert not world.asked


@pytest.mark.parametrize(("module", "version"), [("probe", 2), ("probe", 0), ("other", 1)])
async def test_what_another_collector_has_is_left_to_it_as_long_as_it_is_there(
    tmp_path: Path, module: str, version: int
) -> None:
    """As while a version is brought out: of two collectors, neither decides what becomes of the other's work."""
    async with process(tmp_path, World(), asks("/a")) as one:
        clock = [0.0]
        one.collector._versions = Versions(one.ports.calls, lambda: clock[0])
        one.elsewhere = [(module, version)]
        batch = command(item(1), module=module, version=version)
        delays = [await one.run(batch, tries=tries) for tries in (1, 2, 3, 4, 5, 1000)]
        assert delays == [LEFT * 2, LEFT * 4, LEFT * 8, LONGEST_LEFT, LONGEST_LEFT, LONGEST_LEFT]
        assert not await one.said(Superseded)
        one.elsewhere = []
        clock[0] += FRESH
        assert await one.run(batch) is None
        assert [each.version for each in await one.said(Superseded)] == [version]


@pytest.mark.parametrize(("module", "version"), [("probe", 2), ("other", 1)], ids=["older", "none"])
async def test_in_a_fleet_a_version_is_gone_when_nobody_was_seen_to_have_it_for_a_while(
    tmp_path: Path, module: str, version: int
) -> None:
    async with fleet_process(tmp_path, asks("/a")) as (one, clock):
        batch = command(item(1), module=module, version=version)

        async def is_left_for(seconds: float) -> bool:
            end = clock[0] + seconds
            while clock[0] < end:
                if await one.run(batch) is None:
                    return False
                clock[0] += FRESH
            return True

        assert await is_left_for(GONE)
        one.elsewhere = [(module, version)]
        assert await is_left_for(FRESH)
        one.elsewhere = []
        assert await is_left_for(GONE)
        assert not await one.said(Superseded)
        assert await one.run(batch) is None
        assert await one.run(command(item(2), module=module, version=version, batch=2)) is None
        assert len(await one.said(Superseded)) == 2
        clock[0] += UNASKED + FRESH
        assert await is_left_for(GONE), "what was long ago says nothing of now"


async def test_in_a_fleet_a_newer_version_takes_the_work_of_one_that_is_gone_at_once(tmp_path: Path) -> None:
    async with fleet_process(tmp_path, asks("/a", version=2)) as (one, _):
        assert await one.run(command(item(1), version=1)) is None
        assert [each.live for each in await one.said(Superseded)] == [2]


@contextlib.asynccontextmanager
async def fleet_process(folder: Path, module: Callable[[World], Module]) -> AsyncIterator[tuple[Process, list[float]]]:
    """A collector that may have others beside it, and the time by which it judges of them."""
    clock = [1000.0]
    async with process(folder, World(), module) as one:
        one.ports.settings = replace(one.ports.settings, directory="consul://127.0.0.1:8500")
        one.collector._versions = Versions(one.ports.calls, lambda: clock[0])
        yield one, clock


async def test_the_registry_is_asked_once_for_many_batches_that_are_of_others(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        one.elsewhere = [("probe", 2)]
        batches = [command(item(number), version=2, batch=number) for number in range(20)]
        assert await asyncio.gather(*map(one.run, batches)) == [LEFT * 2] * 20
        assert one.versions_asked == 1


async def test_what_is_of_another_version_waits_while_the_registry_is_away(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        one.elsewhere = None
        with pytest.raises(Unavailable, match="registry is away"):
            await one.run(command(item(1), version=2))
        assert not await one.said(Superseded)


async def test_what_would_wait_here_goes_to_others_and_is_asked_for_less_and_less_often(tmp_path: Path) -> None:
    async with process(tmp_path, World(), asks("/a")) as one:
        one.collector._under_way["probe"] |= {item(number).id for number in range(1000)}
        assert await one.run(command(item(1))) is None, "there is no other"
        one.collector._under_way["probe"] |= {item(number).id for number in range(1000)}
        one.collector._collectors.now = 2
        delays = [await one.run(command(item(2)), tries=tries) for tries in (1, 2, 3, 4, 100)]
        assert delays == [0.1, 0.2, 0.4, 0.4, 0.4]
        assert len(await one.said(Collected)) == 1


# What a module gets


async def test_a_module_gets_its_options_words_key_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def made(world: World) -> Module:
        async def collect(subject, ctx):
            seen.append((dict(ctx.options), list(ctx.wordlist())[:2], ctx.key(), ctx.scope, ctx.now))
            yield await ask(world, ctx, f"/{ctx.key()} of {subject.value}")

        fields = {"options": {"pages": 3}, "key": "shodan"}
        return Module(manifest("probe", "guess", **fields), collect, lambda answer, seen: [])

    async with process(tmp_path, World(), made) as one:
        await one.set_key("shodan", "s3cr3t-s3cr3t-s3cr3t")
        await one.run(command(item(1)))
        (result,) = await one.said(Collected)
    ((options, words, key, scope, at),) = seen
    assert (options, key, scope) == ({"pages": 3}, "s3cr3t-s3cr3t-s3cr3t", plan().scope)
    assert len(words) == 2
    assert at <= result.at
    assert "s3cr3t" not in result.records[0].request
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"s3cr3t" not in path.read_bytes(), path


async def test_a_module_that_needs_a_key_and_has_none_asks_nothing(tmp_path: Path) -> None:
    def made(world: World) -> Module:
        async def collect(seen, ctx):
            yield await ask(world, ctx, f"/{ctx.key()}")

        return Module(manifest(key="shodan", key_required=True), collect, lambda answer, seen: [])

    world = World()
    async with process(tmp_path, world, made) as one:
        await one.run(command(item(1)))
        assert [each.outcome for each in await one.said(Collected)] == ["unauthorised"]
    assert not world.asked


# Deletion


async def test_a_deleted_scan_is_forgotten_and_what_was_under_way_leaves_nothing(tmp_path: Path) -> None:
    world = World()
    async with process(tmp_path, world, asks("/a", "/b")) as one:
        await one.run(command(item(1)))
        held = world.held["/b of n2.org"] = asyncio.Event()
        running = asyncio.create_task(one.run(command(item(2), batch=2)))
        await until(lambda: "/b of n2.org" in world.asked)
        async with one.ports.outbox.unit() as unit:
            await deleted(one.ports, unit, [Received(Deleted(scan=SCAN), WORKSPACE, 0)])
        held.set()
        await running
        assert [each.item for each in await one.said(Collected)] == [item(1).id]
        assert await _left(one) == (0, 0, 0)


@pytest.mark.parametrize(("uploaded", "kept"), [(5, False), (7, False), (8, True)])
async def test_a_word_list_that_no_scan_has_goes_unless_it_was_uploaded_for_the_next_one(
    tmp_path: Path, uploaded: int, kept: bool
) -> None:
    words = digest(b"www")
    async with process(tmp_path, World(), asks("/a")) as one:
        await one.blobs.put(WORKSPACE, [Blob(words, b"www")])
        for at in (3, uploaded):
            async with one.sql.begin() as tx:
                await store.write_upload(tx, WORKSPACE, words, 8, at)
        assert not (await api.swept_by_collector(one.ports, operator(WORKSPACE), ScanId(SCAN))).swept
        async with one.ports.outbox.unit() as unit:
            await deleted(one.ports, unit, [Received(Deleted(scan=SCAN, words=words, made=7), WORKSPACE, 0)])
        assert (await _left(one))[2] == kept
        assert (await api.swept_by_collector(one.ports, operator(WORKSPACE), ScanId(SCAN))).swept
        assert not (await api.swept_by_collector(one.ports, operator(UUID(int=9)), ScanId(SCAN))).swept


async def _left(one: Process) -> tuple[int, int, int]:
    """Exchanges, finished work and bodies that are there."""
    async with one.sql.read() as view:
        exchanges = await view.fetch_one("SELECT count(*) FROM exchange")
        work = await view.fetch_one("SELECT count(*) FROM work")
    bodies = 0
    async with contextlib.aclosing(one.blobs.digests(WORKSPACE)) as digests:
        async for some in digests:
            bodies += len(some)
    assert exchanges
    assert work
    return exchanges[0], work[0], bodies


async def test_a_source_that_stays_away_is_left_alone_and_says_so(tmp_path: Path) -> None:
    world = World()
    for number in range(8):
        world.failures[f"/a of n{number}.org"] = Unreachable("took too long")
    async with process(tmp_path, world, asks("/a")) as one:
        await one.run(command(*(item(number) for number in range(8))))
        results = await one.said(Collected)
    assert {each.outcome for each in results} == {"unreachable"}
    assert len(world.asked) == 5
    assert sum("left alone" in each.reason for each in results) == 3
    assert sum(each.reason.endswith("failures in a row, the last: took too long") for each in results) == 3
