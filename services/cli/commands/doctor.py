"""`mirage doctor`: is everything in place?"""

import platform
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import click

from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import count, write_json, write_table
from services.contracts.names import list_version
from services.kernel.blobs.segments import missing_segments
from services.kernel.folder import EVIDENCE
from services.kernel.sql.sqlite_file import OLDEST, open_read_only

LEAST_ROOM = 500_000_000


@click.command("doctor")
@format_option("table", "json")
@data_options
def command(session: Session, form: str) -> int:
    """Check this installation, its resolvers, its data folder and each database in it; ask nobody outside.

    With --server: this installation, and what the fleet there answers; `fleet status` shows all of a fleet.
    """
    return run_async(examine(session, form))


async def examine(session: Session, form: str) -> int:
    checks = [
        ("Python", sys.version_info >= (3, 11), platform.python_version()),
        ("SQLite", sqlite3.sqlite_version_info >= OLDEST, sqlite3.sqlite_version),
        _full_text(),
        ("public suffix list", True, list_version()),
        *(() if session.settings.server else (_room(session), *_resolvers(session), *_files(session))),
        *await _services(session),
    ]
    if form == "json":
        write_json([{"check": name, "ok": good, "says": says} for name, good, says in checks])
    else:
        rows = ((name, "ok" if good else "FAULT", says) for name, good, says in checks)
        write_table(("check", "state", "says"), rows)
    return 0 if all(good for _, good, _ in checks) else 1


def _full_text() -> tuple[str, bool, str]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text, tokenize = 'trigram')")
    except sqlite3.Error as error:
        return "full text", False, str(error)
    finally:
        connection.close()
    return "full text", True, "FTS5"


def _room(session: Session) -> tuple[str, bool, str]:
    folder = session.settings.folder
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    return "disk", free > LEAST_ROOM, f"{free / 1_000_000_000:.1f} GB free at {folder}"


def _resolvers(session: Session) -> list[tuple[str, bool, str]]:
    from services.collector.resolve import system_resolvers

    asked = list(session.settings.resolvers) or [f"{address}:{port}" for address, port in system_resolvers()]
    return [("resolvers", bool(asked), ", ".join(asked) or "none are configured")]


def _files(session: Session) -> list[tuple[str, bool, str]]:
    """Whether the databases of the data folder are whole, and the files there in which bodies lie."""
    from services.cli.archive import DATABASE, files

    folder = session.settings.folder
    databases = [(place, path) for place, path in files(folder) if path.suffix == DATABASE]
    if not databases:
        return []
    broken = [f"{place}: {fault}" for place, path in databases if (fault := _fault(path))]
    missing: list[str] = []
    with suppress(sqlite3.Error):  # said of the database already
        missing = [path.name for path in missing_segments(folder / EVIDENCE)]
    return [
        ("databases", not broken, "; ".join(broken) or f"{count(len(databases), 'database')}, none is damaged"),
        ("evidence", not missing, f"missing or cut off: {', '.join(missing)}" if missing else "every file is there"),
    ]


def _fault(database: Path) -> str:
    try:
        with closing(open_read_only(database)) as connection:
            [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else " ".join(str(said).split())


async def _services(session: Session) -> list[tuple[str, bool, str]]:
    from services.contracts.endpoints import LIST_MODULES, LIST_SCANS
    from services.kernel.calls import Nothing
    from services.kernel.errors import MirageError
    from services.kernel.letters import LIST_DEAD

    what = "server" if session.settings.server else "data folder"
    try:
        async with session.open(makes=True) as hull:
            modules = await hull.calls.ask(LIST_MODULES, Nothing(), session.caller)
            scans = await hull.calls.ask(LIST_SCANS, Nothing(), session.caller)
            known = f"{count(len(scans), 'scan')} in {session.where}"
            if session.settings.server:
                return [(what, True, f"it answers; {known}"), ("modules", bool(modules), f"{len(modules)} modules")]
            dead = await hull.calls.ask(LIST_DEAD, Nothing(), session.caller)
            owner = "this process" if hull.runtime else "another process, reached over its socket"
    except MirageError as error:
        return [(what, False, str(error))]
    return [
        (what, True, f"owned by {owner}; {known}"),
        ("modules", bool(modules), f"{len(modules)} modules"),
        ("dead letters", not dead, _dead(session, len(dead))),
    ]


def _dead(session: Session, letters: int) -> str:
    from services.kernel.letters import MOST

    if not letters:
        return "none"
    number = f"{MOST} or more" if letters == MOST else str(letters)
    return f"{number} that could not be taken in; see: {session.line('dead list')}"
