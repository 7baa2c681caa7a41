"""Scans: what makes one, and how it stands."""

from uuid import UUID

from msgspec import Struct

from services.contracts.authorisations import AuthorisationStatement
from services.contracts.claims import Entity
from services.contracts.facts import Outcome
from services.contracts.plan import Limits, Profile
from services.contracts.scope import Activity, Role
from services.contracts.states import ItemState, ScanState, SourceStanding
from services.contracts.subjects import CarriedSubject


class NewScan(Struct, frozen=True, kw_only=True):
    """A scan to make. ``targets`` are texts, recognised by their form or all of ``type``.

    ``modules`` and ``exclude`` are module ids or activities. ``scope`` adds names, wildcards and networks to what the
    targets imply; ``exclude_scope`` takes away, and wins. ``networks`` are those that the guard shall allow.
    ``authorised`` says who allowed active work and why; without it no active module is planned. It is for the active
    modules of ``techniques``, for all that are planned where none is named, ``authorised_from`` now or a later time
    and ``authorised_until`` another (UTC microseconds; 30 days). ``words`` is the sha256 (hex) of an uploaded word
    list. ``resolvers`` are ``address[:port]``.
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
    techniques: tuple[str, ...] = ()
    authorised_from: int | None = None
    authorised_until: int | None = None
    limits: Limits = Limits()
    resolvers: tuple[str, ...] = ()
    words: str | None = None


class ScanRef(Struct, frozen=True):
    """A scan by its id, a unique beginning of it, or ``last``."""

    scan: str


class ScanId(Struct, frozen=True):
    scan: UUID


class SignedAuthorisation(Struct, frozen=True):
    """An authorisation, and the same as a JSON Web Signature (RFC 7515, compact) by a key of the workspace."""

    statement: AuthorisationStatement
    signed: str


class Swept(Struct, frozen=True):
    """Whether a service has nothing left of a scan that was deleted."""

    scan: UUID
    swept: bool


class SourceState(Struct, frozen=True, kw_only=True):
    """How one module fared in a scan: items by outcome, items still to do, and the last reason for a failure.

    ``state`` sums it up.
    """

    module: str
    version: int
    activity: Activity
    state: SourceStanding
    open: int
    outcomes: dict[Outcome, int]
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
    """A scan as it stands. Times are UTC microseconds; ``items`` counts work items by state.

    ``targets`` are the first of ``target_count``; the plan has all. ``evidence_root`` (hex) is the `merkle_root` of the
    records of its results, once it has ended. ``resumable``: it was held or cut short, and there is work to go on with.
    ``authorisation``: what was signed when active work was authorised. ``withheld``: why nothing more is handed out for
    now, where a quota of the workspace is used up.
    """

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
    authorisation: AuthorisationStatement | None = None
    results: int = 0
    admissions: int = 0
    evidence_root: str | None = None
    target_count: int = 0
    resumable: bool = False
    withheld: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """Where a scan stands, without what it was made with and what only its end has; fields as in `Scan`."""

    state: ScanState
    reason: str
    run: int
    started: int | None
    ended: int | None
    deadline: int | None
    items: dict[str, int]
    entities: dict[str, int]
    sources: tuple[SourceState, ...]
    waiting: tuple[Waiting, ...]
    withheld: str = ""


class Watch(Struct, frozen=True):
    """A scan to watch; ``after`` is the sequence that was seen last."""

    scan: UUID
    after: int | None = None


class Watched(Struct, frozen=True):
    """Where a scan stood, and the place of that in the order of all that is said of it."""

    sequence: int
    progress: Progress


class ScanSummary(Struct, frozen=True, kw_only=True):
    """A scan in a list; ``targets`` are the values of the first of ``target_count``."""

    id: UUID
    state: ScanState
    targets: tuple[str, ...]
    profile: Profile
    created: int
    ended: int | None
    entities: int
    open: int
    done: int
    target_count: int = 0


class Retention(Struct, frozen=True, kw_only=True):
    """What is kept: scans that ended later, and the newest ``keep_last`` finished ones of each set of targets."""

    ended_before: int
    keep_last: int = 2


class Preview(Struct, frozen=True, kw_only=True):
    """What a scan would do, before anything is asked."""

    targets: tuple[Entity, ...]
    modules: tuple["PreviewedModule", ...]
    left_out: dict[str, str]


class PreviewedModule(Struct, frozen=True, kw_only=True):
    """``requests`` is what the targets alone would cost; more follows from what is found, by ``rate`` at most.

    ``tells`` says to whom it talks and ``learns`` what they learn; ``left`` is how many requests the quotas of the
    source leave to the workspace now, None where it has none.
    """

    id: str
    title: str
    activity: Activity
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    requests: float
    rate: float
    tells: tuple[str, ...]
    learns: tuple[str, ...]
    missing_key: str = ""
    key_adds: str = ""
    left: int | None = None


class ItemsQuery(Struct, frozen=True, kw_only=True):
    """Work items of a scan, by the value of their subject, by module or by outcome; pages by ``after``."""

    scan: UUID
    subject: str = ""
    module: str = ""
    outcome: Outcome | None = None
    after: str = ""
    limit: int = 200


class Item(Struct, frozen=True, kw_only=True):
    """One work item and how it went."""

    id: UUID
    module: str
    version: int
    subject: CarriedSubject
    state: ItemState
    outcome: Outcome | None
    reason: str
    role: Role
    distance: int
    claims: int
    requests: int
    changed: int


class Standing(Struct, frozen=True, kw_only=True):
    """Where an entity stands in a scan's frontier: admitted or why not; ``unseen``: in scope, and nobody named it."""

    entity: Entity
    admitted: bool
    role: Role | None
    distance: int | None
    reason: str
    unseen: bool = False


class StandingQuery(Struct, frozen=True):
    scan: UUID
    value: str


class Pause(Struct, frozen=True):
    """A module of a scan that waits for its source's rate, until about then (UTC microseconds)."""

    scan: UUID
    module: str
    until: int


class Renew(Struct, frozen=True):
    """Batches that a collector is working on, and what of it waits."""

    batches: tuple[UUID, ...]
    pauses: tuple[Pause, ...] = ()


class Renewed(Struct, frozen=True):
    """Those of them that nobody holds a lease on any more: drop them, publish nothing."""

    lost: tuple[UUID, ...]


class NamesQuery(Struct, frozen=True):
    """A set of names of a scan by its sha256 (hex)."""

    scan: UUID
    digest: str
