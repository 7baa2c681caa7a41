"""Batches in flight: their windows, their sizes, and what happens when a lease runs out."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from services.contracts import entities
from services.contracts.commands import Collect
from services.contracts.entities import name
from services.contracts.evidence import merkle_root
from services.contracts.facts import LONGEST_WAIT, Collected, Superseded
from services.contracts.plan import Limits, PlannedModule
from services.contracts.relations import alias_of, runs
from services.contracts.resources import ItemsQuery, NewScan, Pause, Renew, ScanId, StandingQuery
from services.kernel.calls import operator
from services.kernel.directory.headcount import headcount_of
from services.kernel.errors import Invalid
from services.scans import api, settings
from services.scans.domain.windows import Load, batch_size, next_load, part_size, room_of
from services.scans.usecases import lease, tend
from services.scans.usecases.watch import changes_of
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, WORKSPACE, Desk, answer, answers, module, received

TARGETS = tuple(f"h{number}.example.org" for number in range(6))
DNS = module("dns", "dns", "hostname")


async def lost(desk: Desk, *batches: UUID) -> set[UUID]:
    return set((await api.renew_leases(desk.ports, CALLER, Renew(batches))).lost)


async def test_a_renewed_lease_lasts(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    await desk.create(*TARGETS)
    (command,) = await desk.commands()
    for _ in range(5):
        assert await lost(desk, command.batch) == set()
        clock.forward(50)
        await tend.tend(desk.ports)
        assert await desk.commands() == []


async def test_a_batch_is_published_again_only_when_its_lease_has_run_out(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    (command,) = await desk.commands()
    await lost(desk, command.batch)
    first, second, *rest = answers(command, lambda *_: [])
    await desk.take(first, second)
    clock.forward(59)
    await tend.tend(desk.ports)
    assert await desk.commands() == []
    clock.forward(2)
    await tend.tend(desk.ports)
    (again,) = await desk.commands()
    assert (again.attempt, again.run) == (2, 1)
    assert {item.id for item in again.items} == {result.item for result in rest}
    assert again.batch != command.batch
    assert await lost(desk, command.batch, again.batch) == {command.batch}
    await desk.take(*rest)
    assert (await desk.scan(scan)).state == "finished", "whoever brings the result"
    assert await lost(desk, again.batch) == {again.batch}


async def test_a_batch_that_waits_in_the_queue_is_not_published_twice(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    await desk.create(*TARGETS)
    await desk.commands()
    clock.forward(settings.QUEUED / settings.SECOND - 1)
    await tend.tend(desk.ports)
    assert await desk.commands() == []
    clock.forward(2)
    await tend.tend(desk.ports)
    assert [(command.attempt, len(command.items)) for command in await desk.commands()] == [(1, len(TARGETS))]


async def test_a_late_renewal_counts_while_nobody_else_has_the_batch(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    await desk.create(*TARGETS)
    (command,) = await desk.commands()
    await lost(desk, command.batch)
    clock.forward(300)
    assert await lost(desk, command.batch) == set()
    await tend.tend(desk.ports)
    assert await desk.commands() == []


async def test_nobody_holds_a_batch_for_ever(
    open_desk: OpenDesk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LONGEST_LEASE", settings.LEASE)
    desk = await open_desk(module("dns", "dns", "hostname", timeout=10.0))
    await desk.create(*TARGETS)
    (command,) = await desk.commands()
    for _ in range(4):
        assert await lost(desk, command.batch) == set()
        clock.forward(30)
    assert await lost(desk, command.batch) == {command.batch}, "six items of 10 s each, and a minute"
    clock.forward(1)
    await tend.tend(desk.ports)
    assert [again.attempt for again in await desk.commands()] == [2]


async def test_items_that_kill_every_collector_fail_in_the_end(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    for attempt in range(1, settings.ATTEMPTS + 1):
        (command,) = await desk.commands()
        assert command.attempt == attempt
        await lost(desk, command.batch)
        clock.forward(61)
        await tend.tend(desk.ports)
    ended = await desk.scan(scan)
    assert ended.state == "finished"
    assert (ended.sources[0].state, ended.sources[0].outcomes) == ("failed", {"failed": 6})


async def test_only_collectors_that_took_a_batch_are_counted_as_lost_with_it(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    batches: set[UUID] = set()
    for taken in [False] * (settings.ATTEMPTS + 1) + [True, False] * (settings.ATTEMPTS - 1) + [True]:
        (command,) = await desk.commands()
        assert len(command.items) == len(TARGETS)
        batches.add(command.batch)
        if taken:
            await lost(desk, command.batch)
        clock.forward((settings.LEASE if taken else settings.QUEUED) / settings.SECOND + 1)
        await tend.tend(desk.ports)
    assert len(batches) == 3 * settings.ATTEMPTS, "each is a message of its own"
    source = (await desk.scan(scan)).sources[0]
    assert source.outcomes == {"failed": len(TARGETS)}
    assert source.reason == "10 collectors took it and none answered"


async def test_what_waits_while_the_clock_is_put_back_is_handed_out_when_its_time_has_come_again(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(module("dns", "dns", "hostname", cost=100_000.0))
    scan = await desk.create(*TARGETS)
    first = await desk.commands()
    assert len(first) < len(TARGETS), "one item each, and as many batches as a module may have"
    clock.forward(-10)
    await desk.take(*(result for command in first for result in answers(command, lambda *_: [])))
    clock.forward(11)
    await tend.tend(desk.ports)
    await desk.run(lambda *_: [])
    assert (await desk.scan(scan)).state == "finished"


async def test_leases_are_those_of_a_workspace(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    await desk.create(*TARGETS)
    (command,) = await desk.commands()
    other = operator(UUID(int=7))
    assert (await api.renew_leases(desk.ports, other, Renew((command.batch,)))).lost == (command.batch,)


def planned(activity: str = "dns", **fields: float) -> PlannedModule:
    given = {"rate": 0.0, "cost": 1.0, "concurrency": 1, "timeout": 10.0, **fields}
    return PlannedModule(
        id="m",
        version=1,
        activity=activity,
        consumes=(),
        produces=(),
        options={},
        **given,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (planned("dns", cost=8.0), 200),
        (planned("guess", cost=5000.0), 20),
        (planned("guess", cost=500_000.0), 1),
        (planned("passive", rate=1.0), 10),
        (planned("passive", rate=0.05), 1),
        (planned("passive", rate=50.0), 200),
        (planned("passive"), 200),
        (planned("active", concurrency=50, cost=3.0), 100),
        (planned("active", concurrency=1), 8),
        (planned("active", concurrency=50, cost=1000.0), 2),
    ],
)
def test_a_batch_is_as_long_as_its_source_is_fast(module: PlannedModule, size: int) -> None:
    assert batch_size(module) == size


def test_the_module_with_the_fewest_batches_is_next_and_a_part_waits_for_the_rest() -> None:
    modules = {0: planned(concurrency=10), 1: planned(concurrency=10), 2: planned("passive", rate=0.1)}
    assert next_load([Load(0, 500, 200, 1), Load(1, 500, 0, 0)], modules) == Load(1, 500, 0, 0)
    assert next_load([Load(0, 500, 0, 1), Load(1, 500, 0, 1)], modules) == Load(0, 500, 0, 1), "first as planned"
    assert next_load([Load(0, 5, 0, 0)], modules) is not None
    assert next_load([Load(0, 5, 10, 1)], modules) is None, "five more items would make a poor batch"
    assert next_load([Load(0, 500, 800, settings.MODULE_WINDOW)], modules) is None
    assert next_load([Load(2, 0, 0, 0)], modules) is None


def test_several_collectors_get_more_and_smaller_batches_but_a_source_with_a_rate_does_not() -> None:
    fast = planned("passive", concurrency=4)
    rated = planned("passive", concurrency=4, rate=1.0)
    modules = {0: fast, 1: rated}
    full = Load(0, 5000, 800, settings.MODULE_WINDOW)
    assert next_load([full], modules) is None
    assert next_load([full], modules, 4) == full
    assert next_load([Load(1, 5000, 20, settings.RATED_WINDOW)], modules, 4) is None
    assert batch_size(fast, 1) == 200
    assert batch_size(fast, 4) == 50
    assert batch_size(fast, 1000) == 4
    assert room_of(1, 4) == 4 * room_of(1)


def test_the_last_batches_are_smaller_where_there_are_several_collectors() -> None:
    slow = planned("active", concurrency=16)
    assert [part_size(slow, ready, 4) for ready in (500, 128, 100, 64, 40, 10, 1)] == [16, 16, 13, 8, 5, 4, 4]
    assert [part_size(slow, ready, 1) for ready in (500, 1)] == [32, 32]
    assert part_size(planned("passive", concurrency=64, rate=1.0), 1, 4) == 10
    assert part_size(planned("active", concurrency=1), 1, 4) == 1
    assert settings.MODULE_WINDOW * part_size(slow, 1, 4) >= slow.concurrency


async def test_no_collector_has_much_left_when_the_others_have_nothing(open_desk: OpenDesk) -> None:
    """Four collectors that work on four items at a time, and take a batch when fewer than two rounds are left."""
    desk = await open_desk(module("crawl", "active", "hostname", concurrency=16))
    headcount_of(desk.ports.state, "collector").now = 4
    await desk.create(*(f"n{number}.example.org" for number in range(480)))
    queue, hands, rounds = deque[Collect](), [deque[Collected]() for _ in range(4)], 0
    while True:
        queue += await desk.commands()
        for hand in sorted(hands, key=len):
            while queue and len(hand) < 8:
                hand.extend(answers(queue.popleft(), lambda *_: []))
        if not any(hands):
            break
        await desk.take(*(hand.popleft() for hand in hands for _ in range(min(4, len(hand)))))
        rounds += 1
    assert rounds <= 480 / 16 + 1


def test_scans_of_a_workspace_share_its_window() -> None:
    assert room_of(1) == settings.WORKSPACE_WINDOW
    assert room_of(2) == settings.WORKSPACE_WINDOW // 2
    assert room_of(1000) == settings.SCAN_WINDOW


async def test_a_scan_holds_no_more_than_its_share(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.scans.domain import windows

    monkeypatch.setattr(windows, "WORKSPACE_WINDOW", 12)
    monkeypatch.setattr(windows, "SCAN_WINDOW", 2)
    modules = [module(f"m{number}", "passive", "hostname", rate=0.01) for number in range(5)]
    desk = await open_desk(*modules)
    first = await desk.create(*TARGETS)
    commands = await desk.commands()
    assert len(commands) == 10, "two batches of each slow source"
    second, third = await desk.create(*TARGETS), await desk.create(*TARGETS)
    shares = Counter(command.scan for command in await desk.commands())
    assert shares == {second: 6, third: 4}, "a half of the window, then a third"
    await desk.take(*answers(commands[0], lambda *_: []))
    assert await desk.commands() == [], "the first one has more than its share still"
    for command in commands[1:]:
        await desk.take(*answers(command, lambda *_: []))
    assert Counter(command.scan for command in await desk.commands()) == {first: 4}, "and then no more than it"


async def test_the_scans_of_one_workspace_take_nothing_from_another(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.scans.domain import windows

    monkeypatch.setattr(windows, "WORKSPACE_WINDOW", 10)
    monkeypatch.setattr(windows, "SCAN_WINDOW", 2)
    desk = await open_desk(*(module(f"m{number}", "passive", "hostname", rate=0.01) for number in range(8)))
    for _ in range(6):
        await desk.create(*TARGETS)
    crowded = Counter(command.scan for command in await desk.commands())
    assert list(crowded.values()) == [10, 5, 3, 2, 2, 2]
    new = NewScan(targets=TARGETS, profile="deep")
    alone = await api.create_scan(desk.ports, operator(UUID(int=8)), new)
    assert Counter(command.scan for command in await desk.commands()) == {alone.id: 10}


async def test_no_message_is_longer_than_a_message_may_be(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("urls", "passive", "url"), module("names", "passive", "domain"))
    scan = await desk.create("example.org")
    long = [entities.url(f"https://example.org/{number}/" + "a" * 8000) for number in range(150)]
    await desk.take(*answers((await desk.commands())[0], lambda *_: long))
    commands = await desk.commands()
    assert sum(len(command.items) for command in commands) == 150
    assert len(commands) > 4
    async with desk.real.read() as view:
        ((longest,),) = await view.fetch("SELECT MAX(LENGTH(data)) FROM outbox")
    assert longest < 400_000
    for done, command in enumerate(commands, 1):
        await desk.take(*answers(command, lambda *_: []))
        batches = [each.batch for each in commands]
        assert await lost(desk, *batches) == set(batches[:done]), "each batch is open as long as its own items are"
    await desk.run(lambda *_: [])
    assert (await desk.scan(scan)).items == {"waiting": 0, "leased": 0, "done": 151}


async def test_a_rate_limit_makes_an_item_wait_for_its_next_turn(open_desk: OpenDesk, clock: Clock) -> None:
    from services.contracts.facts import Finished

    desk = await open_desk(DNS)
    scan = await desk.create("www.example.org")
    for turn in range(settings.RATE_TURNS + 1):
        (command,) = await desk.commands()
        assert [item.turn for item in command.items] == [turn]
        await desk.take(*answers_limited(command, 30.0))
        seen = await desk.scan(scan)
        if turn < settings.RATE_TURNS:
            (waiting,) = seen.waiting
            assert (waiting.module, waiting.items, waiting.until) == ("dns", 1, clock.at + 30_000_000)
            clock.forward(29)
            await tend.tend(desk.ports)
            assert await desk.commands() == []
            clock.forward(1)
            await tend.tend(desk.ports)
    assert (seen.state, seen.sources[0].outcomes, seen.results) == ("finished", {"rate_limited": 1}, 4)
    assert (await desk.all_said(Finished))[0].results == 4


async def test_items_that_wait_for_a_rate_are_asked_again_each_at_its_time(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    await desk.create(*TARGETS[:3])
    (command,) = await desk.commands()
    for item, after in zip(command.items, (20.0, 10.0, 30.0), strict=True):
        await desk.take(answer(command, item, "rate_limited", retry_after=after))
    again = []
    for _ in range(3):
        clock.forward(10)
        await tend.tend(desk.ports)
        again.append([item.id for command in await desk.commands() for item in command.items])
    first, second, third = (item.id for item in command.items)
    assert again == [[second], [first], [third]]


async def test_what_earlier_turns_of_an_item_brought_stays_with_it_and_in_the_root(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(TARGETS[0])
    brought: list[bytes] = []
    for outcome in ("rate_limited", "rate_limited", "found"):
        (command,) = await desk.commands()
        result = answer(command, command.items[0], [name(TARGETS[0])], outcome=outcome, retry_after=30.0)
        brought += [record.id for record in result.records]
        await desk.take(result)
        clock.forward(31)
        await tend.tend(desk.ports)
    (item,) = await api.list_items(desk.ports, CALLER, ItemsQuery(scan=scan))
    assert (item.outcome, item.claims, item.requests) == ("found", 3, 3)
    assert len(brought) == 3
    assert (await desk.scan(scan)).evidence_root == merkle_root(sorted(brought)).hex()


def answers_limited(command, after: float | None):
    return [answer(command, item, "rate_limited", retry_after=after) for item in command.items]


async def test_a_source_that_says_tomorrow_is_not_waited_for(open_desk: OpenDesk, clock: Clock) -> None:
    longest = LONGEST_WAIT
    for after, timeout, waits in (
        (86_400.0, None, False),
        (longest + 1, None, False),
        (longest, None, True),
        (40.0, 40.0, False),
        (39.0, 40.0, True),
        (None, None, False),
    ):
        desk = await open_desk(DNS)
        scan = await desk.create("www.example.org", limits=Limits(timeout=timeout))
        await desk.take(*answers_limited((await desk.commands())[0], after))
        seen = await desk.scan(scan)
        assert (seen.state, seen.sources[0].state) == (
            ("running", "waiting") if waits else ("finished", "rate_limited")
        )


@pytest.mark.parametrize("after", [-5.0, -1e300, 1e300])
async def test_no_time_that_a_collector_names_is_too_odd_to_be_kept(
    open_desk: OpenDesk, clock: Clock, after: float
) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create("www.example.org")
    await desk.take(*answers_limited((await desk.commands())[0], after))
    (source,) = (await desk.scan(scan)).sources
    assert source.state == ("running" if after < 0 else "rate_limited"), "the past is now"


async def test_items_held_by_a_rate_do_not_hold_up_the_others(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(module("slow", "passive", "hostname", rate=0.1))
    scan = await desk.create(*TARGETS)
    limited, *commands = await desk.commands()
    await desk.take(*answers_limited(limited, 100.0))
    asked = set()
    while commands := [*commands, *await desk.commands()]:
        asked.add(commands[0].items[0].subject)
        await desk.take(*answers(commands.pop(0), lambda *_: []))
    assert len(asked) == 5
    assert limited.items[0].subject not in asked
    assert (await desk.scan(scan)).state == "running"
    clock.forward(101)
    await tend.tend(desk.ports)
    (command,) = await desk.commands()
    assert command.items[0].turn == 1


async def test_a_version_that_nobody_has_is_replaced_by_the_live_one(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS, module("names", "passive", "hostname"))
    scan = await desk.create(*TARGETS)
    commands = {command.module: command for command in await desk.commands()}
    old = commands["dns"]
    done, *_ = answers(old, lambda *_: [])
    await desk.take(done)
    message = Superseded(scan=scan, run=1, batch=old.batch, module="dns", version=1, live=2)
    for _ in range(2):
        async with desk.unit() as unit:
            await lease.take_superseded(desk.ports, unit, [received(message)])
    (new,) = await desk.commands()
    assert (new.module, new.version, len(new.items)) == ("dns", 2, 5)
    assert {item.id for item in new.items}.isdisjoint(item.id for item in old.items)
    assert await lost(desk, old.batch) == {old.batch}

    found = name("new.h0.example.org")
    await desk.take(*answers(commands["names"], lambda *_: [found]))
    (next_one,) = [command for command in await desk.commands() if command.module == "dns"]
    assert (next_one.version, [item.subject for item in next_one.items]) == (2, [found])
    plan = await api.get_plan(desk.ports, CALLER, ScanId(scan))
    assert [(each.id, each.version) for each in plan.modules] == [("dns", 1), ("names", 1), ("dns", 2)]
    notes = {(source.module, source.version): source.reason for source in (await desk.scan(scan)).sources}
    assert notes["dns", 1] == "no collector has version 1 any more; asked by version 2"
    async with desk.real.read() as view:
        ((counted, there),) = await view.fetch("SELECT items, (SELECT COUNT(*) FROM item) FROM scan")
    assert counted == there, "or the limit of items would be reached too early"


async def test_an_older_version_does_a_newer_one_s_work_only_when_nobody_else_takes_it(open_desk: OpenDesk) -> None:
    desk = await open_desk(module("dns", "dns", "hostname", version=2))
    scan = await desk.create(*TARGETS)
    attempts = 0
    while True:
        (command,) = await desk.commands()
        if command.version == 1:
            break
        attempts += 1
        message = Superseded(scan=scan, run=1, batch=command.batch, module="dns", version=2, live=1)
        async with desk.unit() as unit:
            await lease.take_superseded(desk.ports, unit, [received(message)])
    assert attempts == settings.SUPERSEDED
    assert len(command.items) == len(TARGETS)
    await desk.take(*answers(command, lambda *_: []))
    ended = await desk.scan(scan)
    assert (ended.state, ended.items) == ("finished", {"waiting": 0, "leased": 0, "done": len(TARGETS)})


async def test_collectors_of_an_older_version_are_not_counted_as_lost(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(module("dns", "dns", "hostname", version=2))
    scan = await desk.create(*TARGETS)
    for _ in range(settings.SUPERSEDED - 1):
        (command,) = await desk.commands()
        message = Superseded(scan=scan, run=1, batch=command.batch, module="dns", version=2, live=1)
        async with desk.unit() as unit:
            await lease.take_superseded(desk.ports, unit, [received(message)])
    for _ in range(settings.ATTEMPTS - 1):
        (command,) = await desk.commands()
        await lost(desk, command.batch)
        clock.forward(61)
        await tend.tend(desk.ports)
    (command,) = await desk.commands()
    assert (command.version, len(command.items)) == (2, len(TARGETS))
    await lost(desk, command.batch)
    clock.forward(61)
    await tend.tend(desk.ports)
    assert (await desk.scan(scan)).sources[0].outcomes == {"failed": len(TARGETS)}


@pytest.mark.parametrize(("live", "answers"), [(None, settings.SUPERSEDED), (1, 1)], ids=["none", "the-same"])
async def test_a_module_that_nobody_has_any_more_is_skipped_when_that_was_said_often_enough(
    open_desk: OpenDesk, live: int | None, answers: int
) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    for _ in range(answers):
        assert (await desk.scan(scan)).state == "running"
        (old,) = await desk.commands()
        assert len(old.items) == len(TARGETS)
        message = Superseded(scan=scan, run=1, batch=old.batch, module="dns", version=1, live=live)
        async with desk.unit() as unit:
            await lease.take_superseded(desk.ports, unit, [received(message)])
    ended = await desk.scan(scan)
    assert (ended.state, ended.sources[0].state) == ("finished", "skipped")


async def test_a_batch_of_a_paused_scan_is_not_made_again_for_a_new_version(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    (old,) = await desk.commands()
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    async with desk.unit() as unit:
        message = Superseded(scan=scan, run=1, batch=old.batch, module="dns", version=1, live=2)
        await lease.take_superseded(desk.ports, unit, [received(message)])
    assert await desk.commands() == []
    paused = await desk.scan(scan)
    assert (paused.state, paused.items) == ("paused", {"waiting": 6, "leased": 0, "done": 0})


@pytest.mark.parametrize("held", [api.pause_scan, api.stop_scan], ids=["paused", "stopped"])
async def test_nothing_is_published_for_a_scan_that_was_held_after_the_timer_looked(
    open_desk: OpenDesk, clock: Clock, held: Callable[..., Awaitable[object]]
) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    await desk.commands()
    clock.forward(settings.QUEUED / settings.SECOND + 1)
    await held(desk.ports, CALLER, ScanId(scan))
    async with desk.unit() as unit:
        await lease.publish_expired(desk.ports, unit, WORKSPACE, scan)
    assert await desk.commands() == []
    assert (await desk.scan(scan)).items == {"waiting": len(TARGETS), "leased": 0, "done": 0}


async def test_what_was_asked_by_the_old_version_is_not_asked_again_by_the_new_one(open_desk: OpenDesk) -> None:
    """An entity that gets a better place is not asked about twice because its module has a new version."""
    desk = await open_desk(module("names", "passive", "domain"), module("known", "dns", "technology"))
    scan = await desk.create("example.org", "example.com")
    (first,) = await desk.commands()
    www, far = name("www.example.org"), name("far.example.net")
    nginx, apache = entities.technology("nginx"), entities.technology("apache")
    one, other = first.items
    await desk.take(answer(first, one, [alias_of(www, far), runs(far, nginx), runs(far, apache)]))
    (old,) = await desk.commands()
    await desk.take(*(answer(old, item, []) for item in old.items if item.subject == nginx))
    async with desk.unit() as unit:
        message = Superseded(scan=scan, run=1, batch=old.batch, module="known", version=1, live=2)
        await lease.take_superseded(desk.ports, unit, [received(message)])
    (new,) = await desk.commands()
    assert [(item.subject, item.role) for item in new.items] == [(apache, "affiliate")]
    await desk.take(answer(first, other, [runs(www, nginx), runs(www, apache)]))
    standing = await api.get_standing(desk.ports, CALLER, StandingQuery(scan, "nginx"))
    assert standing.role == "in_scope"
    assert await desk.commands() == []


# Limits of a renewal


@pytest.mark.parametrize(("batches", "pauses"), [(4, 0), (0, 4)], ids=["leases", "pauses"])
async def test_who_renews_more_at_once_than_there_can_be_is_refused(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, batches: int, pauses: int
) -> None:
    monkeypatch.setattr(lease, "MOST_RENEWED", 3)
    desk = await open_desk(DNS)
    pause = Pause(UUID(int=1), "dns", 1)
    with pytest.raises(Invalid, match="at most 3 leases"):
        await api.renew_leases(desk.ports, CALLER, Renew((UUID(int=2),) * batches, (pause,) * pauses))
    await api.renew_leases(desk.ports, CALLER, Renew((UUID(int=2),) * 3, (pause,) * 3))


async def test_no_more_pauses_are_remembered_than_there_can_be(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "MOST_RENEWED", 3)
    desk = await open_desk(DNS)
    for number in range(50):
        await api.renew_leases(desk.ports, CALLER, Renew((), (Pause(UUID(int=number), "dns", number),)))
        assert len(lease.paused(desk.ports)) <= 3


async def test_a_pause_is_a_change_of_the_scan_once_however_often_it_is_said(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    unsaid = changes_of(desk.ports).unsaid
    for until, changes in ((1, True), (1, False), (2, True)):
        unsaid.clear()
        await api.renew_leases(desk.ports, CALLER, Renew((), (Pause(scan, "dns", until),)))
        assert (scan in unsaid) is changes


async def test_a_scan_changes_later_each_time_also_when_the_clock_is_put_back(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(DNS)
    scan = await desk.create(*TARGETS)
    changed: list[int] = []
    for turn in (api.pause_scan, api.resume_scan, api.stop_scan):
        clock.forward(-10)
        await turn(desk.ports, CALLER, ScanId(scan))
        async with desk.real.read() as view:
            ((at,),) = await view.fetch("SELECT changed FROM scan")
        changed.append(at)
    assert changed == sorted(set(changed))
