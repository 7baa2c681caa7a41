"""Pausing, stopping, resuming, retrying and deleting a scan."""

import re
from pathlib import Path
from typing import get_args
from uuid import UUID

import msgspec
import pytest

from services.contracts.endpoints import DELETE_SCAN, PAUSE_SCAN, RESUME_SCAN, RETRY_SCAN, STOP_SCAN
from services.contracts.entities import name
from services.contracts.facts import Collected, Deleted, Finished, Started
from services.contracts.plan import Limits
from services.contracts.resources import Renew, ScanId
from services.contracts.resources.scans import ScanState
from services.contracts.states import ENDED
from services.kernel.calls import Endpoint, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.messages import Because, message_type
from services.kernel.service import Received
from services.scans import api
from services.scans.domain.states import MOVES, move
from services.scans.settings import RATE_TURNS
from services.scans.store import scans as scan_store
from services.scans.usecases import intake, tend
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, Desk, answer, answers, module, received
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of

NAMES = module("names", "passive", "domain")
DNS = module("dns", "dns", "domain", "hostname")
HOSTS = [name(f"h{number}.example.org") for number in range(5)]


@pytest.mark.parametrize("state", get_args(ScanState))
@pytest.mark.parametrize("verb", MOVES)
def test_a_move_that_is_not_possible_is_refused_in_a_sentence(state: ScanState, verb: str) -> None:
    if state in MOVES[verb]:
        assert move(state, verb) == MOVES[verb][state]
        return
    with pytest.raises(Conflict, match=f"^the scan (is|has) {state}( already| and cannot (be )?[a-z]+|; .*)"):
        move(state, verb)


def test_every_state_can_be_entered_and_is_documented_as_it_is() -> None:
    after = {state for moves in MOVES.values() for state in moves.values()}
    assert after == set(get_args(ScanState))
    assert {state for moves in MOVES.values() for state in moves} == after, "and left"
    assert after - ENDED == {"running", "paused"}
    folder = Path(scan_store.__file__).parents[1]
    (rule,) = re.findall(r"\*\*State\*\*: (.*)", (folder / "README.md").read_text("utf-8"))
    assert {state for state in after if state in rule} == after
    (listed,) = re.findall(r"\| `state` \| (running.*) \|", (folder.parent / "cli" / "README.md").read_text("utf-8"))
    assert set(re.findall(r"[a-z]+", listed.replace(" or ", " "))) == after


def world(asked: str, item: object) -> list[object]:
    return HOSTS if asked == "names" else []


async def lost(desk: Desk, *batches: UUID) -> set[UUID]:
    return set((await api.renew_leases(desk.ports, CALLER, Renew(batches))).lost)


