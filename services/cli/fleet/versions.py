"""The code that a fleet runs: a copy of each version in its folder, so that what it came from may change at any time.

``versions/<revision>`` has what services are run from, ``launchers/<revision>`` what starts stores that are jars,
``venvs/<digest>`` Python's packages as one pair of lock files has them. A revision is a digest of paths and contents.
Nobody writes to a copy once it is made, and one that is not what it is called is made anew.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from services.kernel.errors import Unavailable

VERSIONS: Final = "versions"
VENVS: Final = "venvs"
LAUNCHERS: Final = "launchers"
LOCKS: Final = ("requirements.lock", "requirements-fleet.lock")
#: What a version of Mirage consists of, in the repository.
CODE: Final = ("services", "templates", "mirage", *LOCKS)
#: How many of the newest versions are kept, whether a job refers to them or not.
KEPT: Final = 3
#: How the name of a copy begins while it is made.
_BEGUN: Final = ".new-"
_BYTECODE: Final = "__pycache__"


def revision_of(root: Path, names: Sequence[str]) -> str:
    """A digest of what these names are below ``root``, files or folders."""
    digest = hashlib.sha256()
    for file in _files(root, names):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def copy(root: Path, names: Sequence[str], into: Path) -> Path:
    """Copy what these names are below ``root`` into a folder of ``into`` that is called by its revision.

    Where there is such a copy already, that is the one.
    """
    into.mkdir(mode=0o755, parents=True, exist_ok=True)
    copied = into / revision_of(root, names)
    if not _is_sound(copied, names):
        made = _made(root, names, into)
        # What was copied counts: the original may have been changed meanwhile.
        copied = into / revision_of(made, names)
        _remove(copied)
        made.rename(copied)
    os.utime(copied)
    return copied


def packages_of(code: Path) -> str:
    """A digest of the lock files of a version."""
    return revision_of(code, LOCKS)


def prepare(code: Path, venv: Path) -> None:
    """Have the packages of a version in ``venv``, see that it begins, and close its copy.

    Raises:
        Unavailable: it does not begin, or its packages cannot be had.
    """
    venv.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _run([code / "mirage", "serve", "--help"], venv)
    if code.stat().st_mode & 0o200:
        # Compiled once here, and not by each of its processes; then nothing is written there any more.
        _run([venv / "bin/python", "-m", "compileall", "-q", code / "services"], venv)
        seal(code)


def seal(folder: Path) -> None:
    """Let nobody write below a folder."""
    for place in (*folder.rglob("*"), folder):
        place.chmod(place.stat().st_mode & 0o555)


def forget(folder: Path, needed: Collection[str]) -> None:
    """Remove versions that are neither needed nor among the newest, and packages that no version has then."""
    for kind in (VERSIONS, LAUNCHERS):
        for old in _newest_first(folder / kind)[KEPT:]:
            if old.name not in needed:
                _remove(old)
    in_use = {packages_of(version) for version in _newest_first(folder / VERSIONS)}
    for venv in _newest_first(folder / VENVS):
        if venv.name not in in_use:
            _remove(venv)


def _files(root: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in sorted(names):
        place = root / name
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        yield from (file for file in found if file.is_file() and _BYTECODE not in file.parts)


def _is_sound(copied: Path, names: Sequence[str]) -> bool:
    """Whether a copy has what it is called by, and nothing else that Python would find first."""
    if not copied.is_dir() or {place.name for place in copied.iterdir()} != set(names):
        return False
    return revision_of(copied, names) == copied.name


def _made(root: Path, names: Sequence[str], into: Path) -> Path:
    for left_behind in into.glob(f"{_BEGUN}*"):
        _remove(left_behind)
    made = Path(mkdtemp(prefix=_BEGUN, dir=into))
    made.chmod(0o755)
    for name in names:
        if (root / name).is_dir():
            shutil.copytree(root / name, made / name, ignore=shutil.ignore_patterns(_BYTECODE))
        else:
            shutil.copy2(root / name, made / name)
    return made


def _run(command: Sequence[str | Path], venv: Path) -> None:
    """Run a command of a version as its processes are run, without what is set for ours."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MIRAGE_"))}
    kept = {name: os.environ[name] for name in ("MIRAGE_PYTHON",) if name in os.environ}
    done = subprocess.run(  # noqa: S603  our own code
        list(map(str, command)),
        env={**environ, **kept, "MIRAGE_VENV": str(venv)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise Unavailable(f"this version does not begin: {last.removeprefix('mirage: ')}")


def _newest_first(folder: Path) -> list[Path]:
    found = [place for place in folder.glob("*") if place.is_dir()]
    return sorted(found, key=lambda place: place.stat().st_mtime, reverse=True)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for place in (folder, *(each for each in folder.rglob("*") if each.is_dir() and not each.is_symlink())):
            place.chmod(0o755)
        shutil.rmtree(folder)
