"""Bundles of reports: what is in the archive, and what of it is signed, so that anybody can check it without asking.

A bundle is a zip whose members stand in the order of `ORDER`, bodies in that of their names. After
them come ``keys.json``, ``manifest.json`` with the sha256 of each of them, and of each line of those that have lines,
and ``signature.jws``, a statement with the sha256 of the manifest, signed by one of those keys of the workspace.
"""

import hashlib
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

#: The type of the signed statement (RFC 7515, 4.1.9): one by which nothing else can be taken for a bundle's.
REPORT_TYPE: Final = "mirage-report+jws"
#: The form of the archive.
FORM: Final = 1

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.jws"
KEYS: Final = "keys.json"
AUTHORISATION: Final = "authorisation.jws"
STATEMENTS: Final = "statements.jsonl"
CLAIMS: Final = "claims.jsonl"
RECORDS: Final = "records.jsonl"
FACTS: Final = "facts.jsonl"
BODIES: Final = "bodies/"
#: The members but for bodies, in their order; a bundle need not have all of the reports, nor an authorisation.
ORDER: Final = (
    "report.pdf",
    "report.html",
    "report.md",
    "report.json",
    AUTHORISATION,
    "findings.json",
    STATEMENTS,
    CLAIMS,
    FACTS,
    RECORDS,
)
#: Those that have lines, of each of which the manifest has the sha256.
LINED: Final = frozenset({STATEMENTS, CLAIMS, FACTS, RECORDS})

Tlp = Literal["clear", "green", "amber", "amber+strict", "red"]
Template = Literal["executive", "technical", "evidence"]

_encode = msgspec.json.Encoder(order="sorted").encode


class Member(Struct, frozen=True, kw_only=True):
    """A member by its name; ``lines`` are the sha256 (hex) of each of its lines, without their ends."""

    name: str
    size: int
    sha256: str
    lines: tuple[str, ...] = ()


class Manifest(Struct, frozen=True, kw_only=True):
    """What a bundle has, of which report of which scan.

    ``as_of`` is the instant that the report is about, ``evidence_root`` (hex) the Merkle root of all evidence of the
    scan, ``versions`` are those of Mirage and of the modules (``module@version``). ``absent`` are evidence records that
    are cited and were not kept any more; ``bodies``: whether the bodies of records are in it.
    """

    form: int
    report: UUID
    workspace: UUID
    scan: UUID
    template: Template
    tlp: Tlp
    title: str
    as_of: int
    evidence_root: str | None
    versions: tuple[str, ...]
    members: tuple[Member, ...]
    absent: tuple[str, ...] = ()
    bodies: bool = False


class ReportStatement(Struct, frozen=True, kw_only=True):
    """What is signed of a bundle: whose it is, of which report, and the sha256 (hex) of its manifest."""

    workspace: UUID
    report: UUID
    scan: UUID
    as_of: int
    manifest: str


class CitedClaim(Struct, frozen=True, kw_only=True):
    """What was claimed, by whom (``module@version``), and the evidence records (hex) that prove it.

    ``number`` is the one that the report gives it, ``entity`` the id (hex) of what it is about; ``value`` is text, or
    what a relation leads to. ``absent``: it is that there is none. ``at`` is UTC microseconds.
    """

    number: int
    entity: str
    type: str
    about: str
    predicate: str
    value: str = ""
    absent: bool = False
    modules: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    at: int = 0


class CitedStatement(Struct, frozen=True, kw_only=True):
    """A statement of a report, where it stands there, and the findings (ids) and claims (numbers) that it rests on."""

    section: str
    text: str
    findings: tuple[UUID, ...] = ()
    claims: tuple[int, ...] = ()


def write_manifest(manifest: Manifest) -> bytes:
    """A manifest as its digest is taken: JSON with sorted keys and no blanks."""
    return _encode(manifest)


def write_statement(statement: ReportStatement) -> bytes:
    """A statement as it is signed: JSON with sorted keys and no blanks."""
    return _encode(statement)


def digest(content: bytes) -> str:
    """The sha256 of bytes, as it is written in a manifest."""
    return hashlib.sha256(content).hexdigest()
