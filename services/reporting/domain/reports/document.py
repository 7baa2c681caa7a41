"""A report as a document: sections of statements, tables, charts and cards, each with what it rests on.

It has no form: `markdown` and the templates give it one. Texts are as they were found, hostile ones too, and each form
has to write them as text. Numbers of findings and claims are those by which the document itself lists them.
"""

from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.contracts.bundles import CitedClaim, Template, Tlp
from services.contracts.findings import Severity

#: How something is shown: as a severity, as what is well, as what could not be known, or plainly.
Tone: TypeAlias = Literal["", "good", "unknown"] | Severity

FORM: Final = 1


class Statement(Struct, frozen=True):
    """A sentence or more, and the numbers of the findings and claims that it rests on."""

    text: str
    findings: tuple[int, ...] = ()
    claims: tuple[int, ...] = ()


class Paragraph(Struct, frozen=True, tag_field="kind", tag="paragraph"):
    statements: tuple[Statement, ...]


class Bullets(Struct, frozen=True, tag_field="kind", tag="bullets"):
    """``ordered``: what comes first is to be done first."""

    statements: tuple[Statement, ...]
    ordered: bool = False


class Note(Struct, frozen=True, tag_field="kind", tag="note"):
    """What the reader has to know of the report itself."""

    statement: Statement
    tone: Tone = "unknown"


class Row(Struct, frozen=True):
    cells: tuple[str, ...]
    tone: Tone = ""
    findings: tuple[int, ...] = ()
    claims: tuple[int, ...] = ()


class Table(Struct, frozen=True, tag_field="kind", tag="table"):
    """``widths`` are shares of the page; a column of ``exact`` has values that are to be read letter by letter.

    ``left_out`` says what is not in it, if anything is not.
    """

    columns: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[Row, ...]
    exact: tuple[int, ...] = ()
    left_out: str = ""


class Bar(Struct, frozen=True):
    label: str
    number: int
    tone: Tone = ""


class Bars(Struct, frozen=True, tag_field="kind", tag="bars"):
    """Numbers beside each other; ``total`` is what they are shares of."""

    title: str
    bars: tuple[Bar, ...]
    total: int


class Timeline(Struct, frozen=True, tag_field="kind", tag="timeline"):
    """Numbers one after the other in time, as many units of it apart."""

    title: str
    unit: Literal["day", "month", "year"]
    bars: tuple[Bar, ...]


class Fields(Struct, frozen=True, tag_field="kind", tag="fields"):
    """Names and values; ``exact`` as in a table."""

    pairs: tuple[tuple[str, str], ...]
    exact: bool = False


class Card(Struct, frozen=True, tag_field="kind", tag="card"):
    """A finding: by its number, how bad it is, and what is to be said of it."""

    number: int
    title: str
    tone: Tone
    under: str
    blocks: tuple["Block", ...]


Block: TypeAlias = Paragraph | Bullets | Note | Table | Bars | Timeline | Fields | Card


class Section(Struct, frozen=True):
    title: str
    blocks: tuple[Block, ...]


class Listed(Struct, frozen=True):
    """A finding that the report refers to by a number, and the claims that it rests on."""

    number: int
    id: UUID
    title: str
    severity: Severity
    claims: tuple[int, ...] = ()


class Front(Struct, frozen=True):
    """What stands on the first page."""

    title: str
    audience: str
    subject: str
    pairs: tuple[tuple[str, str], ...]


class Document(Struct, frozen=True):
    """A report. ``contents``: it is long enough for a table of contents. ``as_of`` is UTC microseconds."""

    form: int
    template: Template
    tlp: Tlp
    as_of: int
    contents: bool
    front: Front
    sections: tuple[Section, ...]
    findings: tuple[Listed, ...]
    claims: tuple[CitedClaim, ...]
