"""A workspace uses no more than it may: scans at once, work items a day, evidence; what waits goes on by itself."""

import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.contracts.facts import Finished
from services.contracts.plan import Limits
from services.contracts.resources import NewScan, Quotas, Scan, ScanId
from services.kernel.calls import Caller, Nothing, operator
from services.kernel.errors import Conflict, NotFound, Unavailable
from services.kernel.sql import Reader
from services.scans import api
from services.scans.domain.quotas import size
from services.scans.settings import DAY, QUOTAS_ASKED, SECOND
from services.scans.usecases import quotas, tend
from tests.examples import seeds
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, WORKSPACE, Desk, answers, module
from tests.services.scans.test_interleaving import Collectors, check_books
from tests.services.scans.worlds import MODULES, SCOPE, World

DNS = module("dns", "dns", "hostname")
HOSTS = tuple(f"h{number}.example.org" for number in range(10))


async def handed_out(desk: Desk) -> int:
    return sum(len(command.items) for command in await desk.commands())


async def later(desk: Desk, clock: Clock, seconds: float) -> None:
    """Let time pass, and the service look at what is due."""
    clock.forward(seconds)
    await quotas.learn_all(desk.ports)
    await tend.tend(desk.ports)


async def used(desk: Desk) -> tuple[int, int]:
    found = await quotas.get_work_used(desk.ports, CALLER, Nothing())
    return found.scans, found.items


