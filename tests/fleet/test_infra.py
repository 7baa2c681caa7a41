"""The jobs of the bus, the stores and Prometheus, on a real Nomad."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from services.catalogue import load_services
from services.cli.fleet import access, infra, programs
from services.cli.fleet.agents import Agents
from services.cli.fleet.ports import HOST, Ports
from services.cli.fleet.secrets import keep_secrets
from services.cli.fleet.users import secrets_of_infra
from services.cli.rendering.jobs import job_name
from services.kernel.errors import Invalid
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from tests.fleet.running import process_of, sizes
from tests.fleet.stores import PROBES
from tests.servers.plugin import require
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server

LIMIT = 300
#: `-o addopts=--import-mode=importlib --log-cli-level=info` shows what it took.
MEASURED = logging.getLogger("measured")


@pytest.fixture
async def shared(shared_server: Callable[[str], Running]) -> AsyncIterator[Nomad]:
    opened = Nomad(Server.parse(shared_server("nomad").url))
    yield opened
    await opened.close()


def test_every_job_file_is_known_and_every_job_is_probed() -> None:
    assert {path.name.partition(".")[0] for path in infra.JOBS.glob("*.nomad.hcl")} == set(infra.INFRA) == set(PROBES)


@pytest.mark.parametrize("driver", ["raw_exec", "docker"])
@pytest.mark.parametrize("name", infra.INFRA)
async def test_a_job_is_accepted_by_nomad_and_named_after_its_service(shared: Nomad, name: str, driver: str) -> None:
    job = await shared.parse(infra.hcl(name), {"driver": driver})
    assert await shared.validate(job) == ""
    planned = await shared.plan(job)
    assert planned.kind == "Added"
    assert planned.failures == () if driver == "raw_exec" else ("missing drivers" in planned.failures[0])
    assert job["ID"] == job_name(name)
    (group,) = job["TaskGroups"]
    assert [service["Name"] for service in group["Services"]] == [job_name(name)]
    assert all(service["Provider"] == "consul" and service["Checks"] for service in group["Services"])
    config = group["Tasks"][-1]["Config"]
    assert ("image" in config, "command" in config) == (driver == "docker", driver == "raw_exec")


@pytest.mark.parametrize("name", infra.INFRA)
def test_a_job_is_accepted_by_nomads_own_program(shared_server: Callable[[str], Running], name: str) -> None:
    nomad = [programs.find("nomad"), "job"]
    address = f"-address=http://127.0.0.1:{shared_server('nomad').port}"
    file = str(infra.JOBS / f"{name}.nomad.hcl")
    validated = subprocess.run([*nomad, "validate", address, file], check=False, capture_output=True, text=True)
    assert validated.returncode == 0, validated.stderr
    planned = subprocess.run([*nomad, "plan", address, file], check=False, capture_output=True, text=True)
    assert planned.returncode == 1, planned.stderr  # 1: it would be placed
    assert "All tasks successfully allocated" in planned.stdout


def test_a_folder_that_the_user_of_postgresql_cannot_reach_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(Invalid, match=f"{tmp_path} lets nobody through"):
        infra.open_way(tmp_path / "data", for_another=True)
    infra.open_way(tmp_path / "data", for_another=False)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o711


@pytest.mark.slow
@pytest.mark.timeout(600)
# Drivers leave sockets behind when a server is not ready yet; what is tested here is the servers.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_all_of_it_runs_survives_a_kill_with_its_data_and_ends_in_order(folder: Path) -> None:
    for kind in (*(name for name in infra.INFRA if name != "nomad"), "consul"):
        require(kind)
    agents = Agents(folder, Ports.free())
    await agents.up()
    nomad = Nomad(agents.nomad)
    try:
        began = time.monotonic()
        services = load_services()
        secrets = keep_secrets(folder, (service.name for service in services))
        for name, items in secrets_of_infra(services, secrets, agents.ports).items():
            await nomad.put_variable(infra.secrets_path(name), items)
        for name in infra.INFRA:
            await infra.begin(nomad, name, folder / "data", agents.ports)
        await access.provide(agents.consul, agents.nomad, (), {})
        await all_of(lambda name: survives(nomad, agents, name))
        MEASURED.info(f"the slowest was through it after {time.monotonic() - began:.1f} s")
        report(folder)
        await infra.begin(nomad, "redis", folder / "data", agents.ports)  # doing so again changes nothing
        assert (await nomad.status(job_name("redis"))).version == 0
    finally:
        await nomad.close()
    assert await agents.down() == 0
    assert (folder / "data/postgresql/PG_VERSION").exists()
    assert not (folder / "data/postgresql/postmaster.pid").exists(), "PostgreSQL was cut off"


async def all_of(probe: Callable[[str], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name in infra.INFRA:
            group.create_task(probe(name))


async def survives(nomad: Nomad, agents: Agents, name: str) -> None:
    """It becomes healthy in Consul, and after a kill -9 of its process Nomad has it run again on its data."""
    async with asyncio.timeout(LIMIT):
        began = time.monotonic()
        status = await nomad.settle(job_name(name))
        await until_passing(agents.ports, name)
        MEASURED.info(f"{name} is healthy after {time.monotonic() - began:.1f} s")
        kept = await nomad.variable(infra.secrets_path(name))
        login = {**(kept.items if kept else {}), "consul": agents.consul.password}
        await eventually(lambda: PROBES[name].write(agents.ports, login))
        (allocation,) = (each.id for each in status.allocations if each.runs)
        os.kill(process_of(agents.folder, allocation), signal.SIGKILL)
        began = time.monotonic()
        async for now in nomad.watch(job_name(name)):
            task = next(
                task for each in now.allocations if each.id == allocation for task in each.tasks if task.name == name
            )
            if task.restarts and task.state == "running":
                break
        await until_listening(getattr(agents.ports, name))
        await eventually(lambda: PROBES[name].read(agents.ports, login))
        MEASURED.info(f"{name} is back {time.monotonic() - began:.1f} s after its kill")
        await until_passing(agents.ports, name)


async def until_passing(ports: Ports, name: str) -> None:
    def passing() -> bool:
        url = f"http://{HOST}:{ports.consul}/v1/health/service/{job_name(name)}?passing"
        with urllib.request.urlopen(url, timeout=5) as answer:
            (found,) = json.load(answer) or [None]
        return found is not None and found["Service"]["Port"] == getattr(ports, name)

    while not await asyncio.to_thread(passing):
        await asyncio.sleep(0.1)


async def until_listening(port: int) -> None:
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return await writer.wait_closed()
        await asyncio.sleep(0.1)


async def eventually(attempt: Callable[[], Awaitable[None]]) -> None:
    """Try again until it is done; the caller sets the time limit."""
    while True:
        try:
            return await attempt()
        except Exception as error:  # noqa: BLE001  whatever a driver says of a server that is not ready
            failed = error
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            raise AssertionError("it was not done in time") from failed


def report(folder: Path) -> None:
    """What the processes of the fleet take, in MB of their own share."""
    shares: dict[str, float] = {}
    for what, _, share in sizes(folder):
        shares[what] = shares.get(what, 0) + share
    MEASURED.info(f"{ {what: round(share) for what, share in shares.items()} }; {sum(shares.values()):.0f} MB in all")
