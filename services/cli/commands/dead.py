"""`mirage dead`: the dead letters of a data folder."""

import click

from services.cli.dead_letters import add_commands
from services.cli.folder_options import GroupOnData
from services.cli.options import data_options


@click.group("dead", cls=GroupOnData)
def command() -> None:
    """List, show, retry and drop dead letters: messages that could not be taken in after five tries.

    They are of the whole data folder, whatever workspace. ID is a letter's id or a unique beginning of it.
    """


add_commands(command, data_options)
