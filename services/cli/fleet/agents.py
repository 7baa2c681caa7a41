"""The agents of a fleet on this machine: Consul, Nomad's server and Nomad's client, as daemons in one folder.

``agents/`` has their configuration, data and process notes, ``logs/`` what they say. Only root enters ``agents``: what
Nomad makes in it for tasks is open to all, their secrets too, and is closed by the folder above it alone. The fleet's
own folder is passed through (0711) by PostgreSQL's user, on the way to its data.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from services.cli.fleet import access, leftovers, programs
from services.cli.fleet import agent_files as files
from services.cli.fleet.agent_files import AGENTS, CLIENT, CONSUL, SERVER
from services.cli.fleet.daemons import Daemon
from services.cli.fleet.ports import HOST, Ports
from services.cli.fleet.secrets import find_secrets, keep_secrets
from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.folder import make_private, write_private
from services.kernel.pauses import pauses
from services.kernel.scheduler import ENDED
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Host, Server

#: Seconds that an agent may take until it answers, that one may take to end, and that all jobs may.
PATIENCE: Final = 60.0
STOPPING: Final = 20.0
JOBS_STOPPING: Final = 150.0
#: Seconds for which a process that was killed may still hold its port.
LEAVING: Final = 3.0

#: What is told while agents start and end.
Told = Callable[[str], None]


class Agents:
    """Consul and Nomad in ``folder``; their ports are those of its first start."""

    def __init__(self, folder: Path, ports: Ports | None = None) -> None:
        self.folder = folder.resolve()
        self._asked_ports = ports
        self.daemons: Mapping[str, Daemon] = {
            agent: Daemon(agent, self._path(f"{agent}.process"), self.folder / "logs" / f"{agent}.log")
            for agent in AGENTS
        }

    @property
    def known(self) -> bool:
        """Whether this fleet was begun before, and so has its ports."""
        return self._path("ports.json").exists()

    @property
    def ports(self) -> Ports:
        """The ports that this fleet has, or will have.

        Raises:
            Conflict: others were asked for than it has.
            Invalid: the file that has them cannot be read.
        """
        kept = self._path("ports.json")
        if not kept.exists():
            return self._asked_ports or Ports()
        try:
            found = msgspec.json.decode(kept.read_bytes(), type=Ports)
        except (OSError, msgspec.MsgspecError) as error:
            raise Invalid(f"{kept} cannot be read: {error}") from None
        if self._asked_ports not in {None, found}:
            raise Conflict(f"the fleet in {self.folder} has other ports ({kept}); they stay as they are")
        return found

    @property
    def consul(self) -> Server:
        """Consul, as it lets the operator in."""
        return Server(kind="consul", hosts=(Host(HOST, self.ports.consul),), password=self._token)

    @property
    def nomad(self) -> Server:
        """Nomad, as it lets the operator in."""
        return Server(kind="nomad", hosts=(Host(HOST, self.ports.nomad),), password=self._token)

    @property
    def _token(self) -> str:
        """The operator's; nothing where no fleet is yet."""
        found = find_secrets(self.folder)
        return access.token_of(found.admin) if found else ""

    def running(self) -> dict[str, bool]:
        """Which agents run, in the order of their start."""
        return {agent: daemon.process is not None for agent, daemon in self.daemons.items()}

    async def up(self, told: Told = lambda _: None) -> None:
        """Start those that do not run, each when the one before answers. Doing so again does nothing.

        Raises:
            Conflict: another program listens at a port, or other ports were asked for than the fleet has.
            Unavailable: a program is missing, or an agent ended or does not answer; the text has its last words.
        """
        found = {name: programs.find(name) for name in ("consul", "nomad")}
        self._prepare()
        for agent, daemon in self.daemons.items():
            if daemon.process is None:
                told(f"starting {agent}")
                program = found["consul" if agent == CONSUL else "nomad"]
                await self.start(agent, program)
            await self._answers(agent)

    async def start(self, agent: str, program: Path) -> None:
        """Start one agent, without waiting for it.

        Raises:
            Conflict: another program listens at its port; one that was killed does so for a moment still.
        """
        if not await self._is_left(self._port(agent)):
            raise Conflict(f"port {self._port(agent)}, which {agent} is to have, is taken by another program")
        command = files.command(agent, program, self._path(f"{agent}.json"))
        self.daemons[agent].start(command, files.environment(self.folder))

    async def down(self, told: Told = lambda _: None, last: Callable[[str], bool] = lambda _: False) -> int:
        """End all jobs, those that ``last`` names after the others, then the agents, then what they left behind.

        Data stays, and jobs are known to Nomad as stopped.

        Returns:
            how many processes had been left behind.
        """
        if self.daemons[SERVER].process is not None and self.daemons[CLIENT].process is not None:
            with suppress(Unavailable):
                await self._end_jobs(told, last)
        for agent, daemon in reversed(list(self.daemons.items())):
            if daemon.process is not None:
                told(f"ending {agent}")
                await asyncio.to_thread(daemon.stop, STOPPING)
        return await asyncio.to_thread(leftovers.end, self.folder)

    async def _end_jobs(self, told: Told, last: Callable[[str], bool]) -> None:
        nomad = Nomad(self.nomad)
        try:
            jobs = [job.id for job in await nomad.jobs() if not job.stopped or job.running]
            for later in (False, True):
                ending = [job for job in jobs if last(job) is later]
                if ending:
                    told(f"ending {', '.join(ending)}")
                for job in ending:
                    await nomad.stop(job)
                with suppress(TimeoutError):
                    async with asyncio.timeout(JOBS_STOPPING):
                        await asyncio.gather(*(_ended(nomad, job) for job in ending))
        finally:
            await nomad.close()

    def _prepare(self) -> None:
        """Write what the agents read; the folders are made, and the ports kept."""
        ports = self.ports
        for closed in (self._path(""), self.folder / "logs"):
            make_private(closed)
        keep_secrets(self.folder, ())
        self.folder.chmod(0o711)
        write_private(self._path("ports.json"), msgspec.json.encode(ports).decode())
        for agent in AGENTS:
            data = self._path(agent)
            make_private(data)
            settings = files.configuration(agent, ports, data, self._token)
            write_private(self._path(f"{agent}.json"), msgspec.json.format(msgspec.json.encode(settings)).decode())

    def _path(self, name: str) -> Path:
        return self.folder / "agents" / name

    def _port(self, agent: str) -> int:
        return {CONSUL: self.ports.consul, SERVER: self.ports.nomad, CLIENT: self.ports.client}[agent]

    async def _answers(self, agent: str) -> None:
        daemon = self.daemons[agent]
        async with aiohttp.ClientSession(trust_env=False) as session:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while daemon.process is not None:
                        if await self._is_ready(session, agent):
                            return
                        await asyncio.sleep(0.05)
        what = "does not answer" if daemon.process else "has ended"
        raise Unavailable(f"{agent} {what}; it said ({daemon.log}):\n{daemon.last_words()}")

    async def _is_ready(self, session: aiohttp.ClientSession, agent: str) -> bool:
        """Consul and Nomad's server have a leader, which knows the operator; Nomad's client is a node that is ready."""
        path = "/v1/agent/health?type=client" if agent == CLIENT else "/v1/status/leader"
        with suppress(aiohttp.ClientError, OSError, TimeoutError, Unavailable):
            limit = aiohttp.ClientTimeout(total=5)
            async with session.get(f"http://{HOST}:{self._port(agent)}{path}", timeout=limit) as answer:
                if answer.status != 200 or await answer.read() in {b'""', b"null"}:
                    return False
            if agent == SERVER:
                await access.open_nomad(self.nomad)
            if agent != CLIENT:
                return True
            nodes_url, token = f"http://{HOST}:{self.ports.nomad}/v1/nodes", {"X-Nomad-Token": self._token}
            async with session.get(nodes_url, headers=token, timeout=limit) as answer:
                nodes = msgspec.json.decode(await answer.read())
                return any(node["Status"] == "ready" and node["Drivers"]["raw_exec"]["Healthy"] for node in nodes)
        return False

    async def _is_left(self, port: int) -> bool:
        """Whether nobody listens there, or somebody who soon does not any more."""
        end = asyncio.get_running_loop().time() + LEAVING
        for pause in pauses(0.05, 0.5):
            if not await self._is_taken(port):
                return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(pause)
        raise AssertionError  # pauses do not end

    async def _is_taken(self, port: int) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return True
        return False


async def _ended(nomad: Nomad, job: str) -> None:
    """Wait until nothing of a job runs."""
    async for status in nomad.watch(job):
        if all(each.state in ENDED for each in status.allocations):
            return
