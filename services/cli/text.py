"""How things are written for a person: times, tables, hostile values made harmless."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console


#: Into a pipe or file tables are written wide rather than folded.
PIPED_WIDTH = 240
#: A longer cell is folded, but to no less than this; and what lies between two columns.
NARROWEST, GAP = 12, 3
#: What a terminal may obey: controls but for tabs and line ends, separators of lines, marks that turn text round.
_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Text from the outside without what a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)


def write_line(text: str) -> None:
    """Print a line; on a terminal that is too narrow for it in several, broken between words."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if width < len(text) and width > NARROWEST:
        text = textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    sys.stdout.write(f"{text}\n")


def escaped(text: str) -> str:
    """Text with what a terminal may obey written as JSON writes it, so that JSON stays the same JSON."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def instant(at: int | None) -> str:
    """A time in UTC microseconds, to the second; a dash for none. What no calendar has stays a number."""
    return "-" if at is None else f"{moment(at)} UTC"


def moment(at: int | None) -> str:
    """The same without a word of UTC, for a column whose head has it."""
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


def write_json(value: Any, out: TextIO | None = None) -> None:
    """Print a value as indented JSON, or write it to ``out``; digests are hexadecimal, as commands take them."""
    (out or sys.stdout).write(msgspec.json.format(_json(value), indent=2) + "\n")


class JsonDocument:
    """A JSON object with a list in it that may be long: printed as it comes, and laid out as `write_json` does."""

    def __init__(self, head: Mapping[str, Any], listed: str) -> None:
        sys.stdout.write("{\n" + "".join(f'  "{name}": {_indented(value, 2)},\n' for name, value in head.items()))
        sys.stdout.write(f'  "{listed}": [')
        self._between, self._end = "\n    ", "]"

    def add(self, item: Any) -> None:
        """Print the next member of the list."""
        sys.stdout.write(self._between + _indented(item, 4))
        self._between, self._end = ",\n    ", "\n  ]"

    def close(self, tail: Mapping[str, Any]) -> None:
        """End the list and print what is known by then."""
        more = "".join(f',\n  "{name}": {_indented(value, 2)}' for name, value in tail.items())
        sys.stdout.write(f"{self._end}{more}\n}}\n")


def _indented(value: Any, by: int) -> str:
    """A value as indented JSON, its lines but for the first ``by`` blanks further in."""
    return msgspec.json.format(_json(value), indent=2).replace("\n", "\n" + " " * by)


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


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, first: Sequence[str] = (), none: str = ""
) -> None:
    """Print rows as a plain table that fits the terminal; where there are none, ``none`` is said on stderr.

    Where it is too narrow columns are left out: ``first`` are kept as long as any, then the others from the left.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(clean(cell)) for cell in row] for row in rows]
    if not cells:
        if none:
            sys.stderr.write(f"{none}\n")
        return
    out = console()
    widths = [max(len(name), *(row[place].cell_len for row in cells)) for place, name in enumerate(columns)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    kept = fitting(widths, [*map(columns.index, first)], out.width)
    for place in kept:
        table.add_column(columns[place], overflow="fold")
    for row in cells:
        table.add_row(*(row[place] for place in kept))
    out.print(table)


def fitting(widths: Sequence[int], first: Sequence[int], room: int) -> list[int]:
    """The places of the columns that a terminal of ``room`` characters has room for, the most important one always."""
    order = [*first, *(place for place in range(len(widths)) if place not in first)]
    while len(order) > 1:
        least = sum(min(widths[place], NARROWEST) for place in order)
        if least + GAP * (len(order) - 1) + 2 <= room:
            break
        order.pop()
    return sorted(order)
