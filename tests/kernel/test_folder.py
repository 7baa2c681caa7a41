"""The data folder has one owner, one format, and no onlookers."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from services.kernel.errors import Exhausted, Incompatible, Invalid
from services.kernel.folder import FORMAT, Folder, Owned, is_data, write_private


def own(path: Path) -> Folder:
    folder = Folder(path)
    folder.acquire()
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_and_its_files_are_for_their_user_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        own(tmp_path / "deep" / "data").close()
    finally:
        os.umask(umask)
    assert mode(tmp_path / "deep" / "data") == 0o700
    assert {file.name: mode(file) for file in (tmp_path / "deep" / "data").iterdir()} == {
        "lock": 0o600,
        "format": 0o600,
    }


def test_an_empty_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    own(tmp_path / "data").close()
    assert mode(tmp_path / "data") == 0o700


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first = own(tmp_path / "data")
    with pytest.raises(Owned, match="in use by another process"):
        own(tmp_path / "data")
    first.close()
    own(tmp_path / "data").close()


def test_the_lock_goes_with_the_process_that_was_killed(tmp_path: Path, kill_when_ready: Callable[[str], None]) -> None:
    script = """
import time
from pathlib import Path
from services.kernel.folder import Folder, Owned
folder = Folder(Path("data"))
folder.acquire()
try:
    Folder(Path("data")).acquire()
except Owned:
    print("ready", flush=True)
time.sleep(60)
"""
    kill_when_ready(script)
    own(tmp_path / "data").close()


def test_a_newer_format_is_refused_with_one_sentence_and_left_alone(tmp_path: Path) -> None:
    own(tmp_path / "data").close()
    (tmp_path / "data" / "format").write_text(f"{FORMAT + 1}\n")
    with pytest.raises(Incompatible, match=rf"has format {FORMAT + 1}, this Mirage knows up to {FORMAT}") as refused:
        own(tmp_path / "data")
    assert "\n" not in str(refused.value)
    assert (tmp_path / "data" / "format").read_text() == f"{FORMAT + 1}\n"
    (tmp_path / "data" / "format").write_text(f"{FORMAT}\n")
    own(tmp_path / "data").close()


@pytest.mark.parametrize("said", ["", "two", "1.5", "²"])
def test_a_format_that_is_no_number_is_refused(tmp_path: Path, said: str) -> None:
    own(tmp_path / "data").close()
    (tmp_path / "data" / "format").write_text(said)
    with pytest.raises(Invalid, match="does not say a format"):
        own(tmp_path / "data")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    tmp_path.chmod(0o755)
    with pytest.raises(Invalid, match="is not empty and no data folder of Mirage"):
        own(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("left", ["lock", "format.new"])
def test_a_death_while_the_folder_was_made_leaves_one_that_can_be_used(tmp_path: Path, left: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / left).touch()
    own(tmp_path / "data").close()
    assert int((tmp_path / "data" / "format").read_text()) == FORMAT


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(Invalid, match="cannot be used"):
            own(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_so_and_nothing_stays_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Exhausted, match="is full"):
            own(tmp_path / "data")
    own(tmp_path / "data").close()


@pytest.mark.parametrize(
    ("place", "data"),
    [
        *((each, True) for each in ("format", "bus.db", "storage-search.db", "evidence/index.db", "mirage.log")),
        *((each, False) for each in ("lock", "mirage.sock", "keys.json", "keys.new", "format.new", "bus.db-wal")),
        *(
            (each, False)
            for each in ("evidence/../keys.db", "/bus.db", "deep/bus.db", "bus.db\n", "evidence/1.seg", "")
        ),
        ("evidence/00000001.seg", True),
    ],
)
def test_what_is_secret_or_belongs_to_the_owner_is_no_data(place: str, data: bool) -> None:
    assert is_data(place) is data


def test_what_is_written_is_there_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_private(tmp_path / "keys.json", "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_private(tmp_path / "keys.json", "new")
    assert (tmp_path / "keys.json").read_text() == "old"
    assert mode(tmp_path / "keys.json") == 0o600
