"""A data folder in one file: a consistent copy of it, and back."""

import asyncio
import gzip
import json
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from services.cli.text import clean
from services.kernel.errors import Invalid
from services.kernel.folder import BEGINNINGS, BUS, EVIDENCE, FORMAT, FORMAT_FILE, Folder, Owned, is_data
from services.kernel.sql.sqlite_file import open_read_only

DATABASE: Final = ".db"
#: What says of an archive that it is a backup, and of which format.
MANIFEST: Final = "backup.json"
#: How many bytes that may have, how many all headers, and how many there may be after the last file.
MOST_SAID: Final = 64_000
MOST_HEADERS: Final = 64 << 20
MOST_AFTER: Final = 1 << 20
MOST_FILES: Final = 20_000

#: Holds the owner of a folder still for as long as it is open; see `Hull.held`.
Held = Callable[[Literal["relays", "segments"]], AbstractAsyncContextManager[None]]


class Copied(NamedTuple):
    """A file to put into the archive: where its bytes are, its place in the data folder, and how many bytes count."""

    path: Path
    place: str
    size: int


async def write_backup(folder: Path, file: Path, held: Held) -> int:
    """Copy the databases of a folder while nothing moves between them, then pack them with what they refer to.

    Return how many files there are. Scans stand still for the first part alone.
    """
    with beside(file) as place:
        scratch, written = place / "databases", place / "backup.tar.gz"
        async with held("segments"):
            async with held("relays"):
                copies = [await asyncio.to_thread(copy_database, *each) for each in databases(folder, scratch)]
            copies += [Copied(path, of, path.stat().st_size) for of, path in files(folder) if path.suffix != DATABASE]
            with tarfile.open(written, "w:gz", compresslevel=1) as archive:
                for copied in copies:
                    await asyncio.to_thread(pack, archive, copied)
                manifest = place / MANIFEST
                manifest.write_text(json.dumps({"format": FORMAT}), "utf-8")
                archive.add(manifest, arcname=MANIFEST)
        written.chmod(0o600)
        written.rename(file)
    return len(copies)


@contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A folder for what is not finished, on the disk where it is to be."""
    with tempfile.TemporaryDirectory(prefix="mirage-backup-", dir=file.absolute().parent) as place:
        yield Path(place)


def files(folder: Path) -> list[tuple[str, Path]]:
    """The files that make up a folder, each with its place in it."""
    found = ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return sorted((place, path) for place, path in found if is_data(place))


def databases(folder: Path, scratch: Path) -> list[tuple[Path, Path, str]]:
    """The databases in the order in which they are copied, where to, and their places.

    Work is written from the back: bodies, documents and what is searched, the rows that refer to them, and last it is
    taken off the bus. So they are copied from the front: what was done meanwhile is done again, and nothing is lost.
    """
    found = [(place, path) for place, path in files(folder) if path.suffix == DATABASE]
    return [(path, scratch / place, place) for place, path in sorted(found, key=lambda each: turn(each[0]))]


def turn(place: str) -> int:
    """When a database is copied: the bus, the rows of services, their documents and what is searched, bodies."""
    if place == BUS:
        return 0
    if place.startswith(EVIDENCE):
        return 3
    return 2 if "-" in place else 1


def copy_database(source: Path, copy: Path, place: str) -> Copied:
    """Copy a database as it is at one instant, whoever else reads or writes."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    origin = open_read_only(source)
    target = sqlite3.connect(copy)
    try:
        origin.backup(target)
    except sqlite3.Error as error:
        raise Invalid(f"{source.name} cannot be copied: {error}") from error
    finally:
        target.close()
        origin.close()
    return Copied(copy, place, copy.stat().st_size)


def pack(archive: tarfile.TarFile, copied: Copied) -> None:
    """Put a file into the archive as long as it was when it counted; it may have grown since."""
    with copied.path.open("rb") as content:
        member = archive.gettarinfo(arcname=copied.place, fileobj=content)
        member.size = copied.size
        archive.addfile(member, content)


class Unpacked(gzip.GzipFile):
    """What is inside a compressed file, of which no more than ``allowed`` is read: a header may claim any length."""

    allowed = MOST_HEADERS

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.allowed:
            raise tarfile.ReadError("it holds more than a backup does")
        self.allowed -= size
        return super().read(size)


def restore_backup(file: Path, folder: Path) -> int:
    """Unpack a backup into an empty data folder and return how many files there are; a failure leaves nothing behind.

    Raises:
        Invalid: it is no backup, or of a newer version; or the folder is in use or has something in it.
    """
    if folder.exists() and any(path.name not in BEGINNINGS for path in folder.iterdir()):
        raise Invalid(f"{folder} is not empty; name another folder with --data")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    room = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    owned = Folder(folder)
    try:
        with Unpacked(file, "rb") as content, tarfile.open(fileobj=content, mode="r:") as archive:
            members = check_backup(file, archive, content, room)
            content.allowed += sum(member.size for member in members)
            owned.acquire()
            try:
                return unpack(archive, members, folder)
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


def check_backup(file: Path, archive: tarfile.TarFile, content: Unpacked, room: int) -> list[tarfile.TarInfo]:
    """Return the files in an archive that `write_backup` wrote, of this version or an older one; else raise `Invalid`.

    It is read to its end, where its checksum is, unless it needs more than ``room`` bytes or holds what no data folder
    has; what else is wrong with it raises as in `tarfile`.
    """
    members: dict[str, tarfile.TarInfo] = {}
    manifest: tarfile.TarInfo | None = None
    for member in archive:
        if member.name == MANIFEST and member.type == tarfile.REGTYPE and member.size <= MOST_SAID:
            manifest = member
            continue
        plain = member.type == tarfile.REGTYPE and not member.issparse()
        if not (plain and is_data(member.name)) or member.name in members:
            raise Invalid(f"{file} is not a backup of Mirage: {clean(member.name[:100])} in it is no part of one")
        members[member.name] = member
        room -= member.size
        if room < 0 or len(members) > MOST_FILES:
            raise Invalid(f"{file} holds more than there is room for")
    if content.read(MOST_AFTER).strip(b"\0") or content.read(1):
        raise Invalid(f"{file} is not a backup of Mirage: it goes on after its end")
    if manifest is None or FORMAT_FILE not in members:
        raise Invalid(f"{file} is not a backup of Mirage")
    check_format(file, archive.extractfile(manifest))
    return list(members.values())


def check_format(file: Path, described: Any) -> None:
    """Raise `Invalid` unless this version knows the format that a backup says it has."""
    known = json.loads(described.read())
    if not isinstance(known, dict) or not isinstance(known.get("format"), int):
        raise Invalid(f"{file} is not a backup of Mirage")
    if known["format"] > FORMAT:
        raise Invalid(f"{file} was written by a newer Mirage")


def unpack(archive: tarfile.TarFile, members: list[tarfile.TarInfo], folder: Path) -> int:
    """Extract all files, ``format`` last: without it, what a restore left that was killed is no data folder."""
    (folder / FORMAT_FILE).unlink()
    for member in sorted(members, key=lambda member: member.name == FORMAT_FILE):
        member.mode = 0o600
        (folder / member.name).parent.mkdir(mode=0o700, exist_ok=True)
        archive.extract(member, folder, filter="data")
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
