"""A report as Markdown (CommonMark with tables), in which no text of the outside is markup."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from services.reporting.domain.reports.document import (
    Bars,
    Block,
    Bullets,
    Card,
    Document,
    Fields,
    Note,
    Paragraph,
    Row,
    Statement,
    Table,
    Timeline,
)
from services.reporting.domain.reports.plain import visible
from services.reporting.domain.reports.words import rests_on

#: What begins or ends markup wherever it stands; and what makes a link of a text in GitHub's Markdown.
_MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>#|~&$@!]|(?<=\w):(?=//)|(?<=[wW]{3})\.")
#: What makes a list, a rule, a heading or a table of a line that begins so.
_BEGINNING: Final = re.compile(r"^(\s*)([-+=:]|\d+(?=[.)]))")
BAR: Final = 40


def to_markdown(document: Document) -> str:
    """The whole report as one text."""
    return "\n".join(_lines(document)) + "\n"


def escaped(text: str) -> str:
    """A text on one line, of which nothing is markup."""
    plain = _MARKUP.sub(lambda found: "\\" + found[0], visible(" ".join(text.split(" "))))
    return _BEGINNING.sub(lambda found: found[1] + _protected(found[2]), plain)


def _protected(beginning: str) -> str:
    return beginning + "\u200b" if beginning[0].isdigit() else "\\" + beginning


def _lines(document: Document) -> Iterator[str]:
    front = document.front
    yield f"# {escaped(front.title)}"
    yield ""
    yield f"**{escaped(front.audience)}** · {escaped(front.subject)} · **TLP:{document.tlp.upper()}**"
    yield ""
    yield from _table(("", ""), (Row(pair) for pair in front.pairs))
    yield ""
    if document.contents:
        yield "## Contents"
        yield ""
        yield from (f"{number}. {escaped(section.title)}" for number, section in enumerate(document.sections, 1))
        yield ""
    for section in document.sections:
        yield f"## {escaped(section.title)}"
        yield ""
        yield from _blocks(section.blocks)


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield from _block(block)
        yield ""


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(statements=said):
            yield " ".join(map(_statement, said))
        case Bullets(statements=said, ordered=ordered):
            yield from (f"{f'{place}.' if ordered else '-'} {_statement(each)}" for place, each in enumerate(said, 1))
        case Note(statement=said):
            yield f"> {_statement(said)}"
        case Fields(pairs=pairs):
            yield from (f"- **{escaped(name)}**: {escaped(value)}" for name, value in pairs)
        case Table(columns=columns, rows=rows, left_out=left_out):
            yield from _table(columns, rows)
            if left_out:
                yield f"*{escaped(left_out)}*"
        case Bars(title=title, bars=bars):
            yield from _table((title, "", ""), (Row((b.label, f"{b.number:,}", _drawn(b.number, bars))) for b in bars))
        case Timeline(title=title, bars=bars):
            yield from _table((title, "", ""), (Row((b.label, f"{b.number:,}", _drawn(b.number, bars))) for b in bars))
        case Card(number=number, title=title, under=under, blocks=inner):
            yield f"### F{number} {escaped(title)}"
            yield ""
            yield f"*{escaped(under)}*"
            yield ""
            yield from _blocks(inner)


def _drawn(number: int, bars: Iterable[object]) -> str:
    most = max((bar.number for bar in bars), default=0)  # type: ignore[attr-defined]
    return "█" * round(BAR * number / most) if most else ""


def _statement(said: Statement) -> str:
    basis = rests_on(said.findings, said.claims)
    return escaped(said.text) + (f" ({basis})" if basis else "")


def _table(columns: tuple[str, ...], rows: Iterable[Row]) -> Iterator[str]:
    yield f"| {' | '.join(map(escaped, columns))} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        basis = rests_on(row.findings, row.claims)
        cells = [escaped(cell) for cell in row.cells]
        if basis:
            cells[-1] += f" ({basis})"
        yield f"| {' | '.join(cells)} |"
