"""What goes wrong in a fleet while it works: processes killed, held and restarted, agents lost, the node drained.

Each fault is done and then over: what it broke is back by itself, or brought back where nobody else would do that. One
that is ``seen`` takes as long as it takes until health says so.
"""

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from msgspec import Struct

from services.cli.fleet import programs
from services.cli.fleet.agent_files import CLIENT, CONSUL
from services.cli.fleet.standing import Standing, look_at_all
from services.cli.rendering.jobs import job_name
from services.contracts.resources.discovery import ServiceView
from tests.fleet.running import Fleet, children_of, eventually, instances

#: Seconds from one fault to the next, and for which Redis is held.
EVERY = 5.0
HELD = 10.0
#: Seconds after which what is not drained is ended, and for all to be back.
DRAINING = 20.0
BACK = 300.0

#: `-o addopts=--import-mode=importlib --log-cli-level=info` shows what was done.
MEASURED = logging.getLogger("measured")

Says = Callable[[Standing], bool]


class Done(Struct, frozen=True):
    """A fault that was done: what kind, to whom, from when to when (seconds since 1970), and whether health said so."""

    kind: str
    whom: str
    began: float
    ended: float
    said: bool


class Faults:
    """Does one fault after the other to a fleet, and keeps the log of them."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self._fleet = fleet
        self._deployment = fleet.deployment
        self._nomad = fleet.nomad()
        self._chance = chance
        self._services: list[str] = []
        self._later: list[asyncio.Task[None]] = []
        self.done: list[Done] = []
        self.kinds: dict[str, Callable[[bool], Awaitable[str]]] = {
            "kill a service": self.kill_a_service,
            "kill NATS": self.kill_nats,
            "restart PostgreSQL": self.restart_postgresql,
            "hold Redis": self.hold_redis,
            "restart Consul": self.restart_consul,
            "kill Nomad's client": self.kill_the_client,
            "drain the node": self.drain_the_node,
            "kill Elasticsearch": self.kill_elasticsearch,
        }

    async def run(self, goes_on: Callable[[], bool], rounds: int) -> None:
        """Do every kind once a round, in an order of chance, while what is disturbed goes on."""
        try:
            for number in range(rounds):
                for kind in self._chance.sample(sorted(self.kinds), len(self.kinds)):
                    if not goes_on():
                        return
                    began = time.monotonic()
                    await self.do(kind, seen=number % 2 == 1)
                    await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - began)))
        finally:
            await asyncio.gather(*self._later, return_exceptions=True)
            await self._nomad.close()

    async def do(self, kind: str, *, seen: bool) -> None:
        began = time.time()
        whom = await self.kinds[kind](seen)
        self.done.append(Done(kind, whom, began, time.time(), seen))
        MEASURED.info(f"{kind} ({whom}) took {time.time() - began:.1f} s")

    async def kill_a_service(self, seen: bool) -> str:
        """Each in turn, and collectors between: what they have in flight is what can be lost."""
        others = [service.name for service in self._deployment.services if service.name != "collector"]
        self._services = self._services or [
            name for other in self._chance.sample(others, len(others)) for name in ("collector", other)
        ]
        name = self._services.pop(0)
        found = await eventually(lambda: instances(self._nomad, name))
        process = await self._process(self._chance.choice(sorted(found)))
        with held([process]):
            if seen:
                await self.says(lambda standing: not service_of(standing, name).well)
            os.kill(process, signal.SIGKILL)
        return name

    async def kill_nats(self, seen: bool) -> str:
        await self._kill_store("nats", seen, lambda standing: is_without(standing, "scans", "bus", "nats"))
        return "nats"

    async def kill_elasticsearch(self, seen: bool) -> str:
        await self._kill_store(
            "elasticsearch", seen, lambda standing: is_without(standing, "storage", "search", "elasticsearch")
        )
        return "elasticsearch"

    async def restart_postgresql(self, seen: bool) -> str:
        allocation = await self._allocation("postgresql")
        if not seen:
            await self._nomad.restart_allocation(allocation)
            return "postgresql"
        with held(family(await self._process(allocation))):
            restarting = asyncio.create_task(self._nomad.restart_allocation(allocation))
            await self.says(lambda standing: is_without(standing, "scans", "sql", "postgresql"))
        await restarting
        return "postgresql"

    async def hold_redis(self, seen: bool) -> str:
        """Others go wrong meanwhile, unless it is waited for."""
        await asyncio.gather(*self._later)
        process = await self._process(await self._allocation("redis"))

        async def hold() -> None:
            with held([process]):
                await asyncio.sleep(HELD)
                if seen:
                    await self.says(lambda standing: is_without(standing, "collector", "cache", "redis"))

        self._later = [asyncio.create_task(hold())]
        if seen:
            await asyncio.gather(*self._later)
        return "redis"

    async def restart_consul(self, seen: bool) -> str:
        agents = self._deployment.agents
        await asyncio.to_thread(agents.daemons[CONSUL].stop, 20.0)
        if seen:
            await self.says(lambda standing: not standing.agents[CONSUL])
        await agents.start(CONSUL, programs.find("consul"))
        return CONSUL

    async def kill_the_client(self, seen: bool) -> str:
        agents = self._deployment.agents
        await asyncio.to_thread(agents.daemons[CLIENT].kill)
        if seen:
            await self.says(lambda standing: not standing.agents[CLIENT])
        await agents.start(CLIENT, programs.find("nomad"))
        return CLIENT

    async def drain_the_node(self, seen: bool) -> str:
        """There is no other node, so that all waits until this one takes allocations again."""
        (node,) = await self._nomad.nodes()
        await self._nomad.drain(node.id, deadline=DRAINING)
        await eventually(self._drained, seconds=BACK)
        if seen:
            await self.says(lambda standing: not any(service.running for service in standing.fleet.services))
        await self._nomad.set_eligible(node.id, eligible=True)
        await self.all_back()
        return node.name

    async def all_back(self) -> None:
        """Return when all jobs run as they are to be."""
        names = [*map(job_name, ("nats", "postgresql", "mongodb", "elasticsearch", "redis"))]
        names += [job_name(service.name) for service in self._deployment.services]
        async with asyncio.timeout(BACK):
            for name in names:
                await eventually(lambda name=name: self._runs(name), seconds=BACK)

    async def says(self, said: Says) -> None:
        """Return when `fleet status` says so."""

        async def look() -> bool:
            standing = await look_at_all(self._deployment.agents, self._deployment.services)
            if not said(standing):
                raise AssertionError(standing)
            return True

        await eventually(look)

    async def _runs(self, job: str) -> bool:
        status = await self._nomad.status(job)
        return sum(each.runs for each in status.allocations) >= sum(group.count for group in status.groups)

    async def _drained(self) -> bool:
        (node,) = await self._nomad.nodes()
        return not node.draining and not node.eligible

    async def _kill_store(self, name: str, seen: bool, said: Says) -> None:
        processes = family(await self._process(await self._allocation(name)))
        with held(processes):
            if seen:
                await self.says(said)
            for each in processes:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)

    async def _allocation(self, name: str) -> str:
        """The one allocation of a store, as soon as it runs."""

        async def running() -> str:
            found = [each.id for each in (await self._nomad.status(job_name(name))).allocations if each.runs]
            return found[0] if found else ""

        return await eventually(running)

    async def _process(self, allocation: str) -> int:
        async def found() -> int:
            return self._fleet.process_of(allocation)

        return await eventually(found)


@contextmanager
def held(processes: Sequence[int]) -> Iterator[None]:
    """They are there and do not answer, as long as the block lasts or they live."""
    try:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    return [process, *(each for child in children_of(process) for each in family(int(child)))]


def service_of(standing: Standing, name: str) -> ServiceView:
    return next(service for service in standing.fleet.services if service.name == name)


def is_without(standing: Standing, service: str, *names: str) -> bool:
    """Whether an instance of a service says that it does without a port, by one of its names, or is not ready so."""
    said = [text for instance in service_of(standing, service).instances for text in instance.without]
    return any(name in text for name in names for text in said)
