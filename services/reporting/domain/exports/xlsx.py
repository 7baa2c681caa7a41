"""A scan as a workbook: entities, relations, attributes, findings, and what the file says of itself.

Rows go to disk as they come, and a sheet that is full goes on in a further one. Texts are texts, whatever they look
like: nothing in a cell is a formula or a link, and nothing turns the rest of it round.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.contracts.resources.correlation import FindingView
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidBy
from services.reporting.domain.exports.export import About, Export, all_said, evidence_of, modules_of
from services.reporting.domain.exports.texts import in_cell
from services.reporting.domain.exports.times import stamp
from services.reporting.domain.exports.waiting import Scratch

#: Rows of a sheet, and UTF-16 units of a cell, by the limits of Excel.
ROWS: Final = 1_048_576
LONGEST: Final = 32_767
#: Integers beyond this are no numbers in a spreadsheet: it would round them.
EXACT: Final = 2**53
#: Bytes of the file that are given at a time.
PIECE: Final = 1_000_000
SHEETS: Final = {
    "entities": (
        *("type", "value", "role", "distance", "first seen", "last seen", "confidence", "modules", "evidence"),
    ),
    "relations": (
        *("type", "source type", "source", "target type", "target", "qualifiers", "details", "first said"),
        *("last said", "confidence", "modules", "evidence"),
    ),
    "attributes": (*("type", "entity", "attribute", "value", "first said", "last said", "modules", "evidence"),),
    "findings": (
        *("severity", "title", "status", "confidence", "category", "rule", "entities", "description", "advice"),
        *("reason", "first found", "last found", "modules", "evidence"),
    ),
    "notes": ("what", "value"),
}

Cell = str | int | float | bool | None


class Workbook(Export):
    """``rows``: of a sheet at most, the head among them."""

    def __init__(self, about: About, scratch: Scratch, *, rows: int = ROWS) -> None:
        import xlsxwriter  # type: ignore[import-untyped]

        self._about = about
        self._file = scratch()
        options = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
        self._book = xlsxwriter.Workbook(self._file, {"constant_memory": True, **options})
        self._book.use_zip64()
        made = datetime.fromtimestamp(about.at // 1_000_000, UTC).replace(tzinfo=None)
        self._book.set_properties({"title": f"Scan {about.scan[:8]}", "author": "Mirage", "created": made})
        bold = self._book.add_format({"bold": True})
        self._sheets = {name: Sheet(self._book, name, head, bold, rows) for name, head in SHEETS.items()}
        self._counts = dict.fromkeys(SHEETS, 0)

    def find(self, findings: Sequence[FindingView]) -> Iterator[bytes]:
        for view in findings:
            self._write("findings", _finding(view))
        yield from ()

    def add(self, facts: Facts) -> Iterator[bytes]:
        for entity in facts.entities:
            self._write("entities", _entity(entity))
            for row in _attributes(entity):
                self._write("attributes", row)
        for relation in facts.relations:
            self._write("relations", _relation(relation))
        yield from ()

    def end(self) -> Iterator[bytes]:
        for row in self._notes():
            self._write("notes", row)
        self._book.close()
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        self._file.close()

    def _write(self, sheet: str, row: Sequence[Cell]) -> None:
        self._counts[sheet] += 1
        self._sheets[sheet].write(row)

    def _notes(self) -> list[Sequence[Cell]]:
        counted = [(f"rows of {name}", count) for name, count in self._counts.items() if name != "notes"]
        told: list[Sequence[Cell]] = [
            ("scan", self._about.scan),
            ("begun", stamp(self._about.at)),
            ("times", "UTC"),
            ("evidence", "ids of records: mirage evidence show ID"),
            *counted,
        ]
        return [*told, ("missing", self.without)] if self.without else told


class Sheet:
    """One table, which goes on in ``name 2`` where it is full."""

    def __init__(self, book: Any, name: str, head: Sequence[str], bold: Any, rows: int) -> None:
        self._book = book
        self._name = name
        self._head = head
        self._bold = bold
        self._rows = rows
        self._number = 0
        self._sheet = self._next()

    def write(self, row: Sequence[Cell]) -> None:
        """Write the next row."""
        if self._row >= self._rows:
            self._sheet = self._next()
        sheet, at = self._sheet, self._row
        for column, value in enumerate(row):
            if isinstance(value, str):
                if value:
                    sheet.write_string(at, column, fitting(value))
            elif value is not None:
                _write_number(sheet, at, column, value)
        self._row += 1

    def _next(self) -> Any:
        self._number += 1
        name = self._name if self._number == 1 else f"{self._name} {self._number}"
        sheet = self._book.add_worksheet(name)
        sheet.set_column(0, len(self._head) - 1, 22)
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(self._head):
            sheet.write_string(0, column, title, self._bold)
        self._row = 1
        return sheet


def _write_number(sheet: Any, row: int, column: int, value: float | bool) -> None:
    if value is True or value is False:
        sheet.write_boolean(row, column, value)
    elif -EXACT <= value <= EXACT:
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value))


def fitting(text: str) -> str:
    """A text as a cell holds it: what is beyond its limit is cut, and an ellipsis says so."""
    if len(text) * 2 <= LONGEST and text.isascii() and text.isprintable():
        return text
    plain = in_cell(text)
    if len(plain) > LONGEST or (not plain.isascii() and len(plain.encode("utf-16-le")) > 2 * LONGEST):
        cut = plain.encode("utf-16-le")[: 2 * (LONGEST - 1)].decode("utf-16-le", "ignore")
        return f"{cut}…"
    return plain


def _entity(facts: EntityFacts) -> Sequence[Cell]:
    said = all_said(facts)
    return (
        facts.entity.type,
        facts.entity.value,
        facts.role,
        facts.distance,
        stamp(facts.first_seen),
        stamp(facts.last_seen),
        max((each.confidence for each in said), default=None),
        " ".join(modules_of(said)),
        " ".join(evidence_of(said)),
    )


def _attributes(facts: EntityFacts) -> Iterator[Sequence[Cell]]:
    entity = facts.entity
    for each in facts.attributes:
        yield entity.type, entity.value, each.name, each.value, *_times(each.said), *_who(each.said)
    for absence in facts.absences:
        yield entity.type, entity.value, f"no {absence.predicate}", True, *_times(absence.said), *_who(absence.said)


def _relation(facts: RelationFacts) -> Sequence[Cell]:
    return (
        facts.type,
        facts.source.type,
        facts.source.value,
        facts.target.type,
        facts.target.value,
        " ".join(f"{name}={value}" for name, value in sorted(facts.qualifiers.items())),
        " ".join(f"{name}={value}" for name, value in sorted(facts.details.items())),
        *_times(facts.said),
        max((each.confidence for each in facts.said), default=None),
        *_who(facts.said),
    )


def _finding(view: FindingView) -> Sequence[Cell]:
    finding = view.finding
    return (
        finding.severity,
        finding.title,
        finding.status,
        finding.confidence,
        finding.category,
        f"{finding.rule}@{finding.rule_version}",
        "\n".join(f"{each.type} {each.value}" for each in finding.entities),
        view.description,
        view.advice,
        finding.reason or finding.suppressed,
        stamp(finding.first_found),
        stamp(finding.last_found),
        " ".join(sorted({module for ground in view.grounds for module in ground.modules})),
        " ".join(dict.fromkeys(proof for ground in view.grounds for proof in ground.evidence)),
    )


def _times(said: Sequence[SaidBy]) -> tuple[Cell, Cell]:
    if not said:
        return None, None
    return stamp(min(each.at for each in said)), stamp(max(each.at for each in said))


def _who(said: Sequence[SaidBy]) -> tuple[str, str]:
    return " ".join(modules_of(said)), " ".join(evidence_of(said))
