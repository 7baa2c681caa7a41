"""What a report is made from, gathered from those who know it, no more of each than a report can tell."""

from collections import Counter
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from msgspec import Struct, field

from services.contracts.authorisations import AuthorisationStatement
from services.contracts.bundles import Template, Tlp
from services.contracts.evidence import EvidenceRecord
from services.contracts.findings import FindingStatus, Severity
from services.contracts.plan import Plan
from services.contracts.resources import Change, Scan, ScanSummary
from services.contracts.resources.correlation import FindingRow, FindingView
from services.contracts.resources.storage import EntityFacts, Facts
from services.contracts.scope import Role

#: Findings that a report tells one by one: the worst.
TOLD: Final[dict[Template, int]] = {"executive": 50, "technical": 500, "evidence": 500}
#: Entities of a type that a report names.
NAMED: Final = 50
#: Changes since an earlier scan that a report names, of each kind.
CHANGED: Final = 10
#: Grounds of a finding, and evidence records of one ground, that a report cites.
GROUNDS: Final = 12
RECORDS: Final = 3
#: Characters of a text of the outside that a report repeats.
LONGEST: Final = 600

#: Findings of these states are counted, and not told.
HIDDEN: Final[frozenset[FindingStatus]] = frozenset({"false_positive", "fixed"})

_DAY: Final = 86_400_000_000


class Tally(Struct):
    """Findings as they are listed, counted: how many there are of each kind, and the worst of them."""

    worst: list[FindingRow] = field(default_factory=list)
    total: int = 0
    severities: Counter[Severity] = field(default_factory=Counter)
    statuses: Counter[FindingStatus] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    newly: int = 0
    hidden: Counter[str] = field(default_factory=Counter)

    def add(self, row: FindingRow, *, told: int, since: int) -> None:
        """Count a finding, of which the worst come first; ``newly`` are those first found from ``since`` on.

        What somebody has put aside is ``hidden``, and counted as nothing else.
        """
        if row.suppressed or row.status in HIDDEN:
            self.hidden["suppressed" if row.suppressed else row.status] += 1
            return
        self.total += 1
        self.severities[row.severity] += 1
        self.statuses[row.status] += 1
        self.categories[row.category] += 1
        self.newly += row.first_found >= since
        if len(self.worst) < told:
            self.worst.append(row)


class Inventory(Struct):
    """What a scan found in its scope, counted, with the first of each type by name."""

    types: Counter[str] = field(default_factory=Counter)
    roles: Counter[Role] = field(default_factory=Counter)
    named: dict[str, list[EntityFacts]] = field(default_factory=dict)
    days: Counter[int] = field(default_factory=Counter)
    relations: int = 0

    @property
    def total(self) -> int:
        return self.types.total()

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            self.types[each.entity.type] += 1
            if each.role is not None:
                self.roles[each.role] += 1
            self.days[each.first_seen // _DAY] += 1
            named = self.named.setdefault(each.entity.type, [])
            if len(named) < NAMED:
                named.append(each)
        self.relations += len(facts.relations)


class Changes(Struct):
    """What differs from an earlier scan of the same targets."""

    before: ScanSummary
    kinds: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[Change]] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        self.kinds[change.kind] += 1
        named = self.named.setdefault(change.kind, [])
        if len(named) < CHANGED:
            named.append(change)


class Cited(Struct, frozen=True):
    """An evidence record, and which module asked."""

    record: EvidenceRecord
    module: str


class Inputs(Struct, frozen=True, kw_only=True):
    """All that a report says comes from here; ``version`` is Mirage's, ``judged`` whether all that is stored was.

    ``unsaid``: how many grounds of a finding are not among those that it is told with.
    """

    template: Template
    tlp: Tlp
    title: str
    as_of: int
    version: str
    workspace: UUID
    scan: Scan
    plan: Plan
    authorisation: AuthorisationStatement | None
    tally: Tally
    findings: tuple[FindingView, ...]
    unsaid: Mapping[UUID, int]
    judged: bool
    inventory: Inventory
    changes: Changes | None
    records: Mapping[str, Cited]
