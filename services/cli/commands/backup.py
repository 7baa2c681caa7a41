"""`mirage backup`: a consistent copy of a data folder in one file."""

import json
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import click

from services.cli.options import Session, data_options
from services.cli.text import count as told
from services.kernel.errors import Invalid
from services.kernel.folder import BEGINNINGS, FORMAT, Folder, Owned

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
        raise Invalid(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file}: {told(count, 'file')}, {file.stat().st_size / 1_000_000:.1f} MB")
    return 0


def write_backup(folder: Path, file: Path) -> int:
    """Copy databases first and what they refer to afterwards: segments only grow, so every reference is met."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="mirage-backup-", dir=file.absolute().parent) as scratch:
        written = Path(scratch) / "backup.tar.gz"
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
    """Unpack a backup into an empty data folder and return how many files there are; a failure leaves nothing behind.

    Raises:
        Invalid: it is no backup, or of a newer version; or the folder is in use or has something in it.
    """
    if folder.exists() and any(path.name not in BEGINNINGS for path in folder.iterdir()):
        raise Invalid(f"{folder} is not empty; name another folder with --data")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    owned = Folder(folder)
    try:
        with tarfile.open(file, "r:gz") as archive:
            check_backup(file, archive)
            owned.acquire()
            try:
                return unpack(archive, folder)
            except BaseException:
                empty(folder, made)
                raise
            finally:
                owned.close()
    except Owned as error:
        raise Invalid(str(error)) from error
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Invalid(f"{file} cannot be restored: {reason}") from error


def check_backup(file: Path, archive: tarfile.TarFile) -> None:
    """Raise `Invalid` unless the archive was written by `write_backup`, of this version or an older one.

    It is read to its end, where its checksum is; what is wrong with it raises as in `tarfile`.
    """
    names = archive.getnames()
    content = archive.fileobj
    assert content is not None
    while content.read(1 << 20):
        pass
    if "backup.json" not in names:
        raise Invalid(f"{file} is not a backup of Mirage")
    described = archive.extractfile("backup.json")
    known = json.loads(described.read()) if described else None
    if not isinstance(known, dict) or not isinstance(known.get("format"), int):
        raise Invalid(f"{file} is not a backup of Mirage")
    if known["format"] > FORMAT:
        raise Invalid(f"{file} was written by a newer Mirage")


def unpack(archive: tarfile.TarFile, folder: Path) -> int:
    """Extract all files, ``format`` last: without it, what a restore left that was killed is no data folder."""
    (folder / "format").unlink()
    members = [member for member in archive.getmembers() if member.isfile() and member.name != "backup.json"]
    for member in sorted(members, key=lambda member: member.name == "format"):
        archive.extract(member, folder, filter="data")
        (folder / member.name).chmod(0o600)
    return len(members)


def empty(folder: Path, made: Iterable[Path]) -> None:
    """Remove what is in a folder, and the folders that were made for it, the deepest first."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in made:
        path.rmdir()
