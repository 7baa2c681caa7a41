"""What the collector answers."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final
from uuid import UUID

from services.collector import store
from services.collector.collector import collector_of
from services.collector.replay import replay_scan
from services.collector.traces import trace
from services.collector.verify import verify_scan
from services.contracts import endpoints as e
from services.contracts.resources import (
    Announcement,
    BlobQuery,
    BlobView,
    BudgetView,
    EvidenceUsed,
    Replayed,
    ScanId,
    Swept,
    Trace,
    TraceQuery,
    Upload,
    Uploaded,
    Verified,
)
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.remembered import remember
from services.kernel.service import Ports

MAX_UPLOAD: Final = 32_000_000
#: Seconds in which the quotas of a workspace are told.
ASKING: Final = 5.0
#: Workspaces of which it is remembered how much they may keep: a bound on memory.
REMEMBERED: Final = 10_000
_ALLOWED: Final = "collector.allowed"


async def get_blob(ports: Ports, caller: Caller, question: BlobQuery) -> BlobView:
    try:
        wanted = bytes.fromhex(question.digest)
    except ValueError:
        raise Invalid(f"{question.digest[:80]!r} is not a sha256 in hexadecimal digits") from None
    return BlobView(await ports.blobs.get(caller.workspace, wanted))


async def _see_that_there_is_room(ports: Ports, caller: Caller, size: int) -> None:
    """See that the workspace may keep so many bytes more.

    Raises:
        Conflict: it may not. Unavailable: users does not say, and never did.
    """
    allowed = await _storage_allowed(ports, caller)
    if allowed is None:
        return
    async with ports.sql.read() as view:
        kept = await store.bytes_kept(view, caller.workspace)
    if kept + size > allowed:
        raise Conflict(f"this workspace may keep {allowed} bytes of evidence and word lists, and has {kept}")


async def _storage_allowed(ports: Ports, caller: Caller) -> int | None:
    """How many bytes a workspace may keep, as it was known last where users is away; None where all it likes.

    Raises:
        Unavailable: it never was known here.
    """
    known: dict[UUID, int | None] = ports.state.setdefault(_ALLOWED, {})
    try:
        allowed = (await ports.calls.ask(e.GET_QUOTAS, Nothing(), caller, seconds=ASKING)).storage
    except Unavailable:
        if caller.workspace not in known:
            raise
        return known[caller.workspace]
    remember(known, caller.workspace, allowed, REMEMBERED)
    return allowed


async def upload(ports: Ports, caller: Caller, question: Upload) -> Uploaded:
    if len(question.content) > MAX_UPLOAD:
        raise Invalid(f"a word list may have {MAX_UPLOAD} bytes, this one has {len(question.content)}")
    await _see_that_there_is_room(ports, caller, len(question.content))
    return Uploaded((await collector_of(ports).journal.keep(caller.workspace, question.content, ports.outbox)).hex())


async def swept_by_collector(ports: Ports, caller: Caller, question: ScanId) -> Swept:
    """Whether the scan was deleted here: its tombstone is written with the last of its rows."""
    async with ports.sql.read() as view:
        gone = await store.gone_scans(view, [question.scan])
    return Swept(question.scan, (caller.workspace, question.scan) in gone)


def verify(ports: Ports, caller: Caller, question: ScanId) -> AsyncGenerator[Verified, None]:
    return verify_scan(ports, caller, question.scan)


def replay(ports: Ports, caller: Caller, question: ScanId) -> AsyncGenerator[Replayed, None]:
    return replay_scan(ports, collector_of(ports), caller, question.scan)


async def get_announcement(ports: Ports, caller: Caller, question: Nothing) -> Announcement:
    announced = collector_of(ports).announced
    return Announcement(announced.digest, announced.modules)


async def list_budgets(ports: Ports, caller: Caller, question: Nothing) -> tuple[BudgetView, ...]:
    return await collector_of(ports).budgets(caller.workspace)


async def get_evidence_used(ports: Ports, caller: Caller, question: Nothing) -> EvidenceUsed:
    async with ports.sql.read() as view:
        return EvidenceUsed(await store.bytes_kept(view, caller.workspace))


async def trace_name(ports: Ports, caller: Caller, question: TraceQuery) -> tuple[Trace, ...]:
    return await trace(collector_of(ports).journal, caller.workspace, question)


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.GET_BLOB: get_blob,
    e.UPLOAD: upload,
    e.SWEPT_BY_COLLECTOR: swept_by_collector,
    e.VERIFY: verify,
    e.REPLAY: replay,
    e.GET_ANNOUNCEMENT: get_announcement,
    e.LIST_BUDGETS: list_budgets,
    e.TRACE_NAME: trace_name,
    e.GET_EVIDENCE_USED: get_evidence_used,
}
