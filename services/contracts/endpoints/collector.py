"""What collector is asked."""

from typing import Final

from services.contracts import resources as r
from services.kernel.calls import Endpoint, Nothing

GET_BLOB: Final = Endpoint(
    service="collector", name="get_blob", method="GET", path="/v1/blobs/{digest}", needs="evidence.read",
    takes=r.BlobQuery, answers=r.BlobView, summary="The bytes of a piece of evidence.",
)  # fmt: skip
SWEPT_BY_COLLECTOR: Final = Endpoint(
    service="collector", name="swept_by_collector", method="GET", path="/v1/scans/{scan}/swept/collector",
    needs="scans.delete",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the evidence of a deleted scan.",
)  # fmt: skip
UPLOAD: Final = Endpoint(
    service="collector", name="upload", method="POST", path="/v1/blobs", needs="scans.run",
    takes=r.Upload, answers=r.Uploaded, summary="Keep a word list for scans of this workspace.",
    large=True,
)  # fmt: skip
VERIFY: Final = Endpoint(
    service="collector", name="verify", method="POST", path="/v1/scans/{scan}/verify", needs="evidence.read",
    takes=r.ScanId, answers=r.Verified, summary="Check every byte that a scan's claims rest on.", streams=True,
    audited=False,
)  # fmt: skip
REPLAY: Final = Endpoint(
    service="collector", name="replay", method="POST", path="/v1/scans/{scan}/replay", needs="evidence.read",
    takes=r.ScanId, answers=r.Replayed,
    summary="Run the modules on the recorded evidence, opening no socket, and say how the claims differ.",
    streams=True,
    audited=False,
)  # fmt: skip
GET_ANNOUNCEMENT: Final = Endpoint(
    service="collector", name="get_announcement", method="GET", path="/v1/announcement",
    takes=Nothing, answers=r.Announcement, summary="Say which modules this collector has.",
)  # fmt: skip
LIST_BUDGETS: Final = Endpoint(
    service="collector", name="list_budgets", method="GET", path="/v1/budgets", needs="modules.read",
    takes=Nothing, answers=tuple[r.BudgetView, ...],
    summary="Say how often each source may be asked, and what is left of its quotas.",
)  # fmt: skip
TRACE_NAME: Final = Endpoint(
    service="collector", name="trace_name", method="POST", path="/v1/scans/{scan}/trace", needs="evidence.read",
    takes=r.TraceQuery, answers=tuple[r.Trace, ...],
    summary="Find what the DNS said of a name in the evidence of work items.",
    audited=False,
)  # fmt: skip
GET_EVIDENCE_USED: Final = Endpoint(
    service="collector", name="get_evidence_used", method="GET", path="/v1/usage/evidence", needs="scans.read",
    takes=Nothing, answers=r.EvidenceUsed, summary="How many bytes of evidence are kept.",
)  # fmt: skip
