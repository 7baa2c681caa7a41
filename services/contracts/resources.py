"""What services answer with, and what they are asked with."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from services.contracts.claims import Claim, Entity
from services.contracts.evidence import EvidenceRecord
from services.contracts.facts import DeclaredModule
from services.contracts.plan import Limits, Profile
from services.contracts.subjects import CarriedSubject

ScanState = Literal["queued", "running", "paused", "stopped", "incomplete", "finished", "failed"]
#: States in which nothing more happens unless somebody asks.
ENDED = frozenset({"stopped", "incomplete", "finished", "failed"})


# --- scans ---


class NewScan(Struct, frozen=True, kw_only=True):
    """A scan to make. ``targets`` are texts, recognised by their form or all of ``type``.

    ``modules`` and ``exclude`` are module ids or activities. ``scope`` adds names, wildcards and networks to what the
    targets imply; ``exclude_scope`` takes away, and wins. ``networks`` are those that the guard shall allow.
    ``authorised`` says who allowed active work and why; without it no active module is planned. ``words`` is the
    sha256 of an uploaded word list. ``resolvers`` are ``address[:port]``.
    """

    targets: tuple[str, ...]
    type: str | None = None
    profile: Profile = "passive"
    modules: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    exclude_scope: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    authorised: str | None = None
    limits: Limits = Limits()
    resolvers: tuple[str, ...] = ()
    words: bytes | None = None


class ScanRef(Struct, frozen=True):
    """A scan by its id, a unique beginning of it, or ``last``."""

    scan: str


class ScanId(Struct, frozen=True):
    scan: UUID


class SourceState(Struct, frozen=True, kw_only=True):
    """How one module fared in a scan: items by outcome, items still to do, and the last reason for a failure.

    ``state`` sums it up: ``idle`` (nothing to ask about), ``waiting``, ``running``, ``answered``, ``partial`` (some
    items could not be asked), or the outcome that all share (``unauthorised``, ``unreachable``, ``rate_limited``,
    ``blocked``, ``failed``, ``skipped``).
    """

    module: str
    version: int
    activity: str
    state: str
    open: int
    outcomes: dict[str, int]
    claims: int
    requests: int
    reason: str = ""


class Waiting(Struct, frozen=True):
    """What a scan waits for: whom, why, and until when (UTC microseconds) if that is known."""

    module: str
    items: int
    reason: str
    until: int | None = None


class Scan(Struct, frozen=True, kw_only=True):
    """A scan as it stands. Times are UTC microseconds; ``items`` counts work items by state."""

    id: UUID
    state: ScanState
    reason: str
    run: int
    targets: tuple[Entity, ...]
    profile: Profile
    created: int
    started: int | None
    ended: int | None
    deadline: int | None
    items: dict[str, int]
    entities: dict[str, int]
    sources: tuple[SourceState, ...]
    waiting: tuple[Waiting, ...] = ()
    authorised: str | None = None
    results: int = 0
    admissions: int = 0
    evidence_root: bytes | None = None


class ScanSummary(Struct, frozen=True, kw_only=True):
    """A scan in a list."""

    id: UUID
    state: ScanState
    targets: tuple[str, ...]
    profile: Profile
    created: int
    ended: int | None
    entities: int
    open: int
    done: int


class Preview(Struct, frozen=True, kw_only=True):
    """What a scan would do, before anything is asked."""

    targets: tuple[Entity, ...]
    modules: tuple["PreviewedModule", ...]
    left_out: dict[str, str]


class PreviewedModule(Struct, frozen=True, kw_only=True):
    """``requests`` is what the targets alone would cost; more follows from what is found, by ``rate`` at most.

    ``tells`` says to whom it talks and ``learns`` what they learn.
    """

    id: str
    title: str
    activity: str
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    requests: float
    rate: float
    tells: tuple[str, ...]
    learns: tuple[str, ...]
    missing_key: str = ""
    key_adds: str = ""


class ItemsQuery(Struct, frozen=True, kw_only=True):
    """Work items of a scan, by the value of their subject, by module or by outcome; pages by ``after``."""

    scan: UUID
    subject: str = ""
    module: str = ""
    outcome: str = ""
    after: str = ""
    limit: int = 200


class Item(Struct, frozen=True, kw_only=True):
    """One work item and how it went. ``state``: waiting, leased, done."""

    id: UUID
    module: str
    version: int
    subject: CarriedSubject
    state: str
    outcome: str | None
    reason: str
    role: str
    distance: int
    claims: int
    requests: int
    changed: int


class Standing(Struct, frozen=True, kw_only=True):
    """Where an entity stands in a scan's frontier: admitted or why not."""

    entity: Entity
    admitted: bool
    role: str
    distance: int | None
    reason: str


class StandingQuery(Struct, frozen=True):
    scan: UUID
    value: str


class Renew(Struct, frozen=True):
    """Batches that a collector is working on."""

    batches: tuple[UUID, ...]


class Renewed(Struct, frozen=True):
    """Those of them that nobody holds a lease on any more: drop them, publish nothing."""

    lost: tuple[UUID, ...]


class NamesQuery(Struct, frozen=True):
    """A set of names of a scan by its sha256 (hex)."""

    scan: UUID
    digest: str


# --- registry ---


