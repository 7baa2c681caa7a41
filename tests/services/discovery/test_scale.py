"""There are as many instances as the work needs, and as a person has said; one discovery sees to it at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from services.catalogue import SERVICES, load_service
from services.cli.rendering.jobs import job_name
from services.contracts.endpoints import GET_FLEET, GET_SERVICE, GET_SETTINGS, SCALE_SERVICE
from services.contracts.resources.configuration import SettingsRef
from services.contracts.resources.discovery import Scaled, Scaling, ServiceName
from services.contracts.settings import DiscoverySettings, Scale
from services.discovery.domain.readings import Reading
from services.discovery.domain.scaling import Bounds
from services.discovery.settings import BOUNDS
from services.discovery.usecases import scale as scaling
from services.discovery.usecases.look import look_at
from services.discovery.usecases.scale import Watcher, bounds_of, items_of, read, scale, scale_one
from services.kernel.calls import Nothing, operator
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from services.kernel.http_calls import Http
from services.kernel.locks.local import LocalLocks
from services.kernel.messages import workspace_id
from services.kernel.runtime import Runtime
from services.kernel.scheduler.nomad import Nomad
from services.kernel.service import Ports
from services.kernel.settings import Settings
from tests.servers.jobs import job as hcl_of
from tests.services.discovery.fleet import Jobs, instance, job

CALLER = operator(workspace_id("default"))


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    opened = Http()
    yield opened
    await opened.close()


@pytest.fixture
def ports() -> Ports:
    live = SimpleNamespace(now=DiscoverySettings())
    return Ports("discovery", directory=LocalDirectory(), scheduler=Jobs(job()), locks=LocalLocks(), live=live)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(scaling, "monotonic", lambda: now[0])
    return now


def watcher(name: str, least: int = 1, most: int = 8) -> Watcher:
    return Watcher(name, Bounds(least, most), DiscoverySettings())


async def look(ports: Ports, name: str, watcher: Watcher, http: Http, *, counts_items: str = "") -> None:
    """Read what is said, and decide; ``counts_items`` is the service that knows what work items wait."""
    readings = await read(ports, name, http)
    others = await read(ports, counts_items, http) if counts_items else {}
    await scale_one(ports, name, watcher, readings, items_of(others.values()).get(name))


async def test_more_are_begun_when_more_waits_than_they_do_in_time(
    ports: Ports, http: Http, clock: list[float]
) -> None:
    scans = watcher("scans")
    async with instance(ports.directory) as told:
        told.measure(waiting=0)
        await look(ports, "scans", scans, http)
        clock[0] += 10
        told.measure(waiting=10_000, handled=100)  # ten a second
        await look(ports, "scans", scans, http)
        assert ports.scheduler.scaled == [("mirage-scans", 2)]
        clock[0] += 1  # what was begun has not had time to help
        told.measure(waiting=20_000, handled=110)
        await look(ports, "scans", scans, http)
    assert ports.scheduler.scaled == [("mirage-scans", 2)]


async def test_collectors_follow_the_items_that_wait_for_them_and_not_their_messages(
    ports: Ports, http: Http, clock: list[float]
) -> None:
    """Their consumer has nothing waiting, since each takes 48 batches at once; and sources give what they give."""
    ports.scheduler = Jobs(job("scans"), job("collector"))
    collectors = watcher("collector")
    async with instance(ports.directory) as scans, instance(ports.directory, "collector", "collector-1") as told:
        for waiting, done, sources in ((0, 0, 100_000), (0, 100, 100_000), (1_000, 200, 0)):
            scans.measure(
                more=f'mirage_items_waiting{{waits_for="collector"}} {waiting}\n'
                f'mirage_items_waiting{{waits_for="source"}} {sources}'
            )
            told.measure(
                handled=10 * done,
                more=f'mirage_items_total{{outcome="found",waits_for="collector"}} {done}\n'
                f'mirage_items_total{{outcome="found",waits_for="source"}} 9999',
            )
            assert ports.scheduler.scaled == []
            await look(ports, "collector", collectors, http, counts_items="scans")
            clock[0] += 10
    assert ports.scheduler.scaled == [("mirage-collector", 2)]  # ten a second, a thousand wait


def test_while_nobody_says_how_many_items_wait_it_is_not_known() -> None:
    collectors = watcher("collector")
    assert collectors.load(0.0, 1, {"a": Reading()}, 7).waiting == 7
    assert collectors.load(1.0, 1, {"a": Reading()}, None).waiting is None
    assert watcher("scans").load(0.0, 1, {"a": Reading()}, None).waiting == 0
    assert watcher("scans").load(0.0, 1, {}, None).waiting is None


@pytest.mark.parametrize("changes", [{"deployment": "running"}, {"stopped": True}])
async def test_what_is_being_brought_out_or_was_stopped_is_left_alone(
    ports: Ports, clock: list[float], changes: dict[str, Any]
) -> None:
    ports.scheduler.jobs["mirage-scans"] = job(count=20, **changes)
    await scale_one(ports, "scans", watcher("scans"), {}, None)
    assert ports.scheduler.scaled == []


async def test_nothing_is_begun_while_something_waits_for_room(ports: Ports, http: Http, clock: list[float]) -> None:
    ports.scheduler = Jobs(job(waiting=("scans: 1 of 1 nodes has too little memory",)))
    scans = watcher("scans")
    async with instance(ports.directory) as told:
        for handled in (0, 100):
            told.measure(waiting=10_000, handled=handled)
            await look(ports, "scans", scans, http)
            clock[0] += 10
    assert ports.scheduler.scaled == []


async def test_one_that_is_not_ready_counts_for_nothing(ports: Ports, http: Http, clock: list[float]) -> None:
    scans = watcher("scans")
    async with instance(ports.directory) as told:
        told.measure(waiting=10_000)
        told.status = 503
        await look(ports, "scans", scans, http)
        clock[0] += 10
        await look(ports, "scans", scans, http)
    assert ports.scheduler.scaled == []


async def test_a_service_is_not_made_smaller_because_it_does_not_answer(
    ports: Ports, http: Http, clock: list[float]
) -> None:
    ports.scheduler = Jobs(job(count=2))
    scans = Watcher("scans", Bounds(1, 8), DiscoverySettings(lingers=15))
    async with instance(ports.directory) as told, instance(ports.directory, id="scans-2") as other:
        for each in (told, other):
            each.measure()
        other.status = 503
        for _ in range(10):
            await look(ports, "scans", scans, http)
            clock[0] += 5
        assert ports.scheduler.scaled == []
        other.status = 200
        for _ in range(6):
            await look(ports, "scans", scans, http)
            clock[0] += 5
    assert ports.scheduler.scaled == [("mirage-scans", 1)]


async def test_what_the_scheduler_refuses_is_asked_for_again_at_the_next_look(ports: Ports, clock: list[float]) -> None:
    scans = watcher("scans", 2, 8)
    ports.scheduler.refuses = Conflict("a version is being brought out")
    with pytest.raises(Conflict):
        await scale_one(ports, "scans", scans, {}, None)
    ports.scheduler.refuses = None
    clock[0] += 5
    await scale_one(ports, "scans", scans, {}, None)
    assert ports.scheduler.scaled == [("mirage-scans", 2)]


async def test_a_job_that_was_changed_since_it_was_looked_at_is_not_scaled(ports: Ports, clock: list[float]) -> None:
    """As by another discovery, when this one stood still and has lost the lock without noticing."""
    status = ports.scheduler.status

    async def late(name: str) -> Any:
        seen = await status(name)
        ports.scheduler.jobs[name] = structs.replace(seen, index=2)
        return seen

    ports.scheduler.status = late
    with pytest.raises(Conflict):
        await scale_one(ports, "scans", watcher("scans", 2, 8), {}, None)
    assert ports.scheduler.scaled == []


def test_rates_are_told_from_two_looks_at_the_same_instance() -> None:
    scans = watcher("scans")
    first = scans.load(0.0, 1, {"a": Reading(handled=100.0, busy=5.0)}, None)
    assert (first.count, first.rate) == (0, 0.0)
    load = scans.load(10.0, 2, {"a": Reading(handled=150.0, busy=10.0), "b": Reading(handled=900.0, busy=90.0)}, None)
    assert (load.running, load.count, load.rate, load.busy) == (2, 1, 5.0, 0.5)
    load = scans.load(20.0, 2, {"a": Reading(), "b": Reading(handled=910.0, busy=91.0)}, None)  # one began anew
    assert (load.count, load.rate, load.busy) == (2, 1.0, 0.1)


async def test_one_at_a_time_scales_within_what_was_said_and_the_next_takes_over(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[str, Bounds]] = []

    async def note(by: Ports, name: str, watcher: Watcher, *seen: object) -> None:
        looked.append((by.service, watcher.scaler.bounds))
        assert watcher.scaler.settings.behind == 7.0
        raise {"scans": NotFound, "storage": Conflict}.get(name, Unavailable)(f"{name} is not scaled")

    monkeypatch.setattr(scaling, "scale_one", note)
    monkeypatch.setattr(scaling, "EVERY", 0.001)
    ports.live.now = DiscoverySettings(scale={"collector": Scale(3, 3)}, behind=7.0)
    other = Ports("other", **{name: vars(ports)[name] for name in ("directory", "scheduler", "locks", "live")})
    first, second = (asyncio.create_task(scale(each)) for each in (ports, other))
    await until(lambda: len(looked) > 3 * len(BOUNDS))
    assert {by for by, _ in looked} == {"discovery"}
    assert set(looked) == {
        ("discovery", Bounds(3, 3) if name == "collector" else bounds) for name, bounds in BOUNDS.items()
    }
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await until(lambda: looked[-1][0] == "other")
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


def test_what_was_set_for_other_bounds_is_kept_within_those_that_there_are() -> None:
    """As by a version before: the scheduler would refuse it at every look."""
    live = DiscoverySettings(scale={"collector": Scale(0, 900)})
    assert bounds_of("collector", live) == BOUNDS["collector"]
    assert bounds_of("collector", DiscoverySettings(scale={"collector": Scale(2, 3)})) == Bounds(2, 3)
    assert bounds_of("scans", live) == BOUNDS["scans"]


async def test_without_locks_nobody_scales_until_they_are_back(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    async def note(by: Ports, name: str, watcher: Watcher, *seen: object) -> None:
        looked.append(name)

    monkeypatch.setattr(scaling, "scale_one", note)
    monkeypatch.setattr(scaling, "EVERY", 0.001)
    there, asked = ports.locks, []

    class Away:
        def held(self, name: str) -> Any:
            asked.append(name)
            raise Unavailable("the locks are away")

    ports.locks = Away()
    scaler = asyncio.create_task(scale(ports))
    await until(lambda: len(asked) > 2)
    assert looked == []
    ports.locks = there
    await until(lambda: bool(looked))
    scaler.cancel()
    await asyncio.gather(scaler, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.002)


# What a person asks


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """Discovery beside the service that keeps its settings; the scheduler is a list."""
    jobs = Jobs(*(job(name, load_service(name).instances[0]) for name in SERVICES))
    monkeypatch.setattr("services.kernel.scheduler.nomad.Nomad", lambda server: jobs)
    settings = Settings(data=str(tmp_path / "data"), scheduler="nomad://127.0.0.1:1")
    services = [structs.replace(load_service("discovery"), tasks=""), load_service("configuration")]
    async with Runtime(services, settings) as runtime:
        yield runtime


async def kept(fleet: Runtime) -> dict[str, Any]:
    found = await fleet.calls.ask(GET_SETTINGS, SettingsRef("discovery"), CALLER)
    return dict(found.values["scale"])


async def test_a_number_that_is_fixed_is_remembered_until_it_follows_the_work_again(fleet: Runtime) -> None:
    jobs = fleet.ports["discovery"].scheduler
    assert await fleet.calls.ask(SCALE_SERVICE, Scaling(service="collector", count=4), CALLER) == Scaled(
        service="collector", least=4, most=4
    )
    assert jobs.scaled == [("mirage-collector", 4)]
    await fleet.calls.ask(SCALE_SERVICE, Scaling(service="storage", count=2), CALLER)
    assert await kept(fleet) == {"collector": {"least": 4, "most": 4}, "storage": {"least": 2, "most": 2}}
    free = await fleet.calls.ask(SCALE_SERVICE, Scaling(service="collector"), CALLER)
    assert (free.least, free.most) == load_service("collector").instances
    assert await kept(fleet) == {"storage": {"least": 2, "most": 2}}
    assert len(jobs.scaled) == 2


async def test_two_who_scale_at_once_are_both_remembered(fleet: Runtime) -> None:
    """Each reads all of it, and writes all of it."""
    for _ in range(5):
        both = (Scaling(service="collector", count=4), Scaling(service="storage", count=2))
        await asyncio.gather(*(fleet.calls.ask(SCALE_SERVICE, each, CALLER) for each in both))
        assert await kept(fleet) == {"collector": {"least": 4, "most": 4}, "storage": {"least": 2, "most": 2}}
        neither = [Scaling(service=each.service) for each in both]
        await asyncio.gather(*(fleet.calls.ask(SCALE_SERVICE, each, CALLER) for each in neither))
        assert await kept(fleet) == {}


async def test_a_number_is_remembered_while_a_version_is_brought_out_and_who_asked_is_told(fleet: Runtime) -> None:
    jobs = fleet.ports["discovery"].scheduler
    jobs.refuses = Conflict("scaling is blocked due to an active deployment")
    with pytest.raises(Conflict, match="collector is being brought out; it will have 4 once that is over"):
        await fleet.calls.ask(SCALE_SERVICE, Scaling(service="collector", count=4), CALLER)
    assert await kept(fleet) == {"collector": {"least": 4, "most": 4}}


async def test_a_number_that_was_begun_already_is_no_conflict(fleet: Runtime) -> None:
    """As when whoever follows the work has seen the setting first."""
    jobs = fleet.ports["discovery"].scheduler
    jobs.refuses = Conflict("scaling is blocked due to an active deployment")
    jobs.jobs["mirage-collector"] = job("collector", 4, deployment="running")
    scaled = await fleet.calls.ask(SCALE_SERVICE, Scaling(service="collector", count=4), CALLER)
    assert (scaled.least, scaled.most) == (4, 4)


@pytest.mark.parametrize("count", [-1, 0, 9, 1000])
async def test_a_number_beyond_what_is_declared_is_refused_before_anything_is_changed(
    fleet: Runtime, count: int
) -> None:
    with pytest.raises(Invalid, match="collector has 1 to 8 instances"):
        await fleet.calls.ask(SCALE_SERVICE, Scaling(service="collector", count=count), CALLER)
    assert (await kept(fleet), fleet.ports["discovery"].scheduler.scaled) == ({}, [])


async def test_what_is_not_scaled_or_is_no_service_is_refused(fleet: Runtime) -> None:
    with pytest.raises(Invalid, match="discovery is not scaled"):
        await fleet.calls.ask(SCALE_SERVICE, Scaling(service="discovery", count=2), CALLER)
    for endpoint, question in (
        (SCALE_SERVICE, Scaling(service="mirage-scans", count=1)),
        (GET_SERVICE, ServiceName("nobody")),
    ):
        with pytest.raises(NotFound, match=r"there is no service .*; there are scans, "):
            await fleet.calls.ask(endpoint, question, CALLER)


async def test_the_fleet_is_shown_and_restarted_by_the_names_of_services(fleet: Runtime) -> None:
    shown = await fleet.calls.ask(GET_FLEET, Nothing(), CALLER)
    assert [each.name for each in shown.services] == list(SERVICES)
    alone = await fleet.calls.ask(GET_SERVICE, ServiceName("discovery"), CALLER)
    assert [each.condition for each in alone.instances] == ["well"]


# On a real scheduler


async def register(nomad: Nomad, name: str, **options: Any) -> None:
    bounds = "scaling {\n enabled = true\n min = 1\n max = 3\n }\n"
    text = hcl_of(job_name(name), **options).replace('group "web" {', f'group "{name}" {{\n {bounds}')
    await nomad.register(await nomad.parse(text))


@pytest.mark.server
async def test_a_job_is_seen_as_it_is_and_has_as_many_as_it_was_scaled_to(
    nomad: Nomad, service_name: str, ports: Ports, http: Http, clock: list[float]
) -> None:
    await register(nomad, service_name)
    ports.scheduler = nomad
    async with asyncio.timeout(90):
        await nomad.settle(job_name(service_name))
        seen = await look_at(service_name, ports.directory, nomad, http)
        assert (seen.wanted, seen.running, seen.deployment, seen.problems) == (1, 1, "successful", ())
        await scale_one(ports, service_name, watcher(service_name, 2, 3), {}, None)
        await nomad.settle(job_name(service_name))
        seen = await look_at(service_name, ports.directory, nomad, http)
        assert (seen.wanted, seen.running) == (2, 2)
        await scale_one(ports, service_name, watcher(service_name, 1, 1), {}, None)
        while (await look_at(service_name, ports.directory, nomad, http)).running != 1:
            await asyncio.sleep(0.1)
        for beyond in (0, 4):
            with pytest.raises(Invalid, match="scaling policy"):
                await nomad.scale(job_name(service_name), service_name, beyond, "beyond what is declared")


@pytest.mark.server
async def test_why_a_job_does_not_run_is_said(nomad: Nomad, service_name: str, ports: Ports, http: Http) -> None:
    await register(nomad, service_name, memory=10_000_000)
    async with asyncio.timeout(90):
        while not (seen := await look_at(service_name, ports.directory, nomad, http)).problems:
            await asyncio.sleep(0.1)
    assert (seen.wanted, seen.running, seen.well) == (1, 0, False)
    assert "memory" in seen.problems[0]
