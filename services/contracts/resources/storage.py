"""Entities, relations, claims and differences."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from services.contracts.claims import Claim, Entity, relation_id
from services.contracts.evidence import EvidenceRecord
from services.contracts.scope import Role


class Assertion(Struct, frozen=True, kw_only=True):
    """Who said a claim: evidence ids are hex, times UTC microseconds.

    One that does not count now says since when: ``retracted_at``, or ``unsupported_at`` where it rests on such alone.
    """

    module: str
    version: int
    at: int
    confidence: int
    evidence: tuple[str, ...]
    scan: UUID | None = None
    item: UUID | None = None
    where: str = ""
    valid_from: int | None = None
    valid_to: int | None = None
    retracted_at: int | None = None
    unsupported_at: int | None = None


class AttributeValue(Struct, frozen=True, kw_only=True):
    name: str
    value: str | int | float | bool
    assertions: tuple[Assertion, ...]


class AbsenceView(Struct, frozen=True, kw_only=True):
    """What an entity was said not to have: a type of relation, an attribute, or ``exists``."""

    predicate: str
    assertions: tuple[Assertion, ...]


class EntityView(Struct, frozen=True, kw_only=True):
    """An entity with all that is said of it; ``relations`` lead both ways."""

    id: str
    type: str
    key: tuple[str, ...]
    value: str
    first_seen: int
    last_seen: int
    scope_role: Role | None
    distance: int | None
    assertions: tuple[Assertion, ...]
    attributes: tuple[AttributeValue, ...]
    absences: tuple[AbsenceView, ...]
    relations: tuple["RelationView", ...]


class RelationView(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    source_type: str
    source_value: str
    target_type: str
    target_value: str
    qualifiers: dict[str, str]
    details: dict[str, str | int]
    assertions: tuple[Assertion, ...]


class EntityQuery(Struct, frozen=True, kw_only=True):
    """An entity by its value; ``scan`` narrows to what one scan says, ``type`` to one type.

    ``as_of``: what was known at an instant (UTC microseconds), instead of now. ``valid_at``: of that, what its sources
    say to hold at an instant; who says nothing of when it holds says that it always does. ``withdrawn``: also claims
    that do not count.
    """

    value: str
    type: str | None = None
    scan: UUID | None = None
    as_of: int | None = None
    valid_at: int | None = None
    withdrawn: bool = False


class SearchQuery(Struct, frozen=True, kw_only=True):
    """Entities by words and parts of words; ``scan`` narrows to what a scan saw, ``role`` to those of a role there.

    ``as_of`` as in `EntityQuery`. Without a scan, a page then leaves out what was not known yet, and ``total`` and
    ``facets`` count what is known now.
    """

    text: str = ""
    type: str | None = None
    scan: UUID | None = None
    role: Role | None = None
    limit: int = 50
    cursor: str | None = None
    as_of: int | None = None


class EntityRow(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    value: str
    first_seen: int
    last_seen: int
    scope_role: Role | None = None
    distance: int | None = None


class SearchPage(Struct, frozen=True, kw_only=True):
    """``total`` and ``facets`` count all that is found, and at least 2,000 where there are more."""

    entities: tuple[EntityRow, ...]
    total: int
    facets: dict[str, dict[str, int]]
    cursor: str | None


class Stored(Struct, frozen=True, kw_only=True):
    """How much of a scan storage has: work items with all their parts, and `Admitted` messages.

    ``changes``: the ordinal of the last `Changed` that it said of the scan.
    """

    scan: UUID
    results: int
    admissions: int
    entities: dict[str, int]
    claims: int
    changes: int = 0


class DiffQuery(Struct, frozen=True):
    """``before`` and ``after`` are scans."""

    before: UUID
    after: UUID


class InstantsQuery(Struct, frozen=True, kw_only=True):
    """What a scan, or without one the workspace, says ``after`` and did not ``before``: instants, UTC microseconds."""

    before: int
    after: int
    scan: UUID | None = None


class Change(Struct, frozen=True, kw_only=True):
    """``kind``: new, newly_known (those who say it now were not all asked the same before, or did not answer), changed,
    gone, or unknown (was there, and the sources that said so did not answer this time). Between instants it is new,
    changed or gone: what was said is known.
    """

    kind: Literal["new", "newly_known", "changed", "gone", "unknown"]
    layer: Literal["entity", "relation"]
    type: str
    value: str
    what: str
    modules: tuple[str, ...]


class RecordQuery(Struct, frozen=True):
    """An evidence record by the beginning of its id (hex) or of its blob's sha256."""

    digest: str


