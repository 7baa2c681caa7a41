"""How the fleet on this machine is: its agents, its stores, its services, seen without any of the services' help."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final

import click
from msgspec import Struct, structs

from services.cli.fleet.agents import Agents
from services.cli.fleet.folder import read_extra
from services.cli.fleet.infra import INFRA, STANDING_ON
from services.cli.fleet.users import NAMESPACE
from services.cli.rendering.jobs import job_name
from services.cli.text import write_json, write_table
from services.contracts.resources.discovery import BRINGING_OUT, FleetView, InstanceView, ServiceView
from services.discovery.usecases.look import look
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.http_calls import Http
from services.kernel.scheduler.nomad import Nomad
from services.kernel.service import Service

#: Seconds for everything to be well once it was brought up.
SETTLING: Final = 90.0


class Store(Struct, frozen=True, kw_only=True):
    """One of the things that the services stand on."""

    name: str
    running: bool
    node: str
    problems: tuple[str, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """``agents``: whether each runs."""

    agents: dict[str, bool]
    stores: tuple[Store, ...]
    fleet: FleetView

    @property
    def well(self) -> bool:
        return not any(self.problems())

    def problems(self) -> Iterator[str]:
        """What is the matter with it, each in a few words."""
        yield from (f"{agent} does not run" for agent, runs in self.agents.items() if not runs)
        for store in self.stores:
            if store.problems or not store.running:
                yield f"{store.name}: {', '.join(store.problems) or 'it does not run'}"
        for service in self.fleet.services:
            if not service.well:
                said = [*service.problems, *(each for instance in service.instances for each in _without(instance))]
                said += ["a version of it is being brought out"] if service.deployment == BRINGING_OUT else []
                yield f"{service.name}: {', '.join(said) or f'it has not {service.wanted} instances that are well'}"


async def look_at_all(agents: Agents, services: Sequence[Service]) -> Standing:
    """Look at everything at once."""
    running = agents.running()
    consul = structs.replace(agents.consul, path=NAMESPACE)
    async with AsyncExitStack() as stack:
        nomad, directory, http = Nomad(agents.nomad), ConsulDirectory(consul), Http()
        for closing in (nomad, directory, http):
            stack.push_async_callback(closing.close)
        fleet = await look([service.name for service in services], directory, nomad, http)
        wanted = {*STANDING_ON, *read_extra(agents.folder)}
        stores = [store for name in INFRA if name in wanted and (store := await _store(nomad, name)) is not None]
    return Standing(agents=running, stores=tuple(stores), fleet=fleet)


async def become_well(agents: Agents, services: Sequence[Service]) -> None:
    """Wait until all of it is well.

    Raises:
        Unavailable: it is not in time; the text says what is the matter.
    """
    end = monotonic() + SETTLING
    while not (seen := await look_at_all(agents, services)).well:
        if monotonic() > end:
            raise Unavailable(f"up, and not well after {SETTLING:g} s: {'; '.join(seen.problems())}")
        await asyncio.sleep(0.5)


async def _store(nomad: Nomad, name: str) -> Store | None:
    """How a store is; None where the fleet has none such."""
    try:
        status = await nomad.status(job_name(name))
    except NotFound:
        return None
    except MirageError as error:
        return Store(name=name, running=False, node="", problems=(str(error),))
    running = [each for each in status.allocations if each.runs]
    problems = [*status.waiting, *(each.reason for each in status.allocations if each.desired == "run" and each.reason)]
    return Store(name=name, running=bool(running), node=running[0].node if running else "", problems=tuple(problems))


def write(standing: Standing, form: str) -> None:
    """Print how it is, as a table for people or as JSON."""
    if form == "json":
        write_json(standing)
        return
    ended = [agent for agent, runs in standing.agents.items() if not runs]
    down = "down" if standing.agents.get("nomad-server", True) else "unknown"
    click.echo(f"Agents: {' and '.join(ended)} do not run" if ended else "Agents: all run")
    write_table(
        ("store", "state", "where", "problems"),
        (
            (store.name, "running" if store.running else down, store.node, "; ".join(store.problems))
            for store in standing.stores
        ),
    )
    rows = [row for service in standing.fleet.services for row in _rows(service)]
    write_table(("service", "instances", "address", "where", "version", "state", "waiting", "says"), rows)


def _rows(service: ServiceView) -> Iterator[tuple[str, ...]]:
    waiting = sum(consumer.waiting + consumer.in_flight for consumer in service.consumers)
    head = (service.name, f"{service.running} of {service.wanted}")
    said = [*service.problems]
    if service.deployment not in {"", "successful"}:
        said.append(f"deployment {service.deployment}")
    first = service.instances[0] if service.instances else None
    yield (*head, *_of(first), str(waiting) if service.consumers else "", "; ".join([*said, *_without(first)]))
    for instance in service.instances[1:]:
        yield ("", "", *_of(instance), "", "; ".join(_without(instance)))


def _of(instance: InstanceView | None) -> tuple[str, str, str, str]:
    if instance is None:
        return ("-", "", "", "none is known")
    return (instance.address, instance.host, instance.version, instance.condition)


def _without(instance: InstanceView | None) -> tuple[str, ...]:
    return instance.without if instance else ()
