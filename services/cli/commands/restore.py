"""`mirage restore`: a data folder from a backup."""

from pathlib import Path

import click

from services.cli.archive import restore_backup
from services.cli.options import Session, data_options
from services.cli.text import count
from services.kernel.errors import Invalid


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@data_options
def command(session: Session, file: Path) -> int:
    """Make the data folder from FILE; the folder must be empty or not there yet. Keys are not in a backup."""
    if not file.is_file():
        raise Invalid(f"there is no file {file}")
    restored = restore_backup(file, session.settings.folder)
    click.echo(f"{session.settings.folder}: {count(restored, 'file')} restored")
    click.echo(f"Keys were not in it; set them again: {session.line('keys set NAME')}")
    return 0
