"""A backup becomes the same data folder elsewhere; what is no backup leaves nothing behind."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from services.cli.commands.backup import restore_backup, write_backup
from services.kernel.errors import Invalid, MirageError
from services.kernel.folder import FORMAT, Folder


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = Folder(tmp_path / "data")
    folder.acquire()
    folder.close()
    (tmp_path / "data" / "evidence").mkdir()
    (tmp_path / "data" / "evidence" / "000001").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "data" / "keys.json").write_text("{}")
    write_backup(tmp_path / "data", tmp_path / "backup")
    return tmp_path / "backup"


def archive(file: Path, **members: bytes) -> Path:
    with tarfile.open(file, "w:gz") as written:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return file


def test_what_was_backed_up_is_restored_but_for_keys(tmp_path: Path, backup: Path) -> None:
    assert restore_backup(backup, tmp_path / "new" / "data") == 2
    restored = tmp_path / "new" / "data"
    assert {path.name for path in restored.iterdir()} == {"format", "lock", "evidence"}
    assert (restored / "evidence" / "000001").read_bytes() == bytes(range(256)) * 100
    assert (restored / "evidence" / "000001").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("mirage-backup")] == []


def broken(backup: Path) -> dict[str, Path]:
    place = backup.parent
    whole = gzip.decompress(backup.read_bytes())
    cut = place / "cut"
    cut.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    altered = place / "altered"
    altered.write_bytes(gzip.compress(whole)[:-8] + bytes(8))
    text = place / "text"
    text.write_text("not an archive\n")
    return {
        "cut": cut,
        "altered": altered,
        "text": text,
        "empty": archive(place / "empty"),
        "other": archive(place / "other", readme=b"hello"),
        "newer": archive(place / "newer", backup_json=json.dumps({"format": FORMAT + 1}).encode()),
        "odd": archive(place / "odd", backup_json=b"[]"),
    }


@pytest.mark.parametrize("kind", ["cut", "altered", "text", "empty", "other", "newer", "odd"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_what_cannot_be_restored_leaves_nothing_behind(backup: Path, kind: str, there: bool) -> None:
    place = backup.parent / "elsewhere"
    folder = place / "deep" / "data"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises(MirageError, match=kind):
        restore_backup(broken(backup)[kind], folder)
    assert list(folder.iterdir()) == [] if there else not place.exists()


def test_a_folder_with_data_is_left_alone(tmp_path: Path, backup: Path) -> None:
    with pytest.raises(Invalid, match="is not empty"):
        restore_backup(backup, tmp_path / "data")
    assert (tmp_path / "data" / "keys.json").exists()


def test_a_backup_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path, backup: Path) -> None:
    (tmp_path / "data" / "broken.db").write_bytes(b"no database" * 100)
    before = set(tmp_path.iterdir())
    with pytest.raises(Invalid, match="cannot be copied"):
        write_backup(tmp_path / "data", tmp_path / "another")
    assert set(tmp_path.iterdir()) == before
