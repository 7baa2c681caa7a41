"""What services say has happened."""

from typing import Final, Literal, get_args
from uuid import UUID

from msgspec import Struct

from services.contracts.claims import Absence, Attribute, Entity, Relation
from services.contracts.evidence import EvidenceRecord
from services.contracts.findings import Severity
from services.contracts.plan import Profile
from services.contracts.scope import Activity, Role
from services.contracts.states import ScanState
from services.contracts.subjects import CarriedSubject

#: ``truncated``: what is claimed was answered, and the source has more than it gave or than it was asked for.
Outcome = Literal[
    "found", "empty", "truncated", "rate_limited", "blocked", "unauthorised", "unreachable", "failed", "skipped"
]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
#: A source that is to be left alone for longer (seconds) is not waited for: what would ask it ends as rate limited.
LONGEST_WAIT: Final = 600.0
#: What a source was asked and answered, if only in part; with any other one it was not.
ANSWERED: Final[frozenset[Outcome]] = frozenset({"found", "empty", "truncated"})


class Said(Struct, frozen=True, array_like=True):
    """A claim, and the positions in ``records`` of the evidence it rests on."""

    claim: Entity | Relation | Attribute | Absence
    cites: tuple[int, ...]


class Collected(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mirage.evt.collector.collected.v1"):
    """What one work item brought, or a part of it: at most 500 claims and 256 KiB.

    Parts are numbered from 0; the last one has ``outcome`` and ``parts``. Its message id is derived from item, turn and
    part, so a repetition is the same message. ``turn`` is the item's of the command: parts of an older turn count for
    nothing once a newer one was ordered. ``records`` are those that this part's claims cite; the last part also carries
    those that none cites. ``at`` is when the part's claims were observed.
    """

    scan: UUID
    run: int
    batch: UUID
    item: UUID
    module: str
    version: int
    subject: CarriedSubject
    turn: int = 0
    part: int
    at: int
    said: tuple[Said, ...] = ()
    records: tuple[EvidenceRecord, ...] = ()
    outcome: Outcome | None = None
    reason: str = ""
    parts: int = 0
    requests: int = 0
    retry_after: float | None = None


class Superseded(Struct, frozen=True, kw_only=True, tag="mirage.evt.collector.superseded.v1"):
    """A collector has no such version of a module; nothing was asked."""

    scan: UUID
    run: int
    batch: UUID
    module: str
    version: int
    live: int | None


class DeclaredModule(Struct, frozen=True, kw_only=True):
    """A manifest as the registry keeps it; fields as in `services.collector.manifest.Manifest`."""

    id: str
    version: int
    title: str
    activity: Activity
    source: str
    format: str
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    hosts: tuple[str, ...]
    options: dict[str, bool | int | float | str]
    key: str | None
    key_required: bool
    rate: float
    burst: int
    quota: dict[str, int] = {}
    key_rate: float = 0.0
    key_quota: dict[str, int] = {}
    budget: str = ""
    concurrency: int
    cost: float
    freshness: int
    timeout: float
    licence: str
    code: str
    affiliates: bool = True
    key_adds: str = ""
    forms: dict[str, str] = {}


#: Under which name the directory says of a collector which announcement is its.
ANNOUNCED: Final = "announced"


class Announced(Struct, frozen=True, kw_only=True, tag="mirage.evt.collector.announced.v1"):
    """The modules that a collector has, said each time it starts.

    ``digest`` is the same as long as they are; the directory says it of the collector, under `ANNOUNCED`.
    """

    digest: str
    modules: tuple[DeclaredModule, ...]


class Admission(Struct, frozen=True, array_like=True):
    """An entity's place in a scan; said again when its role gets stronger or its distance smaller."""

    entity: Entity
    role: Role
    distance: int


class Admitted(Struct, frozen=True, kw_only=True, tag="mirage.evt.scans.admitted.v1"):
    """Entities that a scan took in; ``ordinal`` counts the messages of one scan from 1."""

    scan: UUID
    ordinal: int
    admissions: tuple[Admission, ...]


class Started(Struct, frozen=True, kw_only=True, tag="mirage.evt.scans.started.v1"):
    """A run of a scan began; ``targets`` are the first of ``target_count``."""

    scan: UUID
    run: int
    targets: tuple[Entity, ...]
    profile: Profile
    target_count: int = 0


class SourceOutcome(Struct, frozen=True, kw_only=True):
    """How a module fared in a run: items by outcome, and the last reason why one could not be asked."""

    module: str
    outcomes: dict[Outcome, int]
    reason: str = ""


class Finished(Struct, frozen=True, kw_only=True, tag="mirage.evt.scans.finished.v1"):
    """A run ended, said once per (scan, run).

    ``state`` is how: finished, stopped or incomplete (a limit or deadline was reached, ``reason`` says which).
    ``results`` are the complete results that were accepted (an item counts once for each of its turns), ``admissions``
    the `Admitted` messages, over all runs;
    ``evidence_root`` is the `merkle_root` of the records of those results.
    """

    scan: UUID
    run: int
    state: ScanState
    reason: str
    results: int
    admissions: int
    outcomes: dict[Outcome, int]
    sources: tuple[SourceOutcome, ...] = ()
    evidence_root: bytes
    at: int


class Deleted(Struct, frozen=True, kw_only=True, tag="mirage.evt.scans.deleted.v1"):
    """A scan is to be forgotten by everybody.

    ``words`` is the word list of the scan when no other one has it: unless it was uploaded again after the scan was
    ``made`` (UTC microseconds), it is to be forgotten too.
    """

    scan: UUID
    words: bytes | None = None
    made: int = 0


class RoleChanged(Struct, frozen=True, kw_only=True, tag="mirage.evt.users.role_changed.v1"):
    """An account is something else in a workspace since ``at``; ``member``: whether it is anything there still."""

    account: UUID
    at: int
    member: bool = True


class OperatorChanged(Struct, frozen=True, kw_only=True, tag="mirage.evt.users.operator_changed.v1"):
    """An account is an operator of the installation since ``at``, or is none any more."""

    account: UUID
    at: int


class Changed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mirage.evt.storage.changed.v1"):
    """What a scan says of these entities and relations, or that it knows of them, is not what it was before.

    ``ordinal`` counts the messages of one scan from 1; each is about at most `MAX_CHANGED` things. ``relations`` are
    pairs: the id of the source, and the relation's own.
    """

    scan: UUID
    ordinal: int
    entities: tuple[bytes, ...] = ()
    relations: tuple[tuple[bytes, bytes], ...] = ()


MAX_CHANGED: Final = 2_000


class Judged(Struct, frozen=True, kw_only=True, tag="mirage.evt.correlation.judged.v1"):
    """A finding came to be (``new``), is no longer so (``fixed``), or came back after that (``reopened``)."""

    finding: UUID
    scan: UUID
    became: Literal["new", "reopened", "fixed"]
    rule: str
    severity: Severity
    title: str
    at: int
