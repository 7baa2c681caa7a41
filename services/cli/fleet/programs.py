"""Where the programs of a fleet are: in PATH, among Debian's, or built once into the cache of the servers."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from services.kernel.errors import Unavailable

ROOT: Final = Path(__file__).parents[3]
LAUNCHERS: Final = ROOT / "tests/servers/java"


class Program(Struct, frozen=True):
    """Its names in PATH, its one name in the cache; with ``launcher`` a script that starts jars from there."""

    name: str
    names: tuple[str, ...]
    launcher: bool = False

    def find(self) -> Path | None:
        """The file, or None."""
        if found := next(filter(None, map(shutil.which, self.names)), None):
            # PostgreSQL's other programs lie beside it; Redis is by its name what it is.
            return Path(found).resolve() if self.name == "postgresql" else Path(found).absolute()
        if self.launcher:
            built = any(cache().glob(f"{self.name}-*-java*")) and shutil.which("java")
            return LAUNCHERS / self.name / "start" if built else None
        if (built_once := cache() / "bin" / self.name).is_file():
            return built_once
        return _of_debian(self.name)


PROGRAMS: Final = {
    program.name: program
    for program in (
        Program("consul", ("consul",)),
        Program("nomad", ("nomad",)),
        Program("nats", ("nats-server",)),
        Program("postgresql", ("postgres",)),
        Program("mongo", ("mongod",)),
        Program("elasticsearch", ("elasticsearch",), launcher=True),
        Program("redis", ("redis-server",)),
        Program("neo4j", ("neo4j",), launcher=True),
        Program("prometheus", ("prometheus",)),
    )
}


def cache() -> Path:
    return Path(os.environ.get("MIRAGE_SERVERS_CACHE") or Path.home() / ".cache/mirage-servers")


def find(name: str) -> Path:
    """Where a program is.

    Raises:
        Unavailable: it is not on this machine.
    """
    if found := PROGRAMS[name].find():
        return found
    names = " or ".join(PROGRAMS[name].names)
    raise Unavailable(f"{names} is not installed: put it into PATH, or run tests/servers/build --apt")


def missing(names: Sequence[str] = tuple(PROGRAMS)) -> list[str]:
    """Which of these are not on this machine."""
    return [name for name in names if PROGRAMS[name].find() is None]


def _of_debian(name: str) -> Path | None:
    """PostgreSQL's programs are not in PATH there; the newest version is taken."""
    if name != "postgresql":
        return None
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max(installed, key=lambda path: float(path.parts[-3]), default=None)
