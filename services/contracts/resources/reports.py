"""Reports of scans: what makes one, how it is kept, and how it is read."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from services.contracts.bundles import Template, Tlp
from services.contracts.resources.users import IN_WORDS, SHOWN

ReportFormat = Literal["pdf", "html", "md", "json"]
#: As it stands on the first page.
Heading = Annotated[str, Meta(pattern=SHOWN, max_length=120, description=IN_WORDS)]


class NewReport(Struct, frozen=True, kw_only=True):
    """A report to make of a scan, for those whom the template is written for, of what was known at ``as_of``, or now.

    ``tlp`` says with whom it may be shared (Traffic Light Protocol 2.0).
    """

    scan: UUID
    template: Template = "executive"
    tlp: Tlp = "amber"
    title: Heading = ""
    as_of: int | None = None


class ReportView(Struct, frozen=True, kw_only=True):
    """A report that is kept. ``as_of`` and ``made`` are UTC microseconds; ``by`` is who had it made.

    ``findings`` there were in all, of which ``shown`` are told one by one; ``sha256`` (hex) is of the document that
    every form of it is made from.
    """

    id: UUID
    scan: UUID
    template: Template
    tlp: Tlp
    title: str
    as_of: int
    made: int
    by: str
    version: str
    findings: int
    shown: int
    sha256: str


class Making(Struct, frozen=True, kw_only=True):
    """How far a report is: what is being done, and the report once it is kept."""

    step: str = ""
    report: ReportView | None = None


class ReportsQuery(Struct, frozen=True, kw_only=True):
    """Reports, the newest first, of one scan or of all."""

    scan: UUID | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class ReportRef(Struct, frozen=True):
    """A report by its id or a unique beginning of it."""

    report: str


class ReportFile(Struct, frozen=True, kw_only=True):
    """A form of a report to read."""

    report: str
    format: ReportFormat = "pdf"


class BundleQuery(Struct, frozen=True, kw_only=True):
    """The bundle of a report; with ``bodies`` also the bytes that its evidence records are about."""

    report: str
    bodies: bool = False
