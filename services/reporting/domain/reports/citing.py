"""What the statements of a report rest on: findings and claims, numbered in the order in which they are told."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from services.contracts.bundles import CitedClaim, CitedStatement
from services.contracts.resources.correlation import FindingView, Ground
from services.reporting.domain.reports.document import (
    Block,
    Bullets,
    Card,
    Document,
    Listed,
    Note,
    Paragraph,
    Row,
    Statement,
    Table,
)
from services.reporting.domain.reports.inputs import GROUNDS, RECORDS
from services.reporting.domain.reports.words import cut, kind


class Citations:
    """Numbers the findings of a report and the claims that they rest on; what is claimed twice has one number."""

    def __init__(self, findings: Iterable[FindingView]) -> None:
        self._claims: dict[tuple[str, str, str, bool], CitedClaim] = {}
        self._findings: dict[UUID, Listed] = {}
        for view in findings:
            found = view.finding
            claims = tuple(self._add(ground) for ground in view.grounds[:GROUNDS])
            number = len(self._findings) + 1
            self._findings[found.id] = Listed(number, found.id, cut(found.title), found.severity, claims)

    @property
    def findings(self) -> tuple[Listed, ...]:
        return tuple(self._findings.values())

    @property
    def claims(self) -> tuple[CitedClaim, ...]:
        return tuple(self._claims.values())

    def number(self, view: FindingView) -> int:
        return self._findings[view.finding.id].number

    def claims_of(self, view: FindingView) -> list[CitedClaim]:
        """The claims of a finding, in the order of its grounds, each once."""
        claims = self.claims
        return [claims[number - 1] for number in dict.fromkeys(self._findings[view.finding.id].claims)]

    def _add(self, ground: Ground) -> int:
        value = ground.target.value if ground.target is not None else "" if ground.value is None else str(ground.value)
        key = (ground.entity.id, ground.predicate, value, ground.absent)
        if key not in self._claims:
            self._claims[key] = CitedClaim(
                number=len(self._claims) + 1,
                entity=ground.entity.id,
                type=ground.entity.type,
                about=cut(ground.entity.value),
                predicate=ground.predicate,
                value=cut(value),
                absent=ground.absent,
                modules=ground.modules,
                evidence=ground.evidence[:RECORDS],
                at=ground.at,
            )
        return self._claims[key].number


def claim_words(claim: CitedClaim) -> str:
    """A claim as one line."""
    about = f"{kind(claim.type)} {claim.about}"
    if claim.predicate == "exists":
        return f"{about} does not exist" if claim.absent else f"{about} exists"
    if claim.absent:
        return f"{about} has no {kind(claim.predicate)}"
    return f"{about} {kind(claim.predicate)}: {claim.value}"


def statements(document: Document) -> Iterator[CitedStatement]:
    """Every statement of a report with all that it rests on, in order; a row of a table is one."""
    by_number = {listed.number: listed for listed in document.findings}

    def cited(section: str, text: str, findings: Iterable[int], claims: Iterable[int]) -> CitedStatement:
        told = [by_number[number] for number in findings]
        resting = dict.fromkeys([*claims, *(number for listed in told for number in listed.claims)])
        return CitedStatement(section=section, text=text, findings=tuple(each.id for each in told), claims=(*resting,))

    for section in document.sections:
        for said in _said(section.blocks):
            if isinstance(said, Card):
                yield cited(section.title, said.title, (said.number,), ())
            elif isinstance(said, Row):
                yield cited(section.title, " · ".join(said.cells), said.findings, said.claims)
            else:
                yield cited(section.title, said.text, said.findings, said.claims)


def _said(blocks: Iterable[Block]) -> Iterator[Statement | Row | Card]:
    for block in blocks:
        match block:
            case Paragraph(statements=said) | Bullets(statements=said):
                yield from said
            case Note(statement=said):
                yield said
            case Table(rows=rows):
                yield from rows
            case Card(blocks=inner):
                yield block
                yield from _said(inner)
