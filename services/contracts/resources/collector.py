"""Evidence, replay, and provider keys."""

from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct


class BlobQuery(Struct, frozen=True):
    """A blob by its sha256 (hex)."""

    digest: str


class BlobView(Struct, frozen=True):
    content: bytes


class Upload(Struct, frozen=True):
    content: bytes


class Uploaded(Struct, frozen=True):
    """Where an upload is kept: its sha256 (hex)."""

    digest: str


FaultKind: TypeAlias = Literal["record altered", "blob altered", "blob missing", "root differs", "claim altered"]


class Fault(Struct, frozen=True, kw_only=True):
    """What is wrong with an artefact (its digest, hex), and claims that rest on it; of a claim, what it says now.

    ``more``: the next fault is the same one with further claims.
    """

    kind: FaultKind
    artefact: str
    request: str = ""
    claims: tuple[str, ...] = ()
    more: bool = False


class Checked(Struct, frozen=True, kw_only=True):
    """How much was looked at."""

    records: int
    blobs: int
    claims: int = 0


class Verified(Struct, frozen=True, kw_only=True):
    """A piece of what verifying a scan says: a fault, or, as the last one, what was checked."""

    fault: Fault | None = None
    checked: Checked | None = None


class TraceQuery(Struct, frozen=True, kw_only=True):
    """A host name in normal form, and the work items of a scan in whose evidence it is looked for."""

    scan: UUID
    items: tuple[UUID, ...]
    name: str


class TraceAnswer(Struct, frozen=True, kw_only=True):
    """How the DNS answered for the name (found, nodata, nxdomain, servfail, refused, timeout, broken), and the record
    (hex) that shows it; ``probes`` are records of what names beside it got, which tell a wildcard.
    """

    type: str
    status: str
    record: str
    probes: tuple[str, ...] = ()


class Trace(Struct, frozen=True, kw_only=True):
    """A work item: how many names it asked the DNS for, what it got for this one, records of what it failed to ask."""

    item: UUID
    names: int
    answers: tuple[TraceAnswer, ...]
    failures: tuple[str, ...]


class Difference(Struct, frozen=True, kw_only=True):
    """One claim that a replay made and the scan did not (``+``), or the other way round."""

    sign: Literal["+", "-"]
    line: str
    module: str


class ReplayCounts(Struct, frozen=True, kw_only=True):
    """Work items that were replayed and their claims; items that were not recorded; items in another version; items
    that failed and had not in the scan, and why the first of them did.
    """

    items: int
    claims: int
    skipped: int
    superseded: int
    failed: int = 0
    failure: str = ""


class Replayed(Struct, frozen=True, kw_only=True):
    """A piece of what a replay says: a difference, or, as the last one, its counts."""

    difference: Difference | None = None
    counts: ReplayCounts | None = None


class QuotaView(Struct, frozen=True, kw_only=True):
    """A quota in its present window: requests in all, made by all workspaces, left for the caller's, and until when
    (UTC microseconds).
    """

    period: Literal["hour", "day", "month"]
    most: int
    used: int
    left: int
    until: int


class BudgetView(Struct, frozen=True, kw_only=True):
    """What a module may ask of its source now: requests a second (0: no limit), how many at once, and its quotas.

    ``budget`` names the allowance, which several modules may share; ``with_key``: it is that of a key.
    """

    module: str
    budget: str
    rate: float
    burst: int
    with_key: bool
    quotas: tuple[QuotaView, ...]
