"""A backup becomes the same data folder elsewhere; what is no backup leaves nothing behind."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.cli.archive import restore_backup, write_backup
from services.kernel.errors import Invalid, MirageError
from services.kernel.folder import FORMAT, Folder


@asynccontextmanager
async def unheld(_: str) -> AsyncIterator[None]:
    """For a folder that nobody works on."""
    yield


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    folder = Folder(tmp_path / "data")
    folder.acquire()
    folder.close()
    (tmp_path / "data" / "evidence").mkdir()
    (tmp_path / "data" / "evidence" / "00000001.seg").write_bytes(bytes(range(256)) * 100)
    for name in ("keys.json", "keys.new", "mirage.sock", "notes.txt", "bus.db-wal"):
        (tmp_path / "data" / name).write_text("secret, or nobody else's")
    await write_backup(tmp_path / "data", tmp_path / "backup", unheld)
    return tmp_path / "backup"


def archive(file: Path, *extra: tarfile.TarInfo, **members: bytes) -> Path:
    with tarfile.open(file, "w:gz") as written:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
        for member in extra:
            written.addfile(member, io.BytesIO(bytes(member.size)))
    return file


#: What every backup has.
SOUND = {"format": b"1\n", "backup_json": json.dumps({"format": FORMAT}).encode()}


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1, **pax: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname, made.pax_headers = kind, size, "/etc/passwd", pax
    return made


def test_what_was_backed_up_is_restored_but_for_keys(tmp_path: Path, backup: Path) -> None:
    assert restore_backup(backup, tmp_path / "new" / "data") == 2
    restored = tmp_path / "new" / "data"
    assert {path.name for path in restored.iterdir()} == {"format", "lock", "evidence"}
    assert (restored / "evidence" / "00000001.seg").read_bytes() == bytes(range(256)) * 100
    assert (restored / "evidence" / "00000001.seg").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("mirage-backup")] == []


def broken(backup: Path, kind: str) -> Path:
    file = backup.parent / kind
    match kind:
        case "cut":
            file.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
        case "altered":
            file.write_bytes(gzip.compress(gzip.decompress(backup.read_bytes()))[:-8] + bytes(8))
        case "text":
            file.write_text("not an archive\n")
        case "after":
            return after(file, bytes(2 << 20))
        case "more":
            return after(file, b"more")
        case _:
            extra, members = UNSOUND[kind]
            return archive(file, *(each(backup.parent) if callable(each) else each for each in extra), **members)
    return file


def after(file: Path, added: bytes) -> Path:
    """A backup that goes on after its end."""
    archive(file, **SOUND)
    file.write_bytes(file.read_bytes() + gzip.compress(added))
    return file


#: What is in an archive beside nothing else wrong: members of any kind, and files by their names.
UNSOUND: dict[str, tuple[list[Any], dict[str, bytes]]] = {
    "empty": ([], {}),
    "other": ([], {"readme": b"hello"}),
    "newer": ([], {"backup_json": json.dumps({"format": FORMAT + 1}).encode(), "format": b"2\n"}),
    "odd": ([], {**SOUND, "backup_json": b"[]"}),
    "formless": ([], {"backup_json": SOUND["backup_json"]}),
    "long": ([], {**SOUND, "backup_json": SOUND["backup_json"] + b" " * 64_000}),
    "absolute": ([lambda place: member(str(place / "victim"))], SOUND),
    "above": ([member("../victim")], SOUND),
    "below": ([member("evidence/../../victim")], SOUND),
    "lock": ([member("lock")], SOUND),
    "keys": ([member("keys.json")], SOUND),
    "socket": ([member("mirage.sock")], SOUND),
    "link": ([member("bus.db", tarfile.SYMTYPE, 0)], SOUND),
    "hard": ([member("bus.db", tarfile.LNKTYPE, 0)], SOUND),
    "folder": ([member("evidence", tarfile.DIRTYPE, 0)], SOUND),
    "twice": ([member("bus.db"), member("bus.db")], SOUND),
    "header": ([lambda _: member("bus.db", comment="x" * (65 << 20))], SOUND),
}


@pytest.mark.parametrize("kind", ["cut", "altered", "text", "after", "more", *UNSOUND])
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_what_cannot_be_restored_leaves_nothing_behind(backup: Path, kind: str, there: bool) -> None:
    victim = backup.parent / "victim"
    victim.touch(mode=0o755)
    place = backup.parent / "elsewhere"
    folder = place / "deep" / "data"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises(MirageError, match=kind):
        restore_backup(broken(backup, kind), folder)
    assert list(folder.iterdir()) == [] if there else not place.exists()
    assert (victim.stat().st_mode & 0o777, victim.read_bytes()) == (0o755, b"")


def test_a_backup_that_needs_more_room_than_there_is_is_not_begun(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    with pytest.raises(Invalid, match="more than there is room for"):
        restore_backup(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("mode", [0o777, 0o000, 0o4755])
def test_what_is_restored_is_for_its_user_alone(tmp_path: Path, mode: int) -> None:
    open_to_all = member("scans.db")
    open_to_all.mode = mode
    restore_backup(archive(tmp_path / "backup", open_to_all, **SOUND), tmp_path / "data")
    assert (tmp_path / "data" / "scans.db").stat().st_mode & 0o7777 == 0o600


def test_a_folder_with_data_is_left_alone(tmp_path: Path, backup: Path) -> None:
    with pytest.raises(Invalid, match="is not empty"):
        restore_backup(backup, tmp_path / "data")
    assert (tmp_path / "data" / "keys.json").exists()


async def test_a_backup_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path, backup: Path) -> None:
    (tmp_path / "data" / "broken.db").write_bytes(b"no database" * 100)
    before = set(tmp_path.iterdir())
    with pytest.raises(Invalid, match="cannot be copied"):
        await write_backup(tmp_path / "data", tmp_path / "another", unheld)
    assert set(tmp_path.iterdir()) == before
