"""Reports that are kept: a row of each, and what was made of it in documents, which are never changed."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from services.contracts.resources.reports import ReportView
from services.kernel.documents import Document, Documents
from services.kernel.sql import Reader, Row, Tx

#: The documents of reports under their ids, and their findings under ids and places.
DOCUMENTS: Final = "reports"
FINDINGS: Final = "report_findings"
_COLUMNS: Final = (
    *("workspace", "id", "scan", "template", "tlp", "title", "as_of", "made", "made_by", "version"),
    *("findings", "shown", "digest"),
)
_SELECT: Final = (
    "SELECT id, scan, template, tlp, title, as_of, made, made_by, version, findings, shown, digest FROM report"
)


async def hold(tx: Tx, workspace: UUID, report: UUID) -> None:
    """Let nobody else make this report until the transaction ends."""
    await tx.lock(f"report {workspace.hex} {report.hex}")


async def hold_scan(tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Let nobody else keep a report of a scan, or forget those that there are, until the transaction ends."""
    await tx.lock(f"reports of {workspace.hex} {scan.hex}")


async def note_deleted(tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Note that a scan was deleted, so that no report of it is kept any more."""
    columns = ("workspace", "scan")
    await tx.insert_new("deleted_scan", columns, columns, [(workspace.bytes, scan.bytes)])


async def is_deleted(view: Reader, workspace: UUID, scan: UUID) -> bool:
    rows = await view.fetch(
        "SELECT scan FROM deleted_scan WHERE workspace = :workspace AND scan = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return bool(rows)


async def insert(tx: Tx, workspace: UUID, report: ReportView) -> None:
    row = (
        *(workspace.bytes, report.id.bytes, report.scan.bytes, report.template, report.tlp, report.title),
        *(report.as_of, report.made, report.by, report.version, report.findings, report.shown),
        bytes.fromhex(report.sha256),
    )
    await tx.insert_new("report", _COLUMNS, _COLUMNS[:2], [row])


async def newest(view: Reader, workspace: UUID, scan: UUID | None, limit: int) -> tuple[ReportView, ...]:
    """Reports of a scan, or of all, those made last first."""
    if scan is None:
        rows = await view.fetch(
            f"{_SELECT} WHERE workspace = :workspace ORDER BY made DESC, id LIMIT :limit",
            workspace=workspace.bytes,
            limit=limit,
        )
    else:
        rows = await view.fetch(
            f"{_SELECT} WHERE workspace = :workspace AND scan = :scan ORDER BY made DESC, id LIMIT :limit",
            workspace=workspace.bytes,
            scan=scan.bytes,
            limit=limit,
        )
    return tuple(map(_view, rows))


async def within(view: Reader, workspace: UUID, first: bytes, last: bytes) -> tuple[ReportView, ...]:
    """Reports whose ids lie between two, of which two say that a beginning is not of one alone."""
    rows = await view.fetch(
        f"{_SELECT} WHERE workspace = :workspace AND id >= :first AND id <= :last ORDER BY id LIMIT 2",
        workspace=workspace.bytes,
        first=first,
        last=last,
    )
    return tuple(map(_view, rows))


async def delete(tx: Tx, workspace: UUID, report: UUID) -> None:
    await tx.execute(
        "DELETE FROM report WHERE workspace = :workspace AND id = :id", workspace=workspace.bytes, id=report.bytes
    )


async def of_scan(view: Reader, workspace: UUID, scan: UUID) -> list[UUID]:
    rows = await view.fetch(
        "SELECT id FROM report WHERE workspace = :workspace AND scan = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return [UUID(bytes=identity) for (identity,) in rows]


async def scan_owners(view: Reader, scans: Sequence[UUID]) -> dict[UUID, UUID]:
    """Whose scans are, as far as there are reports of them."""
    rows = await view.fetch_in("SELECT scan, workspace FROM report WHERE scan IN :keys", [scan.bytes for scan in scans])
    return {UUID(bytes=scan): UUID(bytes=workspace) for scan, workspace in rows}


async def keep(
    documents: Documents, workspace: UUID, report: UUID, content: dict[str, Any], findings: Sequence[dict[str, Any]]
) -> None:
    """Keep what was made; what was left of one that did not come to its end is replaced."""
    await declare(documents)
    told = [Document(f"{report.hex}-{place:05}", finding) for place, finding in enumerate(findings)]
    await documents.replace(workspace, FINDINGS, told)
    await documents.replace(workspace, DOCUMENTS, [Document(report.hex, content)])


async def read(documents: Documents, workspace: UUID, report: UUID) -> dict[str, Any] | None:
    await declare(documents)
    found = await documents.get(workspace, DOCUMENTS, [report.hex])
    return found[0].content if found else None


async def findings(documents: Documents, workspace: UUID, report: UUID) -> AsyncIterator[dict[str, Any]]:
    """The findings that a report tells, as they were, in its order."""
    async for found in documents.find(workspace, FINDINGS, prefix=f"{report.hex}-"):
        for each in found:
            yield each.content


async def forget(documents: Documents, workspace: UUID, report: UUID) -> None:
    await declare(documents)
    told = [each.key async for found in documents.find(workspace, FINDINGS, prefix=f"{report.hex}-") for each in found]
    await documents.delete(workspace, FINDINGS, told)
    await documents.delete(workspace, DOCUMENTS, [report.hex])


async def declare(documents: Documents) -> None:
    for collection in (DOCUMENTS, FINDINGS):
        await documents.declare(collection, ())


def _view(row: Row) -> ReportView:
    identity, scan, template, tlp, title, as_of, made, by, version, told, shown, digest = row
    return ReportView(
        id=UUID(bytes=identity),
        scan=UUID(bytes=scan),
        template=template,
        tlp=tlp,
        title=title,
        as_of=as_of,
        made=made,
        by=by,
        version=version,
        findings=told,
        shown=shown,
        sha256=digest.hex(),
    )
