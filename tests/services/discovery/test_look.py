"""The fleet as it is: what the scheduler runs, what the directory knows, what each instance says of itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.contracts.resources.discovery import ConsumerView
from services.discovery.usecases import look as looking
from services.discovery.usecases.look import look, look_at
from services.kernel.directory import LOCAL, Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Unavailable
from services.kernel.http_calls import Http
from tests.services.discovery.fleet import Jobs, allocation, instance, job


@pytest.fixture
def directory() -> LocalDirectory:
    return LocalDirectory()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    opened = Http()
    yield opened
    await opened.close()


async def test_a_service_that_is_well_is_shown_with_all_that_it_says(directory: LocalDirectory, http: Http) -> None:
    async with instance(directory) as told:
        told.measure(waiting=7)
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert (seen.wanted, seen.running, seen.deployment, seen.problems, seen.well) == (1, 1, "successful", (), True)
    (shown,) = seen.instances
    assert (shown.id, shown.host, shown.version, shown.condition, shown.without) == ("scans-1", "here", "1", "well", ())
    assert seen.consumers == (ConsumerView(name="scans__take", waiting=7, in_flight=0),)


async def test_all_that_an_instance_measures_is_read_however_much_it_is(directory: LocalDirectory, http: Http) -> None:
    async with instance(directory) as told:
        told.measure(waiting=7)
        told.metrics = b"# filler\n" * 100_000 + told.metrics
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert [each.waiting for each in seen.consumers] == [7]


async def test_no_more_is_read_than_anybody_needs(
    directory: LocalDirectory, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST", 5_000)
    async with instance(directory) as told:
        told.measure(waiting=7)
        told.metrics += b"# filler\n" * 10_000
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert (seen.instances[0].condition, [each.waiting for each in seen.consumers]) == ("well", [7])


async def test_one_that_does_without_something_is_degraded_and_says_of_what(
    directory: LocalDirectory, http: Http
) -> None:
    async with instance(directory) as told:
        told.ready = {"status": "degraded", "without": ["search: it is away"]}
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert [(each.condition, each.without) for each in seen.instances] == [("degraded", ("search: it is away",))]
    assert seen.well


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"detail": "the database is away"}, "the database is away"),
        ({}, "status 503"),
        ([], "its answer cannot be read"),
    ],
)
async def test_one_that_is_not_ready_says_why(directory: LocalDirectory, http: Http, said: object, reason: str) -> None:
    async with instance(directory) as told:
        told.status, told.ready = 503, said
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert [(each.condition, each.without) for each in seen.instances] == [("not ready", (reason,))]
    assert (seen.consumers, seen.well) == ((), False)


async def test_one_that_hangs_and_one_that_is_gone_keep_nobody_waiting(
    directory: LocalDirectory, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "ANSWERING", 0.3)
    async with instance(directory, id="scans-gone"):
        pass
    async with instance(directory, id="scans-hangs") as told, instance(directory, id="scans-well"):
        told.hangs = True
        seen = await look_at("scans", directory, Jobs(job()), http)
    assert [each.condition for each in seen.instances] == ["unreachable", "unreachable", "well"]
    gone, hangs, _ = seen.instances
    assert "does not answer" in gone.without[0]
    assert hangs.without == ("it does not answer",)


async def test_what_the_scheduler_has_against_it_is_among_its_problems(directory: LocalDirectory, http: Http) -> None:
    failed = (allocation("it ended with 1"), allocation("of the version before", "stop"))
    jobs = Jobs(job(waiting=("scans: 1 of 1 nodes has too little memory",), allocations=failed))
    seen = await look_at("scans", directory, jobs, http)
    assert seen.problems == ("scans: 1 of 1 nodes has too little memory", "node: it ended with 1")
    assert (seen.wanted, seen.well) == (1, False)
    stopped = await look_at("scans", directory, Jobs(job(stopped=True)), http)
    assert (stopped.wanted, stopped.well) == (0, False)


async def test_who_cannot_be_asked_is_a_problem_and_the_others_are_shown(directory: LocalDirectory, http: Http) -> None:
    jobs = Jobs()
    jobs.error = Unavailable("the scheduler is away")
    async with instance(directory):
        seen = await look_at("scans", directory, jobs, http)
        assert (seen.problems, seen.wanted, seen.running) == (("the scheduler is away",), 1, 1)
        assert [each.condition for each in seen.instances] == ["well"]
    missing = await look_at("scans", directory, Jobs(), http)
    assert (missing.problems[0], missing.well) == ("the scheduler has no such job", False)
    await directory.close()
    blind = await look_at("scans", directory, Jobs(job()), http)
    assert (blind.problems, blind.instances) == (("the directory is closed",), ())


async def test_one_that_answers_in_its_own_process_is_not_dialled(directory: LocalDirectory, http: Http) -> None:
    await directory.register(Instance("scans", "scans-1", LOCAL, {}))
    seen = await look_at("scans", directory, Jobs(job()), http)
    assert [each.condition for each in seen.instances] == ["well"]


async def test_the_fleet_is_well_when_all_of_it_is(directory: LocalDirectory, http: Http) -> None:
    jobs = Jobs(job("scans"), job("storage"))
    async with instance(directory), instance(directory, "storage", "storage-1") as storage:
        assert (await look(("scans", "storage"), directory, jobs, http)).well
        storage.status = 503
        seen = await look(("scans", "storage"), directory, jobs, http)
    assert ([each.name for each in seen.services], seen.well) == (["scans", "storage"], False)
    await asyncio.sleep(0)