async def test_no_more_scans_run_at_once_than_may(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(scans=2)
    first, _ = await desk.create(*HOSTS), await desk.create(*HOSTS)
    with pytest.raises(Conflict, match="2 of the 2 scans that its quota lets run at once"):
        await desk.create(*HOSTS)
    assert await used(desk) == (2, 20)
    await api.pause_scan(desk.ports, CALLER, ScanId(first))
    third = await desk.create(*HOSTS)
    with pytest.raises(Conflict, match="2 of the 2 scans that its quota lets run at once"):
        await api.resume_scan(desk.ports, CALLER, ScanId(first))
    assert (await desk.scan(first)).state == "paused"
    await api.stop_scan(desk.ports, CALLER, ScanId(third))
    with pytest.raises(Conflict, match="quota lets run"):
        for scan in (first, third):
            await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    elsewhere = operator(UUID(int=4))
    made = await api.create_scan(desk.ports, elsewhere, NewScan(targets=HOSTS, profile="standard"))
    assert made.state == "running", "each workspace has its own"


async def test_two_that_begin_at_once_do_not_both_slip_in(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(scans=3)
    paused = await desk.create(*HOSTS)
    await api.pause_scan(desk.ports, CALLER, ScanId(paused))
    begun = await asyncio.gather(
        *(desk.create(*HOSTS) for _ in range(8)),
        api.resume_scan(desk.ports, CALLER, ScanId(paused)),
        return_exceptions=True,
    )
    refused = [each for each in begun if isinstance(each, BaseException)]
    assert all(isinstance(each, Conflict) for each in refused), refused
    assert len(begun) - len(refused) == 3
    assert (await used(desk))[0] == 3


async def test_what_was_handed_out_today_is_no_more_than_may_be_and_the_next_day_it_goes_on(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(items=4)
    scan = await desk.create(*HOSTS)
    commands = await desk.commands()
    assert sum(len(command.items) for command in commands) == 4
    seen = await desk.scan(scan)
    tomorrow = (clock.at // DAY + 1) * DAY
    assert seen.state == "running"
    assert seen.withheld.startswith("room in the workspace's quota of 4 work items a day, used up until 20")
    for command in commands:
        await desk.take(*answers(command, lambda *_: []))
    await later(desk, clock, 3600)
    assert await handed_out(desk) == 0
    await later(desk, clock, (tomorrow - clock.at) / SECOND - 1)
    assert await handed_out(desk) == 0
    await later(desk, clock, 1)
    commands = await desk.commands()
    assert sum(len(command.items) for command in commands) == 4
    assert await used(desk) == (1, 4), "of today"
    for command in commands:
        await desk.take(*answers(command, lambda *_: []))
    await later(desk, clock, 86_400)
    for command in await desk.commands():
        await desk.take(*answers(command, lambda *_: []))
    done = await desk.scan(scan)
    assert (done.state, done.withheld, done.items["done"]) == ("finished", "", 10)
    async with desk.sql.read() as view:
        assert len(await view.fetch("SELECT DISTINCT day FROM handed_out")) == 1, "days that are over are forgotten"


async def test_a_quota_that_is_raised_lets_what_waits_go_on(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(items=4)
    scan = await desk.create(*HOSTS)
    assert await handed_out(desk) == 4
    desk.quotas = Quotas(items=7)
    await later(desk, clock, 60)
    assert await handed_out(desk) == 3
    desk.quotas = Quotas()
    await later(desk, clock, 60)
    assert await handed_out(desk) == 3
    assert (await desk.scan(scan)).withheld == ""


async def test_a_workspace_that_keeps_as_much_as_it_may_is_handed_nothing_more(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(DNS)
    desk.quotas, desk.stored = Quotas(storage=10**10), 10**10
    scan = await desk.create(*HOSTS)
    assert await handed_out(desk) == 0
    said = "room in the workspace's quota of 10 GB of evidence; it keeps 10 GB"
    assert (await desk.scan(scan)).withheld == said
    desk.stored -= 1
    await later(desk, clock, 60)
    assert await handed_out(desk) == 10


async def test_time_that_is_spent_waiting_for_a_quota_does_not_count(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(items=0)
    scan = await desk.create(*HOSTS, limits=Limits(timeout=100.0))
    await later(desk, clock, 10_000)
    assert (await desk.scan(scan)).state == "running"
    await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    await api.resume_scan(desk.ports, CALLER, ScanId(scan))
    desk.quotas = Quotas()
    await later(desk, clock, 60)
    assert await handed_out(desk) == 10
    ending = (await desk.scan(scan)).deadline
    assert ending == clock.at + 100 * SECOND
    await later(desk, clock, 100)
    assert (await desk.scan(scan)).state == "incomplete"


async def test_who_is_away_has_said_what_holds(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(scans=1)
    await desk.create(*HOSTS)
    desk.away = True
    clock.forward(QUOTAS_ASKED)
    with pytest.raises(Conflict):
        await desk.create(*HOSTS)


async def test_what_holds_holds_also_when_the_service_begins_while_users_is_away(
    open_desk: OpenDesk, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "scans.db"
    before = await open_desk(DNS, path=path)
    before.quotas = Quotas(scans=2, items=4, storage=100)
    scan = await before.create(*HOSTS)
    desk = await open_desk(DNS, path=path)
    desk.away = desk.keepers_away = True
    for command in await desk.commands():
        await desk.take(*answers(command, lambda *_: []))
    assert await handed_out(desk) == 0
    assert "word of how much the workspace may use" in (await desk.scan(scan)).withheld, "what is kept, nobody says"
    desk.keepers_away = False
    await later(desk, clock, QUOTAS_ASKED)
    assert (await desk.scan(scan)).withheld.startswith("room in the workspace's quota of 4 work items a day")
    await desk.create(*HOSTS)
    assert await used(desk) == (2, 4)
    with pytest.raises(Conflict, match="2 of the 2 scans"):
        await desk.create(*HOSTS)


async def test_a_workspace_of_which_no_quota_was_ever_known_begins_nothing_before_one_is(
    open_desk: OpenDesk, clock: Clock
) -> None:
    desk = await open_desk(DNS)
    desk.away = True
    with pytest.raises(Unavailable, match="how much this workspace may use is not known"):
        await desk.create(*HOSTS)
    assert await used(desk) == (0, 0)
    desk.away = False
    await desk.create(*HOSTS)
    assert await handed_out(desk) == 10


async def test_what_goes_wrong_with_one_workspace_keeps_no_other_from_what_is_said_of_it(
    open_desk: OpenDesk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(DNS)
    await desk.create(*HOSTS)
    asked = desk.ports.calls.ask

    async def ask(endpoint: Any, question: Any, caller: Caller, **more: Any) -> Any:
        if caller.workspace != WORKSPACE:
            raise NotFound("there is no such workspace")
        return await asked(endpoint, question, caller, **more)

    async def at_work(_: Reader) -> list[bytes]:
        return [UUID(int=7).bytes, WORKSPACE.bytes]

    monkeypatch.setattr(desk.ports.calls, "ask", ask)
    monkeypatch.setattr(quotas.usage, "workspaces_at_work", at_work)
    desk.quotas = Quotas(scans=1)
    clock.forward(QUOTAS_ASKED)
    await quotas.learn_all(desk.ports)
    desk.away = True
    with pytest.raises(Conflict, match="1 of the 1 scan"):
        await desk.create(*HOSTS)


async def test_scans_that_hand_out_at_once_share_what_is_left(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(items=0)
    scans = [await desk.create(*HOSTS) for _ in range(6)]
    for scan in scans:
        await api.pause_scan(desk.ports, CALLER, ScanId(scan))
    desk.quotas = Quotas(items=25)
    clock.forward(QUOTAS_ASKED)
    await quotas.learn(desk.ports, WORKSPACE)
    await asyncio.gather(*(api.resume_scan(desk.ports, CALLER, ScanId(scan)) for scan in scans))
    assert await handed_out(desk) == 25
    assert await used(desk) == (6, 25)


async def test_what_was_handed_out_stays_counted_when_its_scan_is_deleted(open_desk: OpenDesk) -> None:
    desk = await open_desk(DNS)
    desk.quotas = Quotas(items=10)
    await api.delete_scan(desk.ports, CALLER, ScanId(await desk.create(*HOSTS)))
    while await tend.sweep(desk.ports):
        pass
    assert await used(desk) == (0, 10)
    scan: Scan = await desk.scan(await desk.create(*HOSTS))
    assert scan.withheld


@pytest.mark.parametrize("seed", seeds(6))
async def test_whatever_happens_no_day_has_more_than_its_quota_and_the_scan_ends(
    open_desk: OpenDesk, clock: Clock, seed: int
) -> None:
    rng = random.Random(seed)
    desk = await open_desk(*MODULES)
    desk.quotas = Quotas(items=rng.randrange(20, 200))
    scan = await desk.create("example.org", **SCOPE)
    collectors = Collectors(World(seed), rng)
    for _ in range(5000):
        for command in await desk.commands():
            collectors.work(command)
        await check_books(desk)
        async with desk.sql.read() as view:
            days = await view.fetch("SELECT day, SUM(items) FROM handed_out GROUP BY day")
        assert all(items <= desk.quotas.items for _, items in days)
        seen = await desk.scan(scan)
        if seen.state == "finished":
            break
        assert seen.state == "running"
        if collectors.results and rng.random() < 0.7:
            await desk.take(*collectors.some())
        else:
            await later(desk, clock, 40_000 if seen.withheld else rng.choice([1, 6, 70]))
    else:
        raise AssertionError("the scan does not come to an end")
    assert len(await desk.all_said(Finished)) == 1


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (10**10, "10 GB"), (10**16, "1e+04 TB")]
)
def test_bytes_are_said_in_units(number: int, said: str) -> None:
    assert size(number) == said
