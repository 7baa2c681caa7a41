"""`mirage workspaces`: where you work, each with its own scans, results and people."""

import os
from shlex import quote

import click

from services.cli.credentials import keep_workspace, server_of
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.prompts import ask_for, check_code
from services.cli.quotas import show_quotas
from services.cli.text import clean, moment, write_json, write_table
from services.contracts.endpoints import ACCEPT_INVITATION, CHANGE_WORKSPACE, CREATE_WORKSPACE, LIST_WORKSPACES
from services.contracts.resources import ChangeWorkspace, InvitationCode, NewWorkspace, WorkspaceView
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid, NotFound


@click.group("workspaces", cls=GroupOnData)
def command() -> None:
    """List, make, call and enter workspaces at a server."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_workspaces(session: Session, form: str) -> int:
    """List the workspaces that you belong to."""
    found = session.ask(LIST_WORKSPACES, Nothing())
    if form == "json":
        write_json(found)
        return 0
    write_table(
        ("name", "called", "you are", "since (UTC)"),
        ((each.name, clean(each.title), each.role or "-", moment(each.created)) for each in found),
        none="No workspaces.",
    )
    return 0


@command.command("make")
@click.argument("name")
@click.option("--title", default="", help="What it is called; its NAME stays as it is.")
@data_options
def make(session: Session, name: str, title: str) -> int:
    """Make a workspace NAME, and own it."""
    made = session.ask(CREATE_WORKSPACE, NewWorkspace(name, title))
    click.echo(f"{made.name} is yours; {_within(made)}", err=True)
    return 0


def _within(workspace: WorkspaceView) -> str:
    return f"work in it with --workspace {workspace.name}"


@command.command("call")
@click.argument("title")
@data_options
def call(session: Session, title: str) -> int:
    """Call this workspace something else."""
    changed = session.ask(CHANGE_WORKSPACE, ChangeWorkspace(title))
    click.echo(f"{changed.name} is called {changed.title}", err=True)
    return 0


@command.command("quotas")
@click.argument("name", required=False)
@click.option("--scans", metavar="N", help="Scans that run at once.")
@click.option("--items", metavar="N", help="Work items that are handed out in a day.")
@click.option("--storage", metavar="SIZE", help="Evidence that is kept: 500MB, 10GB.")
@format_option("table", "json")
@data_options
def quotas(session: Session, name: str | None, form: str, **said: str | None) -> int:
    """Show what this workspace, or NAME, may use and uses; operators set it (`usual`: as for all others)."""
    return run_async(show_quotas(session, name or "", said, form))


@command.command("enter")
@click.argument("name", required=False)
@data_options
def enter(session: Session, name: str | None) -> int:
    """Work in NAME from now on, or in the workspace to which you were invited, by its code.

    So does every call at this server that says no --workspace. Who has no account says `login --invited`.
    """
    if name and not session.settings.server:
        raise Invalid(f"a data folder keeps no workspace to work in: say --workspace {quote(name)}")
    session.look_at_server()
    code = "" if name else ask_for("Code", check=check_code)
    return run_async(_enter(session, name or "", code))


async def _enter(session: Session, name: str, code: str) -> int:
    async with session.open() as hull:
        if name:
            known = await hull.calls.ask(LIST_WORKSPACES, Nothing(), session.caller)
            entered = next((each for each in known if each.name == name), None)
            if entered is None:
                raise NotFound(f"you belong to no workspace {clean(name)}")
        else:
            entered = await hull.calls.ask(ACCEPT_INVITATION, InvitationCode(code), session.caller)
    kept = await keep_workspace(server_of(session.settings), entered.name, os.environ)
    then = "you work there from now on, unless --workspace says another"
    click.echo(f"You are {entered.role} in {entered.name}; {then if kept else _within(entered)}", err=True)
    return 0
