"""The agents of a fleet: started once, found again, ended in order, with their data kept."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs

from services.cli.fleet import leftovers
from services.cli.fleet.agent_files import environment
from services.cli.fleet.agents import Agents
from services.cli.fleet.ports import Ports
from services.cli.fleet.secrets import keep_secrets
from services.kernel.errors import Conflict, Denied, Unavailable
from services.kernel.scheduler.nomad import Nomad
from services.kernel.values.consul import ConsulValues
from tests.servers.jobs import job

pytestmark = pytest.mark.server

LIMIT = 90


@pytest.fixture
def agents(folder: Path) -> Agents:
    keep_secrets(folder, ())
    return Agents(folder, Ports.free())


@pytest.fixture
async def nomad(agents: Agents) -> AsyncIterator[Nomad]:
    opened = Nomad(agents.nomad)
    yield opened
    await opened.close()


def pids(agents: Agents) -> dict[str, int]:
    return {name: daemon.process.pid for name, daemon in agents.daemons.items() if daemon.process}


async def settled(nomad: Nomad, name: str) -> str:
    await nomad.register(await nomad.parse(job(name)))
    async with asyncio.timeout(LIMIT):
        return (await nomad.settle(name)).allocations[0].id


async def test_agents_that_run_are_left_alone_and_dead_ones_started_again(agents: Agents, nomad: Nomad) -> None:
    told: list[str] = []
    await agents.up(told.append)
    assert told == ["starting consul", "starting nomad-server", "starting nomad-client"]
    allocation = await settled(nomad, "sleeper")
    first = pids(agents)
    again = Agents(agents.folder)
    told.clear()
    await again.up(told.append)
    assert (told, pids(again), again.ports) == ([], first, agents.ports)
    for name in ("consul", "nomad-client"):
        agents.daemons[name].kill()
    await agents.up(told.append)
    assert told == ["starting consul", "starting nomad-client"]
    assert pids(agents)["nomad-server"] == first["nomad-server"]
    async with asyncio.timeout(LIMIT):
        assert (await nomad.settle("sleeper")).allocations[0].id == allocation


async def test_nobody_is_let_in_without_a_token(agents: Agents, nomad: Nomad) -> None:
    await agents.up()
    stranger = Nomad(structs.replace(agents.nomad, password=""))
    values = ConsulValues(structs.replace(agents.consul, password="", path="mirage"))
    try:
        for attempt in (
            stranger.jobs(),
            stranger.register(await nomad.parse(job("mine"))),
            stranger.put_variable("nomad/jobs/mine", {"a": "b"}),
            values.put_all({"settings/collector": b"mine"}),
        ):
            with pytest.raises(Denied):
                await attempt
    finally:
        await stranger.close()
        await values.close()


async def test_down_ends_jobs_then_agents_and_up_finds_their_data(agents: Agents, nomad: Nomad) -> None:
    await agents.up()
    for name in ("service", "store"):
        await settled(nomad, name)
    await nomad.put_variable("kept", {"a": "b"})
    told: list[str] = []
    left = await agents.down(told.append, last=lambda job: job == "store")
    assert told == ["ending service", "ending store", "ending nomad-client", "ending nomad-server", "ending consul"]
    assert left == 0
    assert leftovers.processes(agents.folder) == set()
    assert agents.running() == {"consul": False, "nomad-server": False, "nomad-client": False}
    assert await agents.down() == 0
    await agents.up()
    kept = await nomad.variable("kept")
    assert kept is not None
    assert kept.items == {"a": "b"}
    assert [(line.id, line.stopped) for line in await nomad.jobs()] == [("service", True), ("store", True)]


async def test_what_runs_without_its_agents_is_ended_by_down(agents: Agents, nomad: Nomad) -> None:
    await agents.up()
    await settled(nomad, "sleeper")
    for daemon in agents.daemons.values():
        daemon.kill()
    assert leftovers.processes(agents.folder)
    assert await agents.down() > 0
    assert leftovers.processes(agents.folder) == set()


async def test_ports_are_those_of_the_first_start(agents: Agents) -> None:
    await agents.up()
    with pytest.raises(Conflict, match="other ports"):
        _ = Agents(agents.folder, Ports()).ports


async def test_a_port_that_another_program_has_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agents = Agents(folder, structs.replace(Ports.free(), consul=port))
        with pytest.raises(Conflict, match=f"port {port}, which consul is to have"):
            await agents.up()


async def test_an_agent_that_ends_at_its_start_is_quoted(agents: Agents) -> None:
    (agents.folder / "agents/consul/raft").mkdir(parents=True)
    (agents.folder / "agents/consul/raft/raft.db").mkdir()
    with pytest.raises(Unavailable, match=r"(?s)consul has ended; it said .*raft\.db"):
        await agents.up()


async def test_what_is_not_installed_is_named(agents: Agents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("MIRAGE_SERVERS_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="consul is not installed: put it into PATH, or run tests/servers/build"):
        await agents.up()


def test_the_agents_take_no_secrets_from_the_environment(tmp_path: Path) -> None:
    taken = environment(tmp_path, {"PATH": "/bin", "SHODAN_KEY": "secret", "NOMAD_TOKEN": "x", "HTTP_PROXY": "y"})
    assert taken == {"PATH": "/bin", leftovers.MARK: str(tmp_path)}
