"""`mirage backup`: a consistent copy of a data folder in one file."""

import json
import sqlite3
import tarfile
import tempfile
from pathlib import Path

import click

from services.cli.options import Session, data_options
from services.kernel.errors import Invalid
from services.kernel.folder import FORMAT, Folder, Owned

DATABASES = "*.db"


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@data_options
def command(session: Session, file: Path) -> int:
    """Write a consistent copy of the data folder to FILE, whether or not a process is working on it.

    Keys are not in it.
    """
    folder = session.settings.folder
    if not (folder / "format").is_file():
        raise Invalid(f"{folder} is no data folder")
    if file.exists():
        raise Invalid(f"{file} is there already")
    try:
        count = write_backup(folder, file)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise Invalid(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file}: {count} files, {file.stat().st_size / 1_000_000:.1f} MB")
    return 0


def write_backup(folder: Path, file: Path) -> int:
    """Copy databases first and what they refer to afterwards: segments only grow, so every reference is met."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="mirage-backup-", dir=file.absolute().parent) as scratch:
        written = file.with_name(file.name + ".new")
        with tarfile.open(written, "w:gz", compresslevel=1) as archive:
            for database in sorted(folder.rglob(DATABASES)):
                copy = Path(scratch) / "copy.db"
                copy_database(database, copy)
                archive.add(copy, arcname=str(database.relative_to(folder)))
                copy.unlink()
                count += 1
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix not in {".db", ".db-wal", ".db-shm", ".sock"} and kept(path, folder):
                    archive.add(path, arcname=str(path.relative_to(folder)))
                    count += 1
            manifest = Path(scratch) / "backup.json"
            manifest.write_text(json.dumps({"format": FORMAT}), "utf-8")
            archive.add(manifest, arcname="backup.json")
        written.chmod(0o600)
        written.rename(file)
    return count


def kept(path: Path, folder: Path) -> bool:
    """Whether a file of the data folder belongs into a backup."""
    return path.relative_to(folder).parts[0] not in {"lock", "keys.json", "mirage.sock"} and not path.name.endswith(
        ("-wal", "-shm", "-journal")
    )


def copy_database(source: Path, copy: Path) -> None:
    """Copy a database as it is at one instant, whoever else reads or writes."""
    origin = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    target = sqlite3.connect(copy)
    try:
        origin.backup(target)
    except sqlite3.Error as error:
        raise Invalid(f"{source.name} cannot be copied: {error}") from error
    finally:
        target.close()
        origin.close()


def restore_backup(file: Path, folder: Path) -> int:
    """Unpack a backup into an empty data folder."""
    if folder.exists() and any(path.name != "lock" for path in folder.iterdir()):
        raise Invalid(f"{folder} is not empty; name another folder with --data")
    owned = Folder(folder)
    try:
        owned.acquire()
    except Owned as error:
        raise Invalid(str(error)) from error
    count = 0
    try:
        with tarfile.open(file, "r:gz") as archive:
            first = {member.name for member in archive.getmembers()}
            if "backup.json" not in first:
                raise Invalid(f"{file} is not a backup of Mirage")
            described = json.loads(archive.extractfile("backup.json").read())  # type: ignore[union-attr]
            if described.get("format", 0) > FORMAT:
                raise Invalid(f"{file} was written by a newer Mirage")
            for member in archive.getmembers():
                if member.isfile() and member.name != "backup.json":
                    archive.extract(member, folder, filter="data")
                    (folder / member.name).chmod(0o600)
                    count += 1
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Invalid(f"{file} cannot be restored: {error}") from error
    finally:
        owned.close()
    return count
