"""`mirage fleet`: a whole fleet on this machine, on Nomad and Consul."""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from services.cli.dead_letters import add_commands
from services.cli.first_account import told_of_code
from services.cli.options import run_async
from services.cli.text import count as counted
from services.kernel.calls import Nothing, operator
from services.kernel.errors import Conflict, Exhausted, Invalid, Unavailable
from services.kernel.messages import workspace_id
from services.kernel.observe import configure_logs

if TYPE_CHECKING:
    from services.cli.fleet.deployment import Deployment
    from services.kernel.scheduler import Allocation
    from services.kernel.scheduler.nomad import Nomad

#: Root's own folders let nobody through, and PostgreSQL runs as somebody else.
OF_ROOT: Final = "/var/lib/mirage"
OF_OTHERS: Final = "~/.local/share/mirage-fleet"
#: What is brought up on top of what a fleet needs, by the word for it.
EXTRA: Final = {"metrics": "prometheus"}
#: Whoever asks about the fleet asks for no workspace of its own.
OPERATOR: Final = operator(workspace_id("default"))
#: Seconds for a number of instances to be what was asked for.
SETTLING: Final = 180.0
#: Bytes of what an instance logged that are shown.
SHOWN: Final = 20_000


def usual_folder() -> str:
    """Where a fleet is that nobody has named a folder for."""
    return OF_ROOT if os.geteuid() == 0 else OF_OTHERS


@click.group("fleet")
def command() -> None:
    """Bring up, look at and change a fleet on this machine: Consul, Nomad, the stores, and every service as a job."""
    configure_logs("warning")


def data_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``."""
    usual = usual_folder()
    return click.option("--data", metavar="DIR", default=usual, show_default=True, help="The fleet's folder.")(function)


@command.command("up")
@data_option
@click.option("--with", "extra", multiple=True, type=click.Choice([*EXTRA]), help="Prometheus from now on.")
@click.option("--without", "less", multiple=True, type=click.Choice([*EXTRA]), help="No more; its data stay.")
@click.option("--listen", metavar="ADDRESS:PORT", default="", help="Where the gateway listens (127.0.0.1:8080).")
@click.option(
    "--set", "changes", metavar="NAME[=VALUE]", multiple=True, help="What services are told; alone, as it is here."
)
@click.option("--free-ports", is_flag=True, help="At its first start, take ports that are free, not the usual ones.")
def up(
    data: str, extra: tuple[str, ...], less: tuple[str, ...], listen: str, changes: tuple[str, ...], *, free_ports: bool
) -> int:
    """Bring the fleet up, or what of it is missing, or another version of Mirage.

    Proxy, resolvers and the like are those of the first start (environment, configuration file), and change by --set
    only: --set log=warning; --set proxy takes over what is set here; --set proxy= takes it back. There are proxy,
    no_proxy, resolvers, dial_table, ca_file, user_agent, log, and venv, where Python's packages are.
    """
    from services.cli.fleet.ports import HOST, Ports
    from services.cli.fleet.ports import free_ports as find_free
    from services.contracts.endpoints import OFFER_FIRST_ACCOUNT

    chosen = {"extra": [EXTRA[each] for each in extra], "less": [EXTRA[each] for each in less]}
    given = {**chosen, "changes": dict(map(_change, changes))}
    fleet = _deployment(data, **given, listen=listen)
    if free_ports and fleet.agents.known:
        _tell("ports", "are those of its first start")
    elif free_ports:
        # All at once, or the gateway's might be one of the others.
        *ports, public = find_free(len(Ports.__struct_fields__) + 1)
        fleet = _deployment(data, **given, listen=listen or f"{HOST}:{public}", ports=Ports.of(tuple(ports)))

    async def work() -> int:
        await fleet.up(_tell)
        async with fleet.calls() as calls:
            offered = await calls.ask(OFFER_FIRST_ACCOUNT, Nothing(), OPERATOR)
        click.echo(f"Mirage is up: {fleet.server}/api/docs", err=True)
        click.echo(told_of_code(offered.code, fleet.server), err=True)
        return 0

    return _run(work())


def _change(text: str) -> tuple[str, str | None]:
    name, said, value = text.partition("=")
    return name.strip(), value.strip() if said else None


def _tell(what: str, how: str) -> None:
    if how:
        click.echo(f"  {what:<14} {how}", err=True)


@command.command("reset")
@click.argument("email")
@click.option("--second-factor", is_flag=True, help="Have authenticator, passkeys and identities be forgotten, too.")
@data_option
def reset(email: str, data: str, *, second_factor: bool) -> int:
    """Make a code by which who has EMAIL chooses another password (mirage login --reset)."""

    async def work() -> int:
        from services.cli.commands.account import show_reset
        from services.contracts.endpoints import OFFER_RESET
        from services.contracts.resources import NewReset

        async with _known(data).calls() as calls:
            made = await calls.ask(OFFER_RESET, NewReset(email=email, second_factor=second_factor), OPERATOR)
        show_reset(made)
        return 0

    return _run(work())


@command.command("settings")
@click.argument("service")
@click.argument("changes", metavar="[NAME=VALUE]…", nargs=-1)
@click.option("--reason", default="", help="Why; it is kept with the change.")
@data_option
def settings(service: str, changes: tuple[str, ...], reason: str, data: str) -> int:
    """Show what is set of SERVICE, or change it as the fleet's operator, who alone says how people log in (auth)."""
    from services.cli.commands.settings import read_values, write_settings
    from services.contracts.endpoints import CHANGE_SETTINGS, GET_SETTINGS
    from services.contracts.resources import ChangeSettings, SettingsRef

    change = ChangeSettings(service=service, values=read_values(changes), reason=reason)

    async def work() -> int:
        async with _known(data).calls() as calls:
            if changes:
                view = await calls.ask(CHANGE_SETTINGS, change, OPERATOR)
            else:
                view = await calls.ask(GET_SETTINGS, SettingsRef(service), OPERATOR)
        return write_settings((view,), "table")

    return _run(work())


