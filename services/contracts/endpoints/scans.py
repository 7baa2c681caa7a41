"""What scans is asked."""

from typing import Final

from services.contracts import resources as r
from services.contracts.plan import Plan
from services.contracts.subjects import Names
from services.kernel.calls import Endpoint, Nothing

CREATE_SCAN: Final = Endpoint(
    service="scans", name="create_scan", method="POST", path="/v1/scans", needs="scans.run",
    takes=r.NewScan, answers=r.Scan, summary="Start a scan.", idempotent=False,
    large=True,
)  # fmt: skip
PREVIEW_SCAN: Final = Endpoint(
    service="scans", name="preview_scan", method="POST", path="/v1/scans/preview", needs="scans.run",
    takes=r.NewScan, answers=r.Preview, summary="Say what a scan would do, without asking anybody.",
    audited=False,
    large=True,
)  # fmt: skip
LIST_SCANS: Final = Endpoint(
    service="scans", name="list_scans", method="GET", path="/v1/scans", needs="scans.read",
    takes=Nothing, answers=tuple[r.ScanSummary, ...], summary="List scans, newest first.",
)  # fmt: skip
GET_SCAN: Final = Endpoint(
    service="scans", name="get_scan", method="GET", path="/v1/scans/{scan}", needs="scans.read",
    takes=r.ScanRef, answers=r.Scan, summary="Show a scan, by id, by a unique beginning of it, or as `last`.",
)  # fmt: skip
PAUSE_SCAN: Final = Endpoint(
    service="scans", name="pause_scan", method="POST", path="/v1/scans/{scan}/pause", needs="scans.run",
    takes=r.ScanId, answers=r.Scan, summary="Hold a scan where it is; nothing is lost.", idempotent=False,
)  # fmt: skip
RESUME_SCAN: Final = Endpoint(
    service="scans", name="resume_scan", method="POST", path="/v1/scans/{scan}/resume", needs="scans.run",
    takes=r.ScanId, answers=r.Scan, summary="Go on with a paused, stopped or incomplete scan.", idempotent=False,
)  # fmt: skip
STOP_SCAN: Final = Endpoint(
    service="scans", name="stop_scan", method="POST", path="/v1/scans/{scan}/stop", needs="scans.run",
    takes=r.ScanId, answers=r.Scan, summary="End the run; what there is stays.", idempotent=False,
)  # fmt: skip
RETRY_SCAN: Final = Endpoint(
    service="scans", name="retry_scan", method="POST", path="/v1/scans/{scan}/retry", needs="scans.run",
    takes=r.ScanId, answers=r.Scan, summary="Ask again, in a new run, what could not be asked.", idempotent=False,
)  # fmt: skip
DELETE_SCAN: Final = Endpoint(
    service="scans", name="delete_scan", method="DELETE", path="/v1/scans/{scan}", needs="scans.delete",
    takes=r.ScanId, answers=Nothing, summary="Forget a scan, its claims and its evidence.", idempotent=False,
)  # fmt: skip
FIND_EXPIRED: Final = Endpoint(
    service="scans", name="find_expired", method="GET", path="/v1/expired", needs="scans.delete",
    takes=r.Retention, answers=tuple[r.ScanSummary, ...], summary="Find scans that are kept no longer, oldest first.",
)  # fmt: skip
SWEPT_BY_SCANS: Final = Endpoint(
    service="scans", name="swept_by_scans", method="GET", path="/v1/scans/{scan}/swept/scans", needs="scans.delete",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the work of a deleted scan.",
)  # fmt: skip
WATCH_SCAN: Final = Endpoint(
    service="scans", name="watch_scan", method="GET", path="/v1/scans/{scan}/progress", needs="scans.read",
    takes=r.Watch, answers=r.Watched, summary="Follow a scan: its state now and after every change, until it ends.",
    streams=True, resumes=True,
)  # fmt: skip
GET_PLAN: Final = Endpoint(
    service="scans", name="get_plan", method="GET", path="/v1/scans/{scan}/plan", needs="scans.read",
    takes=r.ScanId, answers=Plan, summary="The frozen plan of a scan.",
)  # fmt: skip
GET_AUTHORISATION: Final = Endpoint(
    service="scans", name="get_authorisation", method="GET", path="/v1/scans/{scan}/authorisation", needs="scans.read",
    takes=r.ScanId, answers=r.SignedAuthorisation, summary="Who authorised the active work of a scan, signed.",
)  # fmt: skip
LIST_ITEMS: Final = Endpoint(
    service="scans", name="list_items", method="GET", path="/v1/scans/{scan}/items", needs="scans.read",
    takes=r.ItemsQuery, answers=tuple[r.Item, ...], summary="List work items: who was asked what, and how it went.",
)  # fmt: skip
GET_STANDING: Final = Endpoint(
    service="scans", name="get_standing", method="GET", path="/v1/scans/{scan}/standing", needs="scans.read",
    takes=r.StandingQuery, answers=r.Standing, summary="Say whether a scan admitted an entity, and if not, why.",
)  # fmt: skip
GET_NAMES: Final = Endpoint(
    service="scans", name="get_names", method="GET", path="/v1/scans/{scan}/names/{digest}", needs="scans.read",
    takes=r.NamesQuery, answers=Names, summary="A set of names that a work item is about.",
)  # fmt: skip
RENEW_LEASES: Final = Endpoint(
    service="scans", name="renew_leases", method="POST", path="/v1/leases",
    takes=r.Renew, answers=r.Renewed, summary="Keep batches leased; learn which are lost.",
    audited=False,
)  # fmt: skip
GET_WORK_USED: Final = Endpoint(
    service="scans", name="get_work_used", method="GET", path="/v1/usage/work", needs="scans.read",
    takes=Nothing, answers=r.WorkUsed, summary="How many scans run, and how many work items were handed out today.",
)  # fmt: skip
