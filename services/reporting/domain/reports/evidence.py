"""The evidence report: of each finding the chain from what is said to the bytes that prove it, and how to check it."""

from collections.abc import Iterator
from typing import Final

from services.contracts.bundles import CitedClaim
from services.reporting.domain.reports.citing import Citations, claim_words
from services.reporting.domain.reports.document import (
    Block,
    Bullets,
    Card,
    Fields,
    Paragraph,
    Section,
    Statement,
)
from services.reporting.domain.reports.inputs import Cited, Inputs
from services.reporting.domain.reports.parts import left_out, made_section, sources_section
from services.reporting.domain.reports.technical import finding_line
from services.reporting.domain.reports.words import cut, instant, listed

VERIFYING: Final = (
    (
        "mirage verify FILE checks the bundle of this report on any machine, without asking anybody: each file and each"
        " body by its sha256, each evidence record by its own id, and the signature by the workspace's key."
    ),
    (
        "mirage evidence show RECORD shows the exchange behind a record, and its bytes with --body; mirage evidence"
        " verify SCAN checks all that the scan rests on."
    ),
    (
        "The id of a record is the sha256 of all that it says. The ids of all records of the scan are the leaves of a"
        " Merkle tree (RFC 6962, section 2.1), whose root is the evidence root: none can be altered or left out."
    ),
)


def sections(inputs: Inputs, cited: Citations) -> tuple[Section, ...]:
    cards = tuple(_card(inputs, cited, place) for place in range(len(inputs.findings)))
    chains: tuple[Block, ...] = cards or (Paragraph((Statement("There are no findings, and so nothing to prove."),)),)
    return (
        Section("How to check this", tuple(_checking(inputs))),
        Section("Findings and their evidence", (*left_out(inputs), *chains)),
        sources_section(inputs),
        made_section(inputs),
    )


def _checking(inputs: Inputs) -> list[Block]:
    modules = sorted({name for view in inputs.findings for ground in view.grounds for name in ground.modules})
    pairs = (
        ("Evidence root", inputs.scan.evidence_root or "none yet: the scan has not ended"),
        ("Modules", listed(modules, 60) or "none"),
    )
    return [Bullets(tuple(map(Statement, VERIFYING))), Fields(pairs, exact=True)]


def _card(inputs: Inputs, cited: Citations, place: int) -> Card:
    view = inputs.findings[place]
    blocks: list[Block] = []
    told: set[str] = set()
    for claim in cited.claims_of(view):
        blocks.append(Paragraph((Statement(f"{claim_words(claim)}.", (), (claim.number,)),)))
        blocks.append(Fields(tuple(_chain(inputs, claim, told)), exact=True))
    return Card(cited.number(view), cut(view.finding.title), view.finding.severity, finding_line(view), tuple(blocks))


def _chain(inputs: Inputs, claim: CitedClaim, told: set[str]) -> Iterator[tuple[str, str]]:
    """From a claim to its bytes; of a record that was ``told`` before, its id alone."""
    by = listed(claim.modules)
    yield "Said by", f"{by}, {instant(claim.at)}" if by else "the scan itself, by where it stands there"
    if not claim.evidence:
        yield "Record", "none is cited"
    for each in claim.evidence:
        yield "Record", each
        if each not in told:
            told.add(each)
            yield from _exchange(inputs.records.get(each))


def _exchange(cited: Cited | None) -> Iterator[tuple[str, str]]:
    if cited is None:
        yield "", "not kept any more"
        return
    record = cited.record
    at = f" at {cut(record.peer, 80)}" if record.peer else ""
    yield "Request", f"{record.protocol}: {cut(record.request, 300)}"
    yield "Asked", f"{instant(record.at)} by {cited.module}{at}"
    if record.blob is not None:
        yield "Body sha256", record.blob.hex()