async def test_a_paused_scan_takes_its_leases_back_and_goes_on_where_it_was(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org")
    first = await desk.commands()
    assert await lost(desk, *(command.batch for command in first)) == set()
    paused = await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    assert (paused.state, paused.items) == ("paused", {"waiting": 2, "leased": 0, "done": 0})
    assert await lost(desk, *(command.batch for command in first)) == {command.batch for command in first}
    assert await desk.commands() == []
    assert await desk.all_said(Finished) == []

    resumed = await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    assert (resumed.state, resumed.run) == ("running", 2)
    second = await desk.commands()
    assert {command.batch for command in second}.isdisjoint(command.batch for command in first)
    assert [command.run for command in second] == [2, 2]
    for command in second:
        await desk.take(*answers(command, world))
    await desk.run(world)
    ended = await desk.scan(scan)
    assert (ended.state, ended.items["done"]) == ("finished", 7)
    assert [started.run for started in await desk.all_said(Started)] == [1, 2]
    (finished,) = await desk.all_said(Finished)
    assert (finished.run, finished.results) == (2, 7)


async def test_what_waits_for_a_rate_is_asked_at_once_in_the_next_run(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create("a.example.org", "b.example.org")
    for turn in range(2 * RATE_TURNS):
        (command,) = await desk.commands()
        assert [item.turn for item in command.items] == [turn, turn]
        await desk.take(*(answer(command, item, "rate_limited", retry_after=300.0) for item in command.items))
        assert await desk.commands() == []
        await api.pause_scan(desk.ports, CALLER, ScanId(scan))
        await api.resume_scan(desk.ports, CALLER, ScanId(scan))


async def test_results_that_come_while_a_scan_is_held_count_when_it_goes_on(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org")
    results = [result for command in await desk.commands() for result in answers(command, world)]
    await api.stop_scan(desk.ports, CALLER, ScanId(scan))
    await desk.take(*results)
    await desk.take(*results)
    stopped = await desk.scan(scan)
    assert (stopped.state, stopped.items["done"], stopped.results) == ("stopped", 0, 0)

    resumed = await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    assert (resumed.items["done"], resumed.results) == (2, 2)
    commands = await desk.commands()
    asked = [item.subject for command in commands for item in command.items]
    assert sorted(subject.value for subject in asked) == [host.value for host in HOSTS], "what is done is not asked"
    assert len(await desk.all_said(Finished)) == 1, "of the run that was stopped"


async def test_a_result_of_an_older_run_counts_while_its_item_is_open(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (old,) = await desk.commands()
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    await desk.take(*answers(old, world))
    assert (await desk.scan(scan)).state == "finished"


async def test_every_run_that_ends_says_so_once_and_with_all_that_was_accepted(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org")
    commands = await desk.commands()
    await desk.take(*answers(commands[0], world))
    await api.stop_scan(desk.ports, CALLER, ScanId(scan))
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    await desk.take(*answers(commands[1], world))
    await desk.run(world)
    runs = [(one.run, one.state, one.results) for one in await desk.all_said(Finished)]
    assert runs == [(1, "stopped", 1), (2, "finished", 7)]


async def test_what_is_said_of_results_that_come_together_names_the_last_one_of_its_scan(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    for domain in ("example.net", "example.org"):
        await desk.create(f"a.{domain}", f"b.{domain}")
    results = [result for command in await desk.commands() for result in answers(command, lambda *_: [])]
    last = {result.scan: result.item for result in results}
    async with desk.unit() as unit:
        together = [Received(result, CALLER.workspace, 0, Because(result.item)) for result in results]
        await intake.take_results(desk.ports, unit, together)
    async with desk.real.read() as view:
        rows = await view.fetch("SELECT data, cause FROM outbox WHERE type = :type", type=message_type(Finished))
    ended = {msgspec.json.decode(data, type=Finished).scan: UUID(bytes=cause) for data, cause in rows}
    assert (ended, len(results)) == (last, 4)


async def test_a_retry_asks_again_what_had_no_answer_and_nothing_else(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES, DNS)
    scan = await desk.create("example.org")

    def broken(asked: str, item: object) -> object:
        return world(asked, item) if asked == "names" or item.subject == HOSTS[0] else "unreachable"

    await desk.run(broken)
    ended = await desk.scan(scan)
    assert {source.module: source.state for source in ended.sources} == {"names": "answered", "dns": "partial"}
    retried = await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    assert (retried.run, retried.items) == (2, {"waiting": 0, "leased": 5, "done": 2})
    (command,) = await desk.commands()
    assert {item.subject.value for item in command.items} == {"example.org", *(host.value for host in HOSTS[1:])}
    assert {item.turn for item in command.items} == {1}
    old_turn = [msgspec.structs.replace(result, turn=0) for result in answers(command, world)]
    await desk.take(*old_turn)
    assert (await desk.scan(scan)).items["done"] == 2, "a result of the turn before counts for nothing"
    await desk.take(*answers(command, world))
    again = await desk.scan(scan)
    assert (again.state, again.results) == ("finished", 12)
    assert {source.module: source.outcomes for source in again.sources} == {"names": {"found": 1}, "dns": {"empty": 6}}
    assert [one.results for one in await desk.all_said(Finished)] == [7, 12]


@pytest.mark.parametrize(
    ("verbs", "refused"),
    [((), "resume"), (("pause",), "pause"), (("stop",), "stop"), (("stop",), "pause"), ((), "retry")],
)
async def test_what_makes_no_sense_in_a_state_is_a_conflict(
    open_desk: OpenDesk, verbs: tuple[str, ...], refused: str
) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    doors = {verb: getattr(api, f"{verb}_scan") for verb in ("pause", "resume", "stop", "retry")}
    for verb in verbs:
        await doors[verb](desk.ports, CALLER, ScanId(scan))
    with pytest.raises(Conflict):
        await doors[refused](desk.ports, CALLER, ScanId(scan))


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        ((), PAUSE_SCAN),
        ((PAUSE_SCAN,), RESUME_SCAN),
        ((), STOP_SCAN),
        ((STOP_SCAN,), RETRY_SCAN),
        ((), DELETE_SCAN),
    ],
    ids=lambda given: given.name if isinstance(given, Endpoint) else "",
)
async def test_what_is_refused_when_it_is_done_already_is_not_to_be_asked_twice(
    open_desk: OpenDesk, before: tuple[Endpoint, ...], asked: Endpoint
) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    for each in (*before, asked):
        await api.DOORS[each](desk.ports, CALLER, ScanId(scan))
    with pytest.raises((Conflict, NotFound)):
        await api.DOORS[asked](desk.ports, CALLER, ScanId(scan))
    assert not asked.idempotent


async def test_a_finished_scan_points_to_retry(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: [])
    with pytest.raises(Conflict, match="retry asks again"):
        await api.resume_scan(desk.ports, CALLER, ScanId(scan))


async def test_what_was_answered_in_part_is_said_so_and_not_asked_again(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: "truncated")
    (source,) = (await desk.scan(scan)).sources
    assert (source.state, source.outcomes) == ("truncated", {"truncated": 1})
    with pytest.raises(Conflict, match="nothing to ask again"):
        await api.retry_scan(desk.ports, CALLER, ScanId(scan))


async def test_a_scan_that_was_answered_in_everything_is_left_as_it_is(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: [])
    before = await desk.scan(scan)
    with pytest.raises(Conflict, match="nothing to ask again"):
        await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    assert await desk.scan(scan) == before


async def test_a_deleted_scan_is_gone_at_once_and_its_rows_soon_after(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tend, "_SWEPT_AT_A_TIME", 7)
    desk = await open_desk(*MODULES)
    scan, kept = await desk.create("example.org", **SCOPE), await desk.create("example.org", **SCOPE)
    await desk.run(World(1))
    before = await end_of(desk, kept)
    await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    with pytest.raises(NotFound):
        await desk.scan(scan)
    assert [deleted.scan for deleted in await desk.all_said(Deleted)] == [scan]
    assert [each.id for each in await api.list_scans(desk.ports, CALLER, Nothing())] == [kept]
    fresh = await desk.create("example.net", modules=("dns",))
    assert not (await api.swept_by_scans(desk.ports, CALLER, ScanId(scan))).swept
    for _ in range(100):
        if not await tend.sweep(desk.ports):
            break
    assert (await api.swept_by_scans(desk.ports, CALLER, ScanId(scan))).swept
    assert not (await api.swept_by_scans(desk.ports, CALLER, ScanId(kept))).swept
    async with desk.real.read() as view:
        for table in scan_store.TABLES:
            rows = await view.fetch(f"SELECT DISTINCT scan FROM {table} WHERE scan = 1")
            assert rows == [], table
    assert await end_of(desk, kept) == before
    assert (await desk.scan(fresh)).items["leased"] == 1


async def test_a_word_list_goes_with_the_last_scan_that_has_it(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scans = [
        await desk.create("example.org", words=words and words.hex())
        for words in (b"a" * 32, b"a" * 32, b"b" * 32, None)
    ]
    for scan in scans:
        await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    said = await desk.all_said(Deleted)
    assert [deleted.words for deleted in said] == [None, b"a" * 32, b"b" * 32, None]
    assert all(deleted.made for deleted in said)


async def test_results_of_a_scan_that_is_gone_are_dropped(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    await desk.take(*answers(command, world))


async def test_nobody_holds_a_lease_on_a_batch_of_a_scan_that_is_gone(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    assert not await lost(desk, command.batch)
    await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    assert await lost(desk, command.batch) == {command.batch}


async def test_the_time_limit_ends_a_run_and_pausing_stops_the_clock(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org", limits=Limits(timeout=100.0))
    await desk.commands()
    clock.forward(60)
    await tend.tend(desk.ports)
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    clock.forward(1000)
    await tend.tend(desk.ports)
    resumed = await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    assert resumed.deadline == clock.at + 40_000_000
    clock.forward(41)
    await tend.tend(desk.ports)
    ended = await desk.scan(scan)
    assert (ended.state, ended.reason) == ("incomplete", "the time limit of 100 s was reached")
    assert ended.deadline is None
    assert ended.items == {"waiting": 1, "leased": 0, "done": 0}
    (finished,) = await desk.all_said(Finished)
    assert (finished.state, finished.run) == ("incomplete", 2)
    again = await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    assert (again.state, again.deadline) == ("running", clock.at + 100_000_000)


async def test_a_result_that_cannot_be_taken_in_closes_its_item_as_failed(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    (result,) = answers(command, world)
    async with desk.unit() as unit:
        await intake.fail_item(desk.ports, unit, received(result), "Malformed: nonsense")
    ended = await desk.scan(scan)
    assert (ended.state, ended.results) == ("finished", 0)
    (source,) = ended.sources
    assert (source.state, source.reason) == ("failed", "its result could not be taken in: Malformed: nonsense")


async def test_a_result_of_an_earlier_turn_or_of_a_held_scan_closes_nothing_when_it_cannot_be_taken_in(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    await desk.take(answer(command, command.items[0], "rate_limited", retry_after=1.0))
    clock.forward(2)
    await tend.tend(desk.ports)
    (again,) = await desk.commands()
    (early,), (late,) = answers(command, world), answers(again, world)
    async with desk.unit() as unit:
        await intake.fail_item(desk.ports, unit, received(early), "nonsense")
    assert (await desk.scan(scan)).items == {"waiting": 0, "leased": 1, "done": 0}
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    async with desk.unit() as unit:
        await intake.fail_item(desk.ports, unit, received(late), "nonsense")
    paused = await desk.scan(scan)
    assert (paused.state, paused.items) == ("paused", {"waiting": 1, "leased": 0, "done": 0})


async def test_parts_of_a_result_are_one_result_whatever_their_order(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    (whole,) = answers(command, world)
    empty: dict[str, object] = {"outcome": None, "parts": 0, "requests": 0}
    parts: list[Collected] = [
        msgspec.structs.replace(whole, part=0, said=whole.said[:2], **empty),
        msgspec.structs.replace(whole, part=1, said=whole.said[2:4], **empty),
        msgspec.structs.replace(whole, part=2, said=whole.said[4:], parts=3),
    ]
    for part in (parts[2], parts[0], parts[2]):
        await desk.take(part)
        assert (await desk.scan(scan)).items["done"] == 0
    await desk.take(parts[1], parts[1])
    ended = await desk.scan(scan)
    (source,) = ended.sources
    assert (ended.state, ended.results, source.claims, source.requests) == ("finished", 1, 5, 1)
    assert ended.entities == {"domain": 1, "hostname": 5}


async def test_parts_of_a_turn_that_was_closed_make_no_result_of_the_next_one_whole(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    for turn in (0, 1):
        (command,) = await desk.commands()
        (whole,) = answers(command, world)
        assert whole.turn == turn
        beginning = msgspec.structs.replace(whole, said=whole.said[:2], outcome=None, parts=0, requests=0)
        end = msgspec.structs.replace(whole, part=1, said=whole.said[2:], parts=2)
        await desk.take(end if turn else beginning)
        assert (await desk.scan(scan)).items["done"] == 0
        if not turn:
            async with desk.unit() as unit:
                await intake.fail_item(desk.ports, unit, received(end), "nonsense")
            await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    await desk.take(beginning)
    assert (await desk.scan(scan)).state == "finished"


async def test_the_reason_of_a_failure_is_one_short_printable_line(open_desk: OpenDesk) -> None:
    desk = await open_desk(NAMES)
    scan = await desk.create("example.org")
    (command,) = await desk.commands()
    (result,) = answers(command, lambda *_: "failed")
    await desk.take(msgspec.structs.replace(result, reason="no\x00\x1b[31m\nanswer" + "!" * 10_000))
    (source,) = (await desk.scan(scan)).sources
    assert source.reason.startswith("no  [31m answer!!!")
    assert len(source.reason) == 500
    assert source.reason.isprintable()
