"""How things are written for a person: times, tables, hostile values made harmless."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rich.console import Console


#: Into a pipe or file tables are written wide rather than folded.
PIPED_WIDTH = 240
#: What a terminal may obey: controls but for tabs and line ends, separators of lines, marks that turn text round.
_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Text from the outside without what a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)


def escaped(text: str) -> str:
    """Text with what a terminal may obey written as JSON writes it, so that JSON stays the same JSON."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def instant(at: int | None) -> str:
    """A time in UTC microseconds, to the second; a dash for none. What no calendar has stays a number."""
    if at is None:
        return "-"
    try:
        return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return str(at)


def span(seconds: float) -> str:
    """A length of time in the largest unit that it is a whole number of: ``7 days``, ``90 minutes``."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            return count(int(seconds // length), unit)
    return count(int(seconds), "second")


def count(number: int, thing: str) -> str:
    """A number and its noun: ``1 name``, ``2 names``, ``3 entities``."""
    if number == 1:
        return f"1 {thing}"
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{number:,} {thing[:-1]}ies"
    plural = thing + ("es" if thing.endswith(("s", "x")) else "s")
    return f"{number:,} {plural}"


def write_json(value: Any) -> None:
    """Print a value as indented JSON; digests are hexadecimal, as commands take them."""
    sys.stdout.write(msgspec.json.format(_json(value), indent=2) + "\n")


class JsonDocument:
    """A JSON object with a list in it that may be long: printed as it comes, and whole however short the list is."""

    def __init__(self, head: Mapping[str, Any], listed: str) -> None:
        sys.stdout.write("{" + "".join(f'"{name}": {_json(value)}, ' for name, value in head.items()))
        sys.stdout.write(f'"{listed}": [')
        self._between = "\n  "

    def add(self, item: Any) -> None:
        """Print the next member of the list."""
        sys.stdout.write(self._between + _json(item))
        self._between = ",\n  "

    def close(self, tail: Mapping[str, Any]) -> None:
        """End the list and print what is known by then."""
        sys.stdout.write("]" + "".join(f', "{name}": {_json(value)}' for name, value in tail.items()) + "}\n")


def _json(value: Any) -> str:
    return escaped(msgspec.json.encode(_hexadecimal(msgspec.to_builtins(value, builtin_types=(bytes,)))).decode())


def _hexadecimal(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _hexadecimal(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_hexadecimal(member) for member in value]
    return value


def console(*, stderr: bool = False) -> "Console":
    import rich.console

    class Console(rich.console.Console):
        def on_broken_pipe(self) -> None:
            """Let whoever began the command see it, as for what is printed without tables."""
            raise  # noqa: PLE0704  called while the error is handled

    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=PIPED_WIDTH if piped else None)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a plain table that fits the terminal; of none, nothing."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    if table.row_count:
        console().print(table)