class RecordView(Struct, frozen=True, kw_only=True):
    """An evidence record and who asked; by ``id`` and ``blob`` (hex) it and its body are found."""

    id: str
    blob: str | None
    record: EvidenceRecord
    scan: UUID
    item: UUID
    module: str
    version: int


class ClaimsQuery(Struct, frozen=True, kw_only=True):
    """Claims of a scan, all or those resting on one evidence record (hex).

    ``as_of``, ``valid_at`` and ``withdrawn`` as in `EntityQuery`.
    """

    scan: UUID
    record: str = ""
    item: UUID | None = None
    withdrawn: bool = False
    as_of: int | None = None
    valid_at: int | None = None


class ClaimView(Struct, frozen=True, kw_only=True):
    """A claim with its key (see `claim_key`) and who said it; whether it counts now as in `Assertion`."""

    key: str
    claim: Claim
    item: UUID
    module: str
    version: int
    evidence: tuple[str, ...]
    retracted_at: int | None = None
    unsupported_at: int | None = None


class Retract(Struct, frozen=True, kw_only=True):
    """Claims to withdraw: of a module or one version of it, of a source, of a scan, or resting on a record (hex).

    Of several of these, what is all of them; ``since``: of those, what was observed then or later (UTC microseconds). A
    source is what manifests call so, or a host that they name; its modules are those that it has when this is said.
    What comes later is withdrawn, too, until it is undone: ``undo`` restores what was withdrawn by the same words.
    """

    module: str = ""
    version: int | None = None
    source: str = ""
    scan: UUID | None = None
    record: str = ""
    since: int | None = None
    reason: str = ""
    undo: bool = False


class Retracted(Struct, frozen=True):
    """How many claims a batch has withdrawn, or restored; ``derived``: lost their support by it, or got it back."""

    claims: int
    derived: int = 0


class Retraction(Struct, frozen=True, kw_only=True):
    """What is withdrawn, since when and why; fields as in `Retract`, and the ``modules`` of the source."""

    module: str
    version: int | None
    scan: UUID | None
    record: str
    reason: str
    at: int
    source: str = ""
    modules: tuple[str, ...] = ()
    since: int | None = None


class SaidBy(Struct, frozen=True, array_like=True):
    """Who said something, when it was asked about which subject, and on which evidence records.

    Times are UTC microseconds, ids bytes: a subject has 16, a record 32.
    """

    module: str
    version: int
    at: int
    confidence: int
    subject: bytes
    evidence: tuple[bytes, ...]
    valid_from: int | None = None
    valid_to: int | None = None


class SaidValue(Struct, frozen=True, array_like=True):
    """One value of an attribute, and who gave it."""

    name: str
    value: str | int | float | bool
    said: tuple[SaidBy, ...]


class SaidAbsence(Struct, frozen=True, array_like=True):
    """That there is none of a predicate (a type of relation, an attribute, ``exists``), and who said so."""

    predicate: str
    said: tuple[SaidBy, ...]


class EntityFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entity, its place in a scan, and what the scan says of it.

    ``said``: that it exists. An entity that only relations name has nothing of its own; its place is there all the
    same, and, in a stream of all, who ``named`` it so. Of what thousands of items say alike, each module is given 50
    times.
    """

    entity: Entity
    role: Role | None
    distance: int | None
    first_seen: int
    last_seen: int
    said: tuple[SaidBy, ...] = ()
    attributes: tuple[SaidValue, ...] = ()
    absences: tuple[SaidAbsence, ...] = ()
    named: tuple[SaidBy, ...] = ()


class RelationFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A relation between two entities and who said it in a scan; of ``details`` the newest."""

    type: str
    source: Entity
    target: Entity
    qualifiers: dict[str, str] = {}
    details: dict[str, str | int] = {}
    said: tuple[SaidBy, ...] = ()

    @property
    def id(self) -> bytes:
        return relation_id(self.type, self.source, self.target, self.qualifiers)


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some of what a scan says: a piece of a stream, of up to 1,000 entities and relations."""

    entities: tuple[EntityFacts, ...] = ()
    relations: tuple[RelationFacts, ...] = ()


class FactsQuery(Struct, frozen=True, kw_only=True):
    """What a scan says, at the instant ``as_of`` (UTC microseconds) or now.

    Without ``all`` only what is in scope, and the relations that lead from there. What is withdrawn, or rests on what
    is withdrawn alone, is left out.
    """

    scan: UUID
    all: bool = False
    as_of: int | None = None


class FactsOf(Struct, frozen=True, kw_only=True):
    """What a scan says of these entities and relations now; fields as in `Changed`, as many at most."""

    scan: UUID
    entities: tuple[bytes, ...] = ()
    relations: tuple[tuple[bytes, bytes], ...] = ()