@command.command("key")
@click.argument("name")
@click.option("--remove", is_flag=True, help="Forget it.")
@data_option
def key(name: str, data: str, *, remove: bool) -> int:
    """Set a provider key as the fleet's operator, who alone sets those of logins (oidc_…); read as by `keys set`."""
    from services.cli.commands.keys import read_key
    from services.contracts.endpoints import REMOVE_KEY, SET_KEY
    from services.contracts.resources import KeyName, NewKey

    _folder(data)
    secret = "" if remove else read_key(f"./mirage fleet key {name}")

    async def work() -> int:
        async with _deployment(data).calls() as calls:
            if remove:
                await calls.ask(REMOVE_KEY, KeyName(name), OPERATOR)
                click.echo(f"{name} is removed")
            else:
                made = await calls.ask(SET_KEY, NewKey(name, secret), OPERATOR)
                click.echo(f"{name} is set ({made.hint})")
        return 0

    return _run(work())


@command.command("down")
@data_option
def down(data: str) -> int:
    """End everything in order: services, then the stores, then Nomad and Consul. What they keep stays."""

    async def work() -> int:
        fleet = _known(data)
        left = await fleet.down(lambda what: click.echo(f"  {what}", err=True))
        if left:
            click.echo(f"  {counted(left, 'process')} had been left behind and ended", err=True)
        return 0

    return _run(work())


@command.command("status")
@data_option
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(data: str, form: str) -> int:
    """Show services and stores: instances, how they are, where they run, what waits for them."""

    async def work() -> int:
        fleet = _known(data)
        from services.cli.fleet.standing import look_at_all, write

        seen = await look_at_all(fleet.agents, fleet.services)
        write(seen, form)
        return 0 if seen.well else 1

    return _run(work())


@command.command("scale")
@click.argument("service")
@click.argument("count", metavar="COUNT|auto")
@data_option
def scale(service: str, count: str, data: str) -> int:
    """Fix the number of instances of SERVICE, or let it follow its work (auto)."""
    if count != "auto" and not count.isdecimal():
        raise Invalid(f"{count} is no number of instances, and not `auto`")
    number = None if count == "auto" else int(count)
    _job(service, data)

    async def work() -> int:
        from services.contracts.endpoints import SCALE_SERVICE
        from services.contracts.resources import Scaling

        async with _known(data).calls() as calls:
            scaled = await calls.ask(SCALE_SERVICE, Scaling(service=service, count=number), OPERATOR)
        if number is None:
            click.echo(f"{service} has {scaled.least} to {counted(scaled.most, 'instance')}, as its work needs")
            return 0
        await _reaches(data, service)
        click.echo(f"{service} has {counted(number, 'instance')}")
        return 0

    return _run(work())


async def _reaches(data: str, service: str) -> None:
    """Wait until a service has as many instances as it is to have.

    Raises:
        Unavailable: it has not in time.
    """
    try:
        async with _scheduler(data) as nomad, asyncio.timeout(SETTLING):
            await nomad.settle(_job(service, data))
    except TimeoutError:
        raise Unavailable(
            f"{service} has another number of instances after {SETTLING:g} s: see `fleet status`"
        ) from None


