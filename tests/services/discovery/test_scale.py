"""There are as many instances as the work needs, and as a person has said; one discovery sees to it at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from services.catalogue import SERVICES, load_service
from services.contracts.endpoints import GET_FLEET, GET_SERVICE, GET_SETTINGS, RESTART_SERVICE, SCALE_SERVICE
from services.contracts.resources.configuration import SettingsRef
from services.contracts.resources.discovery import Restarted, Scaled, Scaling, ServiceName
from services.contracts.settings import DiscoverySettings, Scale
from services.discovery.domain.scaling import Bounds
from services.discovery.settings import BOUNDS
from services.discovery.usecases import scale as scaling
from services.discovery.usecases.look import look_at
from services.discovery.usecases.scale import Watcher, scale, scale_one
from services.kernel.calls import Caller, Nothing
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from services.kernel.http_calls import Http
from services.kernel.locks.local import LocalLocks
from services.kernel.messages import workspace_id
from services.kernel.runtime import Runtime
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from services.kernel.service import Ports
from services.kernel.settings import Settings
from tests.kernel.scheduler.conftest import job as hcl_of
from tests.servers.running import Server as Running
from tests.services.discovery.fleet import Jobs, instance, job

CALLER = Caller(workspace_id("default"))


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


async def test_more_are_begun_when_more_waits_than_they_do_in_time(
    ports: Ports, http: Http, clock: list[float]
) -> None:
    watcher = Watcher(Bounds(1, 8))
    async with instance(ports.directory) as told:
        told.measure(waiting=0)
        await scale_one(ports, "scans", watcher, http)
        clock[0] += 10
        told.measure(waiting=10_000, handled=100)  # ten a second
        await scale_one(ports, "scans", watcher, http)
        assert ports.scheduler.scaled == [("mirage-scans", 2)]
        clock[0] += 1  # what was begun has not had time to help
        told.measure(waiting=20_000, handled=110)
        await scale_one(ports, "scans", watcher, http)
    assert ports.scheduler.scaled == [("mirage-scans", 2)]


@pytest.mark.parametrize("changes", [{"deployment": "running"}, {"stopped": True}])
async def test_what_is_being_brought_out_or_was_stopped_is_left_alone(
    ports: Ports, http: Http, clock: list[float], changes: dict[str, Any]
) -> None:
    ports.scheduler.jobs["mirage-scans"] = job(count=20, **changes)
    await scale_one(ports, "scans", Watcher(Bounds(1, 8)), http)
    assert ports.scheduler.scaled == []


async def test_one_that_is_not_ready_counts_for_nothing(ports: Ports, http: Http, clock: list[float]) -> None:
    watcher = Watcher(Bounds(1, 8))
    async with instance(ports.directory) as told:
        told.measure(waiting=10_000)
        told.status = 503
        await scale_one(ports, "scans", watcher, http)
        clock[0] += 10
        await scale_one(ports, "scans", watcher, http)
    assert ports.scheduler.scaled == []


def test_rates_are_told_from_two_looks_at_the_same_instance() -> None:
    from services.discovery.domain.readings import Reading

    watcher = Watcher(Bounds(1, 8))
    assert watcher.load(0.0, {"a": Reading({}, 100.0, 5.0)}).rate == 0.0
    load = watcher.load(10.0, {"a": Reading({}, 150.0, 10.0), "b": Reading({}, 900.0, 90.0)})
    assert (load.count, load.rate, load.busy) == (2, 5.0, 0.5)
    load = watcher.load(20.0, {"a": Reading({}, 0.0, 0.0), "b": Reading({}, 910.0, 91.0)})  # one began anew
    assert (load.rate, load.busy) == (1.0, 0.1)


async def test_one_at_a_time_scales_within_what_was_said_and_the_next_takes_over(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[str, Bounds]] = []

    async def note(by: Ports, name: str, watcher: Watcher, http: Http) -> None:
        looked.append((by.service, watcher.scaler.bounds))
        raise {"scans": NotFound, "storage": Conflict}.get(name, Unavailable)(f"{name} is not scaled")

    monkeypatch.setattr(scaling, "scale_one", note)
    monkeypatch.setattr(scaling, "EVERY", 0.001)
    ports.live.now = DiscoverySettings(scale={"collector": Scale(3, 3)})
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


async def test_without_locks_nobody_scales_until_they_are_back(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    async def note(by: Ports, name: str, watcher: Watcher, http: Http) -> None:
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
        (RESTART_SERVICE, ServiceName("")),
    ):
        with pytest.raises(NotFound, match=r"there is no service .*; there are scans, "):
            await fleet.calls.ask(endpoint, question, CALLER)


async def test_the_fleet_is_shown_and_restarted_by_the_names_of_services(fleet: Runtime) -> None:
    shown = await fleet.calls.ask(GET_FLEET, Nothing(), CALLER)
    assert [each.name for each in shown.services] == list(SERVICES)
    alone = await fleet.calls.ask(GET_SERVICE, ServiceName("discovery"), CALLER)
    assert [each.condition for each in alone.instances] == ["well"]
    assert await fleet.calls.ask(RESTART_SERVICE, ServiceName("scans"), CALLER) == Restarted(2)
    assert fleet.ports["discovery"].scheduler.restarted == ["mirage-scans"]


# On a real scheduler


@pytest.fixture
async def nomad(shared_server: Callable[[str], Running]) -> AsyncIterator[Nomad]:
    opened = Nomad(Server.parse(shared_server("nomad").url))
    yield opened
    await opened.close()


@pytest.fixture
async def name(nomad: Nomad) -> AsyncIterator[str]:
    made = f"t{uuid4().hex[:8]}"
    yield made
    try:
        await nomad.stop(f"mirage-{made}", purge=True)
    except NotFound:
        return


async def register(nomad: Nomad, name: str, **options: Any) -> None:
    bounds = "scaling {\n enabled = true\n min = 1\n max = 3\n }\n"
    text = hcl_of(f"mirage-{name}", **options).replace('group "web" {', f'group "{name}" {{\n {bounds}')
    await nomad.register(await nomad.parse(text))


@pytest.mark.server
async def test_a_job_is_seen_as_it_is_and_has_as_many_as_it_was_scaled_to(
    nomad: Nomad, name: str, ports: Ports, http: Http, clock: list[float]
) -> None:
    await register(nomad, name)
    ports.scheduler = nomad
    async with asyncio.timeout(90):
        await nomad.settle(f"mirage-{name}")
        seen = await look_at(name, ports.directory, nomad, http)
        assert (seen.wanted, seen.running, seen.deployment, seen.problems) == (1, 1, "successful", ())
        await scale_one(ports, name, Watcher(Bounds(2, 3)), http)
        await nomad.settle(f"mirage-{name}")
        seen = await look_at(name, ports.directory, nomad, http)
        assert (seen.wanted, seen.running) == (2, 2)
        await scale_one(ports, name, Watcher(Bounds(1, 1)), http)
        while (await look_at(name, ports.directory, nomad, http)).running != 1:
            await asyncio.sleep(0.1)
        for beyond in (0, 4):
            with pytest.raises(Invalid, match="scaling policy"):
                await nomad.scale(f"mirage-{name}", name, beyond, "beyond what is declared")


@pytest.mark.server
async def test_why_a_job_does_not_run_is_said(nomad: Nomad, name: str, ports: Ports, http: Http) -> None:
    await register(nomad, name, memory=10_000_000)
    async with asyncio.timeout(90):
        while not (seen := await look_at(name, ports.directory, nomad, http)).problems:
            await asyncio.sleep(0.1)
    assert (seen.wanted, seen.running, seen.well) == (1, 0, False)
    assert "memory" in seen.problems[0]
