"""Exports: what a scan found, as a file for other programs."""

from typing import Final, Literal, get_args
from uuid import UUID

from msgspec import Struct

ExportFormat = Literal["hosts", "jsonl", "csv", "json", "stix", "misp", "gexf", "graphml", "xlsx"]
EXPORT_FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)

#: Traffic Light Protocol 2.0 (https://www.first.org/tlp/), with words that go into an address.
Tlp = Literal["clear", "green", "amber", "amber-strict", "red"]
TLP: Final[tuple[Tlp, ...]] = get_args(Tlp)

#: Of STIX: with the objects that OpenCTI and Mirage add, or those of the standard alone.
StixProfile = Literal["opencti", "strict"]


class ExportQuery(Struct, frozen=True, kw_only=True):
    """``all``: also what lies outside the scope and, for hosts, names that did not resolve.

    ``canonical``: what was claimed by which module, without when and by which scan; as jsonl and json. ``tlp`` marks
    what goes as STIX or MISP, ``profile`` is of STIX. ``as_of`` as elsewhere.
    """

    scan: UUID
    format: ExportFormat
    canonical: bool = False
    all: bool = False
    tlp: Tlp | None = None
    profile: StixProfile = "opencti"
    as_of: int | None = None
