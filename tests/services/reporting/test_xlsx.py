"""XLSX: openpyxl reads back every row, sheets that are full go on, and nothing is a formula."""

import io
from tempfile import TemporaryFile
from typing import Any

import openpyxl
import pytest

from services.contracts import entities
from services.contracts.resources.storage import Facts, SaidAbsence
from services.reporting.domain.exports.xlsx import SHEETS, Workbook, fitting
from tests.services.reporting.worlds import (
    ABOUT,
    every_entity,
    every_relation,
    every_value,
    everything,
    facts,
    finding,
    network,
    said,
    written,
)

WWW = entities.hostname("www.example.org")


def read(text: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(text), read_only=True)
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_every_entity_relation_attribute_and_finding_is_a_row() -> None:
    sheets = read(written(Workbook(ABOUT, TemporaryFile), everything(), [finding(WWW)]))
    assert list(sheets) == list(SHEETS)
    assert [sheet[0] for sheet in sheets.values()] == [tuple(head) for head in SHEETS.values()]
    assert {(row[0], row[1]) for row in sheets["entities"][1:]} == {(each.type, each.value) for each in every_entity()}
    assert len(sheets["relations"]) == 1 + len(every_relation())
    values = sum(len(every_value(each)) + 1 for each in every_entity())
    assert len(sheets["attributes"]) == 1 + values
    assert sheets["findings"][1][:6] == ("high", "A database answers", "new", 70, "exposure", "exposed_database@2")
    assert sheets["findings"][1][-2:] == ("web@1", "ab" * 32)


def test_values_keep_their_types_and_say_who_gave_them() -> None:
    values = [("covered_by_wildcard", True), ("spf_lookups", 7), ("soa_serial", 2**60), ("tag", "=1+1")]
    told = facts(WWW, values=values, absences=(SaidAbsence("resolves_to", (said("dns_records", evidence="n"),)),))
    rows = read(written(Workbook(ABOUT, TemporaryFile), [Facts(entities=(told,))]))["attributes"][1:]
    assert [row[2:4] for row in rows] == [
        ("covered_by_wildcard", True), ("spf_lookups", 7), ("soa_serial", str(2**60)), ("tag", "=1+1"),
        ("no resolves_to", True),
    ]  # fmt: skip
    assert rows[0][6:] == ("web@1", told.attributes[0].said[0].evidence[0].hex())
    assert rows[-1][6] == "dns_records@1"


def test_a_sheet_that_is_full_goes_on_in_a_further_one() -> None:
    sheets = read(written(Workbook(ABOUT, TemporaryFile, rows=100), network(70)))
    found = [name for name in sheets if name.startswith("entities")]
    assert found == ["entities", "entities 2", "entities 3"]
    assert {sheets[name][0] for name in found} == {tuple(SHEETS["entities"])}
    assert [len(sheets[name]) for name in found] == [100, 100, 1 + 211 - 198]
    assert len({row[1] for name in found for row in sheets[name][1:]}) == 211


def test_the_notes_say_what_was_not_to_be_had() -> None:
    book = Workbook(ABOUT, TemporaryFile)
    book.without = "findings were not to be had"
    notes = dict(read(written(book, [Facts(entities=(facts(WWW),))]))["notes"])
    assert (notes["missing"], notes["rows of entities"], notes["scan"]) == (
        "findings were not to be had",
        1,
        ABOUT.scan,
    )
    assert "missing" not in dict(read(written(Workbook(ABOUT, TemporaryFile), []))["notes"])


def test_the_same_is_the_same_file() -> None:
    first, second = (written(Workbook(ABOUT, TemporaryFile), network(30)) for _ in range(2))
    assert read(first) == read(second)


@pytest.mark.parametrize(("text", "length"), [("x" * 32_767, 32_767), ("x" * 32_768, 32_767), ("😀" * 20_000, 16_384)])
def test_a_text_that_is_too_long_for_a_cell_says_that_it_was_cut(text: str, length: int) -> None:
    cell = fitting(text)
    assert len(cell) == length
    assert len(cell.encode("utf-16-le")) // 2 <= 32_767
    assert cell.endswith("…") is (cell != text)
