"""What is on disk at a moment in the life of a scan, read from a data folder whose process is stopped or dead."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

WAITING: Final = "item waiting"
RATED: Final = "item waiting for its rate"
LEASED: Final = "item leased"
OPEN: Final = "exchanges journalled, item not finished"
UNPUBLISHED: Final = "result journalled, not published"
UNACCEPTED: Final = "result published, not accepted"
UNORDERED: Final = "work in the outbox of scans"
STATES: Final = (WAITING, RATED, LEASED, OPEN, UNPUBLISHED, UNACCEPTED, UNORDERED)

READER: Final = "SELECT id FROM consumer WHERE name = 'scans__results'"

#: An exchange by its item, its request key and the turn in which it was made.
Exchange = tuple[bytes, bytes, int]


class Moment(Struct, frozen=True):
    """The states that something is in, how many exchanges are in the journal, and how many work items are done."""

    states: frozenset[str]
    exchanges: int
    done: int


class Window:
    """The files of a data folder, open for reading; they are to be closed before the next process takes over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, sqlite3.Connection] = {}

    def look(self) -> Moment:
        """See what is there; nothing is written."""
        try:
            [(exchanges,)] = self._rows("collector", "SELECT COUNT(*) FROM exchange")
            leased = self._ids("scans", "SELECT id FROM item WHERE state = 1")
            worked = self._ids("collector", "SELECT item FROM work")
            asked = self._ids("collector", "SELECT DISTINCT item FROM exchange")
            seen = {
                WAITING: self._rows("scans", "SELECT 1 FROM item WHERE state = 0 LIMIT 1"),
                RATED: self._rows("scans", "SELECT 1 FROM item WHERE state = 0 AND waits > 0 LIMIT 1"),
                LEASED: leased - worked,
                OPEN: leased & (asked - worked),
                UNPUBLISHED: self._rows("collector", "SELECT 1 FROM outbox WHERE type LIKE '%.collected.%' LIMIT 1"),
                UNACCEPTED: self._rows("bus", f"SELECT 1 FROM pending WHERE consumer = ({READER}) LIMIT 1"),
                UNORDERED: self._rows("scans", "SELECT 1 FROM outbox WHERE type LIKE '%.collect.%' LIMIT 1"),
            }
        except sqlite3.OperationalError:  # the process has not made its tables yet
            return Moment(frozenset(), 0, 0)
        states = frozenset(state for state, found in seen.items() if found)
        return Moment(states, exchanges, len(worked))

    def journal(self) -> dict[Exchange, bytes]:
        """The records of all exchanges in the journal, encoded."""
        rows = self._rows("collector", "SELECT item, key, turn, record FROM exchange")
        return {(item, key, turn): record for item, key, turn, record in rows}

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()

    def _ids(self, name: str, query: str) -> set[bytes]:
        return {identity for (identity,) in self._rows(name, query)}

    def _rows(self, name: str, query: str) -> list[Any]:
        if name not in self._open:
            file = self._folder / f"{name}.db"
            self._open[name] = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10)
        return self._open[name].execute(query).fetchall()


def look(folder: Path) -> Moment:
    with closing(Window(folder)) as window:
        return window.look()


def journal(folder: Path) -> dict[Exchange, bytes]:
    with closing(Window(folder)) as window:
        return window.journal()
