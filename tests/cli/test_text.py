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

from services.cli.commands.scan import write_export
from services.cli.text import JsonDocument, escaped, write_json
from services.contracts.resources import ExportQuery

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


@given(texts)
def test_what_is_escaped_reads_as_it_did_where_nothing_was_to_be_obeyed(text: str) -> None:
    assert not OBEYED.search(escaped(text))
    assert escaped(text) == text or OBEYED.search(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Exporting:
    """A hull whose storage exports one piece."""

    def __init__(self, piece: str) -> None:
        self.calls = self
        self._piece = piece

    async def follow(self, *_: object) -> AsyncGenerator[SimpleNamespace, None]:
        yield SimpleNamespace(text=self._piece)


async def test_an_export_is_harmless_on_a_terminal_and_untouched_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = io.StringIO()
    csv.writer(cells, lineterminator="\n").writerow(["url", HOSTILE])
    session = SimpleNamespace(caller=None, line=str)
    for out in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stdout", out)
        query = ExportQuery(scan=UUID(int=1), format="csv")
        await write_export(cast("Any", Exporting(cells.getvalue())), cast("Any", session), query, "-")
        if out.isatty():
            assert not OBEYED.search(out.getvalue())
            assert out.getvalue() == escaped(cells.getvalue())
        else:
            assert out.getvalue() == cells.getvalue()
