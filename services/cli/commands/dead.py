"""`mirage dead`: the dead letters of a data folder."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from services.cli.dead_letters import add_commands
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options
from services.kernel.errors import Invalid


@click.group("dead", cls=GroupOnData)
def command() -> None:
    """List, show, retry and drop dead letters: messages that could not be taken in after five tries.

    They are of the whole data folder, whatever workspace. ID is a letter's id or a unique beginning of it.
    """


def _with_folder(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command of dead letters a `Session`; a fleet shows its own to nobody who only asks it."""

    def run(session: Session, **options: Any) -> Any:
        if session.settings.server:
            raise Invalid("dead letters of a fleet are looked at where it runs: ./mirage fleet dead")
        return function(session, **options)

    return data_options(update_wrapper(run, function))


add_commands(command, _with_folder)
