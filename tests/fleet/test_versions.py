"""A fleet runs copies of the code that nobody changes, whatever becomes of what they were made from."""

import os
from pathlib import Path

import pytest

from services.cli.fleet import versions
from services.cli.fleet.versions import KEPT, LOCKS, VENVS, VERSIONS
from services.kernel.errors import Unavailable

NAMES = ("services", "mirage", *LOCKS)
#: Stands in for the launcher: it has packages "installed" by making a Python, and begins the service's code.
LAUNCHER = """#!/bin/sh
mkdir -p "$MIRAGE_VENV/bin" && ln -sf "$(command -v python3)" "$MIRAGE_VENV/bin/python"
env > "$MIRAGE_VENV/environment"
exec python3 "$(dirname "$0")/services/main.py" "$@"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    (made / "services/inner").mkdir(parents=True)
    (made / "services/main.py").write_text("import sys\nprint(sys.argv)\n")
    (made / "services/inner/text").write_text("one")
    (made / "mirage").write_text(LAUNCHER)
    (made / "mirage").chmod(0o755)
    for lock in LOCKS:
        (made / lock).write_text(f"{lock}\n")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def copy(root: Path, folder: Path) -> Path:
    return versions.copy(root, NAMES, folder / VERSIONS)


def test_a_copy_stays_what_it_is_when_the_original_changes(root: Path, folder: Path) -> None:
    first = copy(root, folder)
    (root / "services/inner/text").write_text("two")
    second = copy(root, folder)
    assert first != second
    assert [(each / "services/inner/text").read_text() for each in (first, second)] == ["one", "two"]
    assert os.access(first / "mirage", os.X_OK)
    (root / "services/inner/text").write_text("one")
    assert copy(root, folder) == first
    assert {path.name for path in (folder / VERSIONS).iterdir()} == {first.name, second.name}


@pytest.mark.parametrize("change", ["services/main.py", "services/new.py", "mirage", *LOCKS])
def test_whatever_is_changed_is_another_revision(root: Path, change: str) -> None:
    before = versions.revision_of(root, NAMES)
    with (root / change).open("a") as stream:
        stream.write("# changed")
    assert versions.revision_of(root, NAMES) != before


def test_the_same_contents_under_other_names_are_another_revision(root: Path) -> None:
    before = versions.revision_of(root, NAMES)
    (root / "services/inner/text").rename(root / "services/inner/test")
    assert versions.revision_of(root, NAMES) != before


def test_bytecode_is_no_part_of_a_version(root: Path, folder: Path) -> None:
    before = copy(root, folder)
    (root / "services/__pycache__").mkdir()
    (root / "services/__pycache__/main.pyc").write_text("")
    assert copy(root, folder) == before
    assert not (before / "services/__pycache__").exists()


@pytest.mark.parametrize("wrong", ["services/main.py", "services/added.py", "added.py"])
def test_a_copy_that_is_not_what_it_is_called_is_made_anew(root: Path, folder: Path, wrong: str) -> None:
    made = copy(root, folder)
    versions.seal(made)
    for place in (made, made / "services"):
        place.chmod(0o755)
    (made / wrong).unlink(missing_ok=True)
    (made / wrong).write_text("broken")
    assert copy(root, folder) == made
    assert versions.revision_of(made, NAMES) == made.name
    assert {path.name for path in made.iterdir()} == set(NAMES)
    assert not (made / "services/added.py").exists()


def test_what_a_dead_process_began_is_removed(root: Path, folder: Path) -> None:
    (folder / VERSIONS / ".new-left/services").mkdir(parents=True)
    made = copy(root, folder)
    assert list((folder / VERSIONS).iterdir()) == [made]


def test_a_version_is_seen_to_begin_and_closed_then(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MIRAGE_SQL": "x", "PYTHONPATH": "/elsewhere", "MIRAGE_VENV": "/other"}.items():
        monkeypatch.setenv(name, value)
    made = copy(root, folder)
    venv = folder / VENVS / versions.packages_of(made)
    versions.prepare(made, venv)
    assert not [place for place in made.rglob("*") if place.stat().st_mode & 0o222]
    assert list((made / "services/__pycache__").iterdir()), "each of its processes would compile it"
    told = (venv / "environment").read_text()
    assert f"MIRAGE_VENV={venv}\n" in told
    assert not [name for name in ("MIRAGE_SQL", "PYTHONPATH") if name in told]
    versions.prepare(made, venv)
    assert copy(root, folder) == made


def test_a_version_that_does_not_begin_is_refused_with_its_last_word(root: Path, folder: Path) -> None:
    (root / "services/main.py").write_text("import nothing_like_that\n")
    with pytest.raises(Unavailable, match=r"this version does not begin: .*nothing_like_that"):
        versions.prepare(copy(root, folder), folder / VENVS / "any")


def test_packages_are_another_folder_when_a_lock_changes_and_not_else(root: Path, folder: Path) -> None:
    first = versions.packages_of(copy(root, folder))
    (root / "services/main.py").write_text("")
    assert versions.packages_of(copy(root, folder)) == first
    (root / LOCKS[1]).write_text("another")
    assert versions.packages_of(copy(root, folder)) != first


def test_versions_that_nobody_needs_are_forgotten_with_their_packages(root: Path, folder: Path) -> None:
    made = []
    for number in range(KEPT + 2):
        (root / LOCKS[0]).write_text(f"{number}")
        made.append(copy(root, folder))
        os.utime(made[-1], (number, number))
        (folder / VENVS / versions.packages_of(made[-1])).mkdir(parents=True)
        versions.seal(made[-1])
    packages = {each: folder / VENVS / versions.packages_of(each) for each in made}
    versions.forget(folder, {made[0].name})
    assert [each.exists() for each in made] == [each != made[1] for each in made]
    assert [packages[each].exists() for each in made] == [each != made[1] for each in made]
