"""What was collected is shown as it is, but for what a terminal would obey."""

import csv
import io
import json
import re
from collections.abc import AsyncGenerator
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.exporting import write_export
from services.cli.text import JsonDocument, escaped, fitting, write_json, write_table
from services.contracts.resources import ExportQuery
from services.kernel.calls import Piece

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = "HTTP/1.1 200\nServer: \x1b[2J\x9b31mred \u202e txet \x85\x7f\u2066\r"
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(HOSTILE))


@given(st.dictionaries(texts, texts | st.lists(texts)))
def test_json_holds_the_same_values_and_nothing_that_a_terminal_obeys(value: dict[str, Any]) -> None:
    with redirect_stdout(io.StringIO()) as out:
        write_json(value)
    assert json.loads(out.getvalue()) == value
    assert not OBEYED.search(out.getvalue())


def test_a_long_document_is_as_harmless_as_a_short_one(capsys: pytest.CaptureFixture[str]) -> None:
    document = JsonDocument({"scan": HOSTILE}, "changes")
    document.add({"value": HOSTILE})
    document.close({"end": HOSTILE})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"scan": HOSTILE, "changes": [{"value": HOSTILE}], "end": HOSTILE}
    assert not OBEYED.search(printed)


@given(st.dictionaries(texts, texts), st.lists(st.dictionaries(texts, st.lists(texts)), max_size=3))
def test_a_long_document_is_laid_out_as_a_short_one(head: dict[str, str], items: list[dict[str, Any]]) -> None:
    tail = {"counts": {"new": len(items)}, "none": []}
    with redirect_stdout(io.StringIO()) as short:
        write_json({"scan": head, "changes": items, **tail})
    with redirect_stdout(io.StringIO()) as long:
        document = JsonDocument({"scan": head}, "changes")
        for item in items:
            document.add(item)
        document.close(tail)
    assert long.getvalue() == short.getvalue()


@given(texts)
def test_what_is_escaped_reads_as_it_did_where_nothing_was_to_be_obeyed(text: str) -> None:
    assert not OBEYED.search(escaped(text))
    assert escaped(text) == text or OBEYED.search(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Exporting:
    """A hull that exports one piece."""

    def __init__(self, piece: str) -> None:
        self.calls = self
        self._piece = piece

    async def follow(self, *_: object) -> AsyncGenerator[Piece, None]:
        yield Piece(data=self._piece.encode())


async def test_an_export_is_harmless_on_a_terminal_and_untouched_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = io.StringIO()
    csv.writer(cells, lineterminator="\n").writerow(["url", HOSTILE])
    session = SimpleNamespace(caller=None, line=str)
    for out in (Terminal(), io.TextIOWrapper(io.BytesIO(), "utf-8")):
        monkeypatch.setattr("sys.stdout", out)
        query = ExportQuery(scan=UUID(int=1), format="csv")
        await write_export(cast("Any", Exporting(cells.getvalue())), cast("Any", session), query, "-")
        if out.isatty():
            assert not OBEYED.search(out.getvalue())
            assert out.getvalue() == escaped(cells.getvalue())
        else:
            assert cast("Any", out).buffer.getvalue().decode() == cells.getvalue()


SCANS = ("scan", "state", "targets", "profile", "created")
ROW = ("0123abcd", "finished", "halyard-freight.example", "standard", "2026-11-28 17:00:00")


class NarrowTerminal(Terminal):
    encoding = "utf-8"


@pytest.mark.parametrize(
    ("columns", "shown"), [("200", SCANS), ("80", SCANS), ("60", SCANS[:4]), ("40", SCANS[:3]), ("10", SCANS[:1])]
)
def test_a_table_that_is_too_wide_has_fewer_columns_and_none_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, columns: str, shown: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", out := NarrowTerminal())
    write_table(SCANS, [ROW, ROW])
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines() if line.strip()]
    assert lines[0].split() == [*shown]
    assert max(map(len, lines)) <= int(columns)
    if len(shown) > 2:
        assert lines[2].split()[2][:12] == "halyard-frei"


def test_the_most_important_columns_are_kept_first() -> None:
    assert fitting([8, 8, 100, 8], [0, 3], 24) == [0, 3]
    assert fitting([8, 8, 100, 8], [0, 3], 200) == [0, 1, 2, 3]
    assert fitting([100, 8], [], 1) == [0]
