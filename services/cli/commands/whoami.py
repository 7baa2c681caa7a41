"""`mirage whoami`: as whom a command asks, where, and until when it may."""

import click

from services.cli.options import Session, data_options, format_option
from services.cli.text import clean, instant, write_json
from services.contracts.endpoints import SHOW_CALLER
from services.contracts.resources import CallerView
from services.kernel.calls import Nothing


@click.command("whoami")
@format_option("text", "json")
@data_options
def command(session: Session, form: str) -> int:
    """Say as whom you ask, in which workspace, as what, and until when: by a session, or the token of MIRAGE_TOKEN."""
    found = session.ask(SHOW_CALLER, Nothing(), makes=True)
    if form == "json":
        write_json(found)
    else:
        click.echo("\n".join(described(found, session)))
    return 0


def described(found: CallerView, session: Session) -> list[str]:
    """Who asks, line by line."""
    if found.kind == "operator":
        return [f"The operator of {session.settings.folder}, who may all, in the workspace {session.workspace}"]
    by = f"the token {clean(found.token)}" if found.kind == "token" else "a session"
    lines = [f"{clean(found.name)} <{clean(found.email)}> at {session.settings.server}"]
    if found.workspace_name:
        lines.append(f"{', '.join(found.roles)} in the workspace {clean(found.workspace_name)}")
    else:
        lines.append(f"{', '.join(found.roles) or 'nothing yet'}, in no workspace")
    if found.kind == "token":
        lines.append(f"May {', '.join(found.permissions) or 'nothing'}")
    return [*lines, f"By {by}, until {instant(found.until)}"]