class Health(Struct, frozen=True, kw_only=True):
    """How a source has been lately: counts of items by outcome, the last good answer, the last failure."""

    state: Literal["unknown", "well", "degraded", "down"] = "unknown"
    answered: int = 0
    failed: int = 0
    last_answer: int | None = None
    last_failure: int | None = None
    reason: str = ""


class Module(Struct, frozen=True, kw_only=True):
    """A module as a workspace sees it; ``live`` is false when no collector has it any more."""

    declared: DeclaredModule
    enabled: bool
    options: dict[str, bool | int | float | str]
    health: Health
    live: bool
    has_key: bool


class ModuleRef(Struct, frozen=True):
    module: str


class ModuleSettings(Struct, frozen=True, kw_only=True):
    """A workspace's settings for a module; None leaves as it is."""

    module: str
    enabled: bool | None = None
    options: dict[str, bool | int | float | str] | None = None


# --- storage ---


class Assertion(Struct, frozen=True, kw_only=True):
    """Who said a claim: evidence ids are hex, times UTC microseconds."""

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


class AttributeValue(Struct, frozen=True, kw_only=True):
    name: str
    value: str | int | float | bool
    assertions: tuple[Assertion, ...]


class EntityView(Struct, frozen=True, kw_only=True):
    """An entity with all that is said of it; ``relations`` lead both ways."""

    id: str
    type: str
    key: tuple[str, ...]
    value: str
    first_seen: int
    last_seen: int
    scope_role: str | None
    distance: int | None
    assertions: tuple[Assertion, ...]
    attributes: tuple[AttributeValue, ...]
    absences: tuple[AttributeValue, ...]
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
    """An entity by its value; ``scan`` narrows to what one scan says, ``type`` to one type."""

    value: str
    type: str | None = None
    scan: UUID | None = None


class SearchQuery(Struct, frozen=True, kw_only=True):
    text: str = ""
    type: str | None = None
    scan: UUID | None = None
    role: str | None = None
    limit: int = 50
    cursor: str | None = None


class EntityRow(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    value: str
    first_seen: int
    last_seen: int
    scope_role: str | None = None
    distance: int | None = None


class SearchPage(Struct, frozen=True, kw_only=True):
    entities: tuple[EntityRow, ...]
    total: int
    facets: dict[str, dict[str, int]]
    cursor: str | None


class ExportQuery(Struct, frozen=True, kw_only=True):
    """``all``: also what lies outside the scope and, for hosts, names that did not resolve."""

    scan: UUID
    format: Literal["hosts", "jsonl", "csv", "json"]
    canonical: bool = False
    all: bool = False


class Chunk(Struct, frozen=True):
    """A piece of an export, as text."""

    text: str


class Stored(Struct, frozen=True, kw_only=True):
    """How much of a scan storage has: work items with all their parts, and `Admitted` messages."""

    scan: UUID
    results: int
    admissions: int
    entities: dict[str, int]
    claims: int
    records: int


class DiffQuery(Struct, frozen=True):
    """``before`` and ``after`` are scans."""

    before: UUID
    after: UUID


class Change(Struct, frozen=True, kw_only=True):
    """``kind``: new, changed, gone, or unknown (was there, and the sources that said so did not answer this time)."""

    kind: Literal["new", "changed", "gone", "unknown"]
    layer: Literal["entity", "relation"]
    type: str
    value: str
    what: str
    modules: tuple[str, ...]


class RecordQuery(Struct, frozen=True):
    """An evidence record by the beginning of its id (hex) or of its blob's sha256."""

    digest: str


class RecordView(Struct, frozen=True, kw_only=True):
    record: EvidenceRecord
    scan: UUID
    item: UUID
    module: str
    version: int


class ClaimsQuery(Struct, frozen=True, kw_only=True):
    """Claims of a scan, all or those resting on one evidence record (hex)."""

    scan: UUID
    record: str = ""
    item: UUID | None = None


class ClaimView(Struct, frozen=True, kw_only=True):
    """A claim with its key (see `claim_key`) and who said it."""

    key: str
    claim: Claim
    item: UUID
    module: str
    version: int
    evidence: tuple[str, ...]


# --- collector ---


class BlobQuery(Struct, frozen=True):
    """A blob by its sha256 (hex)."""

    digest: str


class BlobView(Struct, frozen=True):
    content: bytes


class Upload(Struct, frozen=True):
    content: bytes


class Uploaded(Struct, frozen=True):
    digest: bytes


class Verified(Struct, frozen=True, kw_only=True):
    """One fault that verifying a scan found, or, with ``fault`` empty, the count of what was sound."""

    fault: Literal["", "record altered", "blob altered", "blob missing", "root differs"]
    artefact: str = ""
    request: str = ""
    claims: tuple[str, ...] = ()
    records: int = 0
    blobs: int = 0


class ReplayDifference(Struct, frozen=True, kw_only=True):
    """One claim that a replay made and the scan did not, or the other way round; with ``sign`` empty, the summary."""

    sign: Literal["", "+", "-"]
    line: str = ""
    module: str = ""
    items: int = 0
    claims: int = 0
    skipped: int = 0
    superseded: int = 0


class KeyName(Struct, frozen=True):
    name: str


class NewKey(Struct, frozen=True):
    name: str
    secret: str


class KeyView(Struct, frozen=True, kw_only=True):
    """A provider key that is set: where it comes from, and its last characters."""

    name: str
    source: Literal["file", "environment"]
    hint: str
    modules: tuple[str, ...]
