"""`mirage backup`: a consistent copy of a data folder in one file."""

from pathlib import Path

import click

from services.cli.archive import write_backup
from services.cli.options import Session, data_options, run_async
from services.cli.output import STDOUT
from services.cli.text import count as told
from services.kernel.errors import Invalid
from services.kernel.folder import FORMAT_FILE


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@data_options
def command(session: Session, file: Path) -> int:
    """Write a consistent copy of the data folder to FILE, whether or not a process is working on it.

    Keys are not in it.
    """
    if str(file) == STDOUT:
        raise Invalid("a backup is a file that is put in its place when it is whole; name one")
    folder = session.settings.folder
    if not (folder / FORMAT_FILE).is_file():
        raise Invalid(f"{folder} is no data folder")
    if file.exists():
        raise Invalid(f"{file} is there already")

    async def work() -> int:
        async with session.open() as hull:
            return await write_backup(folder, file, hull.held)

    try:
        count = run_async(work())
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror or error}") from error
    click.echo(f"{file}: {told(count, 'file')}, {file.stat().st_size / 1_000_000:.1f} MB")
    click.echo(f"Keys are not in it; set them again where it is restored: {session.line('keys set NAME')}")
    return 0
