"""`mirage login`: begin a session at a server, and keep it for later calls."""

import os
import socket
from contextlib import suppress
from typing import Final

import click

from services.cli.credentials import (
    Kept,
    LoggedInHere,
    Token,
    keep_credentials,
    see_that_it_can_be_kept,
    server_of,
    session_of,
    token_of,
)
from services.cli.logins import NOBODY, WAYS, Way, log_in_at_provider
from services.cli.options import Session, data_options, run_async
from services.cli.prompts import ask_for
from services.cli.remote import RemoteCalls
from services.cli.text import clean, instant
from services.contracts.endpoints import LOG_OUT, SHOW_CALLER
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid, MirageError, Unauthenticated

#: Where a server is if nobody says so: at home.
USUAL: Final = "http://localhost:8080"


@click.command("login")
@click.option("--first", is_flag=True, help="Make the first account, by the code that the server showed.")
@click.option("--invited", is_flag=True, help="Make the account to which you were invited, by the code that you got.")
@click.option("--oidc", metavar="NAME", help="Log in at an OpenID provider, as the server calls it.")
@click.option("--reset", is_flag=True, help="Choose another password, by the code that the operator made for you.")
@click.option("--token", is_flag=True, help="Keep a token instead, as one for scripts.")
@click.option("--name", "called", metavar="NAME", help="What `sessions list` calls this session.")
@data_options
def command(
    session: Session, *, first: bool, invited: bool, oidc: str | None, reset: bool, token: bool, called: str | None
) -> int:
    """Log in at a server (--server, else http://localhost:8080); the session is kept in the configuration folder.

    What it asks for comes from a prompt, or line by line from standard input. With --workspace later calls work there,
    too, unless they name another one.
    """
    if first + invited + reset + token > 1 or (oidc and first + reset + token):
        raise Invalid("one of --first, --invited, --reset and --token; of these, --oidc goes with --invited alone")
    if token and called:
        raise Invalid("a token has its name since it was made; --name is of a session")
    if session.named and (token or (not oidc and first + invited + reset)):
        raise Invalid("--workspace is for a login by password or --oidc; what else lets in says where by itself")
    url = server_of(session.settings, USUAL)
    if token:
        return run_async(_keep_token(url))
    way: Way = "first" if first else "invited" if invited else "reset" if reset else "usual"
    device = called or f"mirage on {socket.gethostname()}"
    return run_async(_log_in(url, session.named, device, way, oidc or ""))


async def _keep_token(url: str) -> int:
    """Keep a token that lets in, and say whose it is."""
    await see_that_it_can_be_kept(os.environ)
    token = token_of(ask_for("Token", secret=True))
    calls = RemoteCalls(url, Token(token))
    try:
        found = await calls.ask(SHOW_CALLER, Nothing(), NOBODY)
    finally:
        await calls.close()
    if found.kind != "token":
        raise Invalid("that is no token for scripts, and good for some minutes only: mirage tokens make NAME")
    with suppress(MirageError):  # it is of no use to anybody any more
        await end_session_kept(url)
    await keep_credentials(url, Kept(token=token), os.environ)
    whose, where = f"{clean(found.token)} of {clean(found.name)}", clean(found.workspace_name)
    click.echo(f"The token {whose} is kept for {url}; it is good in {where} until {instant(found.until)}", err=True)
    return 0


async def _log_in(url: str, workspace: str, device: str, way: Way, oidc: str) -> int:
    await see_that_it_can_be_kept(os.environ)
    calls = RemoteCalls(url, Token(""))
    try:
        await calls.ping()
        if oidc:
            given = await log_in_at_provider(calls, oidc, workspace, device, invited=way == "invited")
        else:
            given = await WAYS[way](calls, workspace, device)
    finally:
        await calls.close()
    with suppress(MirageError):  # it is of no use to anybody any more
        await end_session_kept(url)
    await keep_credentials(url, session_of(given, ""), os.environ)
    called = clean(given.workspace_name)
    where = f" in the workspace {called}" if called else ", who belongs to no workspace"
    click.echo(f"You are {clean(given.name)} ({', '.join(given.roles) or 'nothing yet'}){where} at {url}", err=True)
    return 0


async def end_session_kept(url: str) -> bool:
    """End the session that is kept of a server, which nobody could use any more; whether there was one that let in."""
    calls = RemoteCalls(url, LoggedInHere(url, os.environ))
    try:
        await calls.ask(LOG_OUT, Nothing(), NOBODY)
    except Unauthenticated:  # it was over already, or there is a token, which stays good
        return False
    finally:
        await calls.close()
    return True
