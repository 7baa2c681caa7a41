"""`mirage export`: forms by the ending of a file, what no terminal can show, and what an export lacks."""

import io
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from services.cli import exporting
from services.cli.commands.scan import form_of
from services.cli.exporting import write_export
from services.cli.output import check_form, form_by_ending
from services.contracts.resources import EXPORT_FORMATS, ExportQuery
from services.kernel.calls import Piece
from services.kernel.errors import Invalid, Unavailable

SESSION = cast("Any", SimpleNamespace(caller=None, line=lambda words: f"./mirage {words}"))


class Hull:
    """Gives these pieces; nobody judges here."""

    def __init__(self, *pieces: Piece) -> None:
        self.calls = self
        self._pieces = pieces

    async def follow(self, *_: object) -> AsyncGenerator[Piece, None]:
        for piece in self._pieces:
            yield piece

    async def ask(self, *_: object) -> None:
        raise Unavailable("the service correlation is not running here")


@pytest.mark.parametrize("form", [each for each in EXPORT_FORMATS if each != "hosts"])
def test_the_ending_of_a_file_says_its_form(form: str) -> None:
    ending = {"stix": "STIX.json", "misp": "misp.json"}.get(form, form)
    assert form_by_ending(f"/tmp/a.b.{ending}") == form
    assert form_by_ending("a.txt") == "hosts"
    assert form_by_ending("json") is None


@pytest.mark.parametrize("ending", ["pdf", "html", "md"])
def test_a_scan_is_refused_before_it_begins_where_a_report_would_be_written(ending: str) -> None:
    with pytest.raises(Invalid, match="would be a report"):
        form_of(None, f"a.{ending}")
    assert form_of("csv", f"a.{ending}") == "csv"
    with pytest.raises(Invalid) as refused:
        form_of(None, "a")
    assert ending not in str(refused.value).replace(",", "").split()


def test_what_no_terminal_can_show_is_refused_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    for output in (None, "-"):
        with pytest.raises(Invalid):
            check_form("xlsx", output)
        check_form("stix", output)
    check_form("xlsx", "a.xlsx")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: False))
    check_form("xlsx", "-")


async def test_bytes_are_written_as_they_came_and_the_last_piece_says_what_is_missing(tmp_path: Path) -> None:
    hull = Hull(Piece(data=b"\x00\xff\r\n", name="a", media_type="b"), Piece(data=b"", lacks="findings"))
    query = ExportQuery(scan=UUID(int=1), format="xlsx")
    last = await write_export(cast("Any", hull), SESSION, query, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"\x00\xff\r\n"
    assert last.lacks == "findings"


async def test_a_character_that_is_cut_between_pieces_is_whole_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    hull = Hull(Piece(data="ü".encode()[:1]), Piece(data="ü".encode()[1:] + b"\x1b[2J"))
    await write_export(cast("Any", hull), SESSION, ExportQuery(scan=UUID(int=1), format="csv"), None)
    assert out.getvalue() == "ü\\u001b[2J"


def test_the_line_that_writes_it_again_says_all_that_was_said() -> None:
    query = ExportQuery(scan=UUID(int=1), format="stix", all=True, tlp="amber-strict", profile="strict")
    assert exporting._flags(query) == " --format stix --all --tlp amber+strict --profile strict"
