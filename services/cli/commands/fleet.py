"""`mirage fleet`: a whole fleet on this machine, on Nomad and Consul."""

import asyncio
import os
import sys
from contextlib import aclosing
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final

import click

from services.cli.dead_letters import add_commands
from services.cli.options import run_async
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.messages import workspace_id
from services.kernel.observe import configure_logs

DATA: Final = "~/.local/share/mirage-fleet"
#: Whoever asks about the fleet asks for no workspace of its own.
EVERYBODY: Final = Caller(workspace=workspace_id("default"))
SETTLING: Final = 180.0


@click.group("fleet")
def command() -> None:
    """Bring up, look at and change a fleet on this machine: Consul, Nomad, the stores, and every service as a job."""
    configure_logs("warning")


def data_option(function: Any) -> Any:
    return click.option(
        "--data", metavar="DIR", default=DATA, show_default=True, help="Where the fleet keeps everything."
    )(function)


def deployment(data: str, **given: Any) -> Any:
    from services.cli.fleet.deployment import Deployment

    return Deployment(Path(data).expanduser(), **given)


@command.command("up")
@data_option
@click.option("--with", "extra", multiple=True, type=click.Choice(["graph", "metrics"]), help="Neo4j, Prometheus too.")
@click.option("--listen", metavar="ADDRESS:PORT", default="", help="Where the gateway listens (127.0.0.1:8080).")
@click.option("--free-ports", is_flag=True, help="Take ports that are free now instead of the usual ones; kept.")
def up(data: str, extra: tuple[str, ...], listen: str, *, free_ports: bool) -> int:
    """Bring the fleet up, or what of it is missing."""
    from services.cli.fleet.ports import Ports
    from services.cli.tokens import keep_token

    also = [{"graph": "neo4j", "metrics": "prometheus"}[each] for each in extra]
    ports = Ports.free() if free_ports and not (Path(data).expanduser() / "agents/ports.json").exists() else None
    fleet = deployment(data, ports=ports, extra=also, public=listen)

    def told(what: str, how: str) -> None:
        if how:
            click.echo(f"  {what:<14} {how}", err=True)

    run_async(_up(fleet, told))
    server = f"http://localhost:{fleet.public.rpartition(':')[2]}"
    keep_token(server, fleet.secrets.token, os.environ)
    click.echo(f"Mirage is up: {server}/api/docs, the token is in {fleet.folder / 'secrets.json'}", err=True)
    click.echo(f"./mirage scan example.org --server {server}", err=True)
    return 0


async def _up(fleet: Any, told: Any) -> int:
    await fleet.up(told)
    return 0


@command.command("down")
@data_option
def down(data: str) -> int:
    """End everything in order: services, then the stores, then Nomad and Consul. What they keep stays."""

    async def work() -> int:
        from services.cli.fleet.infra import INFRA, job_of

        fleet = deployment(data)
        stores = {job_of(name) for name in INFRA}
        left = await fleet.agents.down(lambda what: click.echo(f"  {what}", err=True), lambda job: job in stores)
        if left:
            click.echo(f"  {left} processes had been left behind and were ended", err=True)
        return 0

    return run_async(work())


@command.command("status")
@data_option
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(data: str, form: str) -> int:
    """Show services and stores: instances, how they are, where they run, what waits for them."""

    async def work() -> int:
        from services.cli.fleet.standing import look_at_all, write

        seen = await look_at_all(deployment(data))
        write(seen, form)
        return 0 if seen.well else 1

    return run_async(work())


@command.command("scale")
@click.argument("service")
@click.argument("count", metavar="COUNT|auto")
@data_option
def scale(service: str, count: str, data: str) -> int:
    """Fix the number of instances of SERVICE, or let it follow its work (auto)."""
    if count != "auto" and not count.isdecimal():
        raise Invalid(f"{count} is no number of instances, and not `auto`")
    number = None if count == "auto" else int(count)

    async def work() -> int:
        from services.contracts.endpoints import SCALE_SERVICE
        from services.contracts.resources import Scaling

        fleet = deployment(data)
        async with fleet.calls() as calls:
            scaled = await calls.ask(SCALE_SERVICE, Scaling(service=service, count=number), EVERYBODY)
        if number is None:
            click.echo(f"{service} has {scaled.least} to {scaled.most} instances, as its work needs")
            return 0
        async with aclosing(_nomad(data)) as nomad:
            await asyncio.wait_for(nomad.settle(_job(service)), SETTLING)
        click.echo(f"{service} has {number} {'instance' if number == 1 else 'instances'}")
        return 0

    return run_async(work())


@command.command("restart")
@click.argument("service")
@data_option
def restart(service: str, data: str) -> int:
    """Restart the instances of SERVICE, one after the other."""

    async def work() -> int:
        async with aclosing(_nomad(data)) as nomad:
            count = await nomad.restart(_job(service))
        click.echo(f"{count} instances of {service} were restarted")
        return 0

    return run_async(work())


@command.group("dead")
def dead() -> None:
    """List, show, retry and drop dead letters: messages that could not be taken in after five tries."""


def with_letters(function: Any) -> Any:
    """Give a command of dead letters what opens those of a fleet."""

    def run(data: str, **options: Any) -> Any:
        from services.cli.fleet.letters import FleetLetters

        return function(FleetLetters(Path(data).expanduser()), **options)

    wrapped = update_wrapper(run, function)
    return data_option(wrapped)


add_commands(dead, with_letters)


@command.command("logs")
@click.argument("service")
@click.option("-f", "--follow", is_flag=True, help="Also what is logged from now on.")
@data_option
def logs(service: str, data: str, *, follow: bool) -> int:
    """Show what the instances of SERVICE log."""

    async def work() -> int:
        async with aclosing(_nomad(data)) as nomad:
            found = [each for each in (await nomad.status(_job(service))).allocations if each.runs]
            if not found:
                raise Invalid(f"no instance of {service} runs")
            await asyncio.gather(*(_print_log(nomad, each.id, service, follow=follow) for each in found))
        return 0

    return run_async(work())


async def _print_log(nomad: Any, allocation: str, task: str, *, follow: bool) -> None:
    async with aclosing(nomad.logs(allocation, task, "stderr", follow=follow, offset=20_000, origin="end")) as output:
        async for piece in output:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _nomad(data: str) -> Any:
    from services.kernel.scheduler.nomad import Nomad

    class Closing(Nomad):
        async def aclose(self) -> None:
            await self.close()

    return Closing(deployment(data).agents.nomad)


def _job(service: str) -> str:
    from services.catalogue import SERVICES
    from services.cli.fleet.infra import INFRA, job_of
    from services.cli.rendering.jobs import job_name

    if service in INFRA:
        return job_of(service)
    if service not in SERVICES:
        raise Invalid(f"there is no service {service}; there are {', '.join((*SERVICES, *INFRA))}")
    return job_name(service)