@command.command("restart")
@click.argument("service")
@data_option
def restart(service: str, data: str) -> int:
    """Restart the instances of SERVICE, one after the other."""
    job = _job(service, data)

    async def work() -> int:
        async with _scheduler(data) as nomad:
            restarted = await nomad.restart(job)
        if not restarted:
            raise Conflict(f"no instance of {service} runs: see `fleet status`")
        click.echo(f"restarted: {counted(restarted, 'instance')} of {service}")
        return 0

    return _run(work())


@command.command("logs")
@click.argument("service")
@click.option("-f", "--follow", is_flag=True, help="Also what is logged from now on.")
@data_option
def logs(service: str, data: str, *, follow: bool) -> int:
    """Show what the instances of SERVICE log."""
    job = _job(service, data)

    async def work() -> int:
        async with _scheduler(data) as nomad:
            found = (await nomad.status(job)).allocations
            # One that fails again and again is mostly about to begin.
            shown = [each for each in found if each.desired == "run"] or sorted(found, key=_age)[:1]
            logs = [_print_log(nomad, each.id, task, follow=follow) for each in shown for task in _tasks(each, service)]
            if not logs:
                raise Conflict(f"no instance of {service} has begun: see `fleet status`")
            await asyncio.gather(*logs)
        return 0

    return _run(work())


def _age(allocation: "Allocation") -> int:
    return -allocation.created


def _tasks(allocation: "Allocation", service: str) -> list[str]:
    """Whose log says how an instance is: its own, or that of what goes before it, where it has not come to it yet."""
    begun = [task.name for task in allocation.tasks if task.started]
    return [service] if service in begun else begun


async def _print_log(nomad: "Nomad", allocation: str, task: str, *, follow: bool) -> None:
    log = nomad.logs(allocation, task, "stderr", follow=follow, offset=SHOWN, origin="end")
    async with aclosing(log) as pieces:
        async for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


@command.group("dead", invoke_without_command=True)
@data_option
def dead(data: str) -> int:
    """List, show, retry and drop dead letters: messages that could not be taken in after five tries.

    Without a verb they are listed.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        return int(context.invoke(dead.commands["list"], data=data, form="table"))
    context.default_map = {verb: {"data": data} for verb in dead.commands}
    return 0


def _with_letters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command of dead letters what opens those of a fleet."""

    def run(data: str, **options: Any) -> Any:
        folder = _folder(data)
        from services.cli.fleet.letters import FleetLetters

        return function(FleetLetters(folder), **options)

    return data_option(update_wrapper(run, function))


add_commands(dead, _with_letters)


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work; what the system refuses is a sentence, too.

    Raises:
        Exhausted: a disk is full.
        Unavailable: a folder cannot be used, or something does not answer.
    """
    try:
        return run_async(work)
    except TimeoutError:
        raise Unavailable("something of the fleet does not answer in time: see `fleet status`") from None
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Exhausted(f"the disk is full ({said})") from error
        raise Unavailable(said) from error


def _deployment(data: str, **given: Any) -> "Deployment":
    from services.cli.fleet.deployment import Deployment

    return Deployment(Path(data).expanduser(), **given)


def _known(data: str) -> "Deployment":
    """The fleet that was brought up in a folder.

    Raises:
        Invalid: there is none.
    """
    _folder(data)
    return _deployment(data)


def _folder(data: str) -> Path:
    """The folder of a fleet that was brought up; told without what only a fleet needs, which may not be installed.

    Raises:
        Invalid: there is none in it.
    """
    from services.cli.fleet.secrets import read_secrets

    folder = Path(data).expanduser()
    read_secrets(folder)
    return folder


@asynccontextmanager
async def _scheduler(data: str) -> AsyncIterator["Nomad"]:
    known = _known(data)
    from services.kernel.scheduler.nomad import Nomad

    nomad = Nomad(known.agents.nomad)
    try:
        yield nomad
    finally:
        await nomad.close()


def _job(service: str, data: str) -> str:
    """The job of a service or a store of the fleet in a folder.

    Raises:
        Invalid: there is no such thing, or no fleet.
    """
    _folder(data)
    from services.catalogue import SERVICES
    from services.cli.fleet.infra import INFRA
    from services.cli.rendering.jobs import job_name

    if service not in {*SERVICES, *INFRA}:
        raise Invalid(f"there is no service {service}; there are {', '.join((*SERVICES, *INFRA))}")
    return job_name(service)
