"""`mirage logout`: end the session at a server, and forget it."""

import os

import click

from services.cli.commands.login import USUAL, end_session_kept
from services.cli.credentials import Kept, keep_credentials, log_in_first, server_of
from services.cli.options import Session, data_options, run_async
from services.kernel.errors import Invalid


@click.command("logout")
@data_options
def command(session: Session) -> int:
    """End the session at a server (--server, else http://localhost:8080), everywhere and at once."""
    return run_async(_log_out(server_of(session.settings, USUAL)))


async def _log_out(url: str) -> int:
    ended = await end_session_kept(url)
    kept: Kept | None = await keep_credentials(url, None, os.environ)
    if kept is None and not ended:
        raise Invalid(log_in_first(url))
    if kept is not None and kept.token:
        click.echo(f"The token at {url} is forgotten here, and good elsewhere: mirage tokens end ID", err=True)
    else:
        click.echo(f"The session at {url} has {'ended' if ended else 'ended before, and is forgotten here'}", err=True)
    return 0
