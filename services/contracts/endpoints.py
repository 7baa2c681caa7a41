"""Every question that one service may ask another, and the command line any of them."""

from typing import Final

from services.contracts import resources as r
from services.contracts.plan import Plan
from services.contracts.subjects import Names
from services.kernel.calls import Endpoint, Nothing

# --- scans ---

CREATE_SCAN: Final = Endpoint(
    service="scans", name="create_scan", method="POST", path="/v1/scans",
    takes=r.NewScan, answers=r.Scan, summary="Start a scan.", idempotent=False,
)  # fmt: skip
PREVIEW_SCAN: Final = Endpoint(
    service="scans", name="preview_scan", method="POST", path="/v1/scans/preview",
    takes=r.NewScan, answers=r.Preview, summary="Say what a scan would do, without asking anybody.",
)  # fmt: skip
LIST_SCANS: Final = Endpoint(
    service="scans", name="list_scans", method="GET", path="/v1/scans",
    takes=Nothing, answers=tuple[r.ScanSummary, ...], summary="List scans, newest first.",
)  # fmt: skip
GET_SCAN: Final = Endpoint(
    service="scans", name="get_scan", method="GET", path="/v1/scans/{scan}",
    takes=r.ScanRef, answers=r.Scan, summary="Show a scan, by id, by a unique beginning of it, or as `last`.",
)  # fmt: skip
PAUSE_SCAN: Final = Endpoint(
    service="scans", name="pause_scan", method="POST", path="/v1/scans/{scan}/pause",
    takes=r.ScanId, answers=r.Scan, summary="Hold a scan where it is; nothing is lost.", idempotent=False,
)  # fmt: skip
RESUME_SCAN: Final = Endpoint(
    service="scans", name="resume_scan", method="POST", path="/v1/scans/{scan}/resume",
    takes=r.ScanId, answers=r.Scan, summary="Go on with a paused, stopped or incomplete scan.", idempotent=False,
)  # fmt: skip
STOP_SCAN: Final = Endpoint(
    service="scans", name="stop_scan", method="POST", path="/v1/scans/{scan}/stop",
    takes=r.ScanId, answers=r.Scan, summary="End the run; what there is stays.", idempotent=False,
)  # fmt: skip
RETRY_SCAN: Final = Endpoint(
    service="scans", name="retry_scan", method="POST", path="/v1/scans/{scan}/retry",
    takes=r.ScanId, answers=r.Scan, summary="Ask again, in a new run, what could not be asked.", idempotent=False,
)  # fmt: skip
DELETE_SCAN: Final = Endpoint(
    service="scans", name="delete_scan", method="DELETE", path="/v1/scans/{scan}",
    takes=r.ScanId, answers=Nothing, summary="Forget a scan, its claims and its evidence.", idempotent=False,
)  # fmt: skip
FIND_EXPIRED: Final = Endpoint(
    service="scans", name="find_expired", method="GET", path="/v1/expired",
    takes=r.Retention, answers=tuple[r.ScanSummary, ...], summary="Find scans that are kept no longer, oldest first.",
)  # fmt: skip
SWEPT_BY_SCANS: Final = Endpoint(
    service="scans", name="swept_by_scans", method="GET", path="/v1/scans/{scan}/swept/scans",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the work of a deleted scan.",
)  # fmt: skip
WATCH_SCAN: Final = Endpoint(
    service="scans", name="watch_scan", method="GET", path="/v1/scans/{scan}/progress",
    takes=r.Watch, answers=r.Watched, summary="Follow a scan: its state now and after every change, until it ends.",
    streams=True, resumes=True,
)  # fmt: skip
GET_PLAN: Final = Endpoint(
    service="scans", name="get_plan", method="GET", path="/v1/scans/{scan}/plan",
    takes=r.ScanId, answers=Plan, summary="The frozen plan of a scan.",
)  # fmt: skip
LIST_ITEMS: Final = Endpoint(
    service="scans", name="list_items", method="GET", path="/v1/scans/{scan}/items",
    takes=r.ItemsQuery, answers=tuple[r.Item, ...], summary="List work items: who was asked what, and how it went.",
)  # fmt: skip
GET_STANDING: Final = Endpoint(
    service="scans", name="get_standing", method="GET", path="/v1/scans/{scan}/standing",
    takes=r.StandingQuery, answers=r.Standing, summary="Say whether a scan admitted an entity, and if not, why.",
)  # fmt: skip
GET_NAMES: Final = Endpoint(
    service="scans", name="get_names", method="GET", path="/v1/scans/{scan}/names/{digest}",
    takes=r.NamesQuery, answers=Names, summary="A set of names that a work item is about.",
)  # fmt: skip
RENEW_LEASES: Final = Endpoint(
    service="scans", name="renew_leases", method="POST", path="/v1/leases",
    takes=r.Renew, answers=r.Renewed, summary="Keep batches leased; learn which are lost.",
)  # fmt: skip

# --- registry ---

LIST_MODULES: Final = Endpoint(
    service="registry", name="list_modules", method="GET", path="/v1/modules",
    takes=Nothing, answers=tuple[r.Module, ...], summary="List modules with their health and settings.",
)  # fmt: skip
GET_MODULE: Final = Endpoint(
    service="registry", name="get_module", method="GET", path="/v1/modules/{module}",
    takes=r.ModuleRef, answers=r.Module, summary="Show a module.",
)  # fmt: skip
SET_MODULE: Final = Endpoint(
    service="registry", name="set_module", method="PUT", path="/v1/modules/{module}",
    takes=r.ModuleSettings, answers=r.Module, summary="Enable, disable or configure a module for this workspace.",
)  # fmt: skip
LIST_VERSIONS: Final = Endpoint(
    service="registry", name="list_versions", method="GET", path="/v1/versions",
    takes=Nothing, answers=tuple[r.ModuleVersion, ...],
    summary="List the modules of all collectors that are there, in each version that one of them has.",
)  # fmt: skip

# --- storage ---

FIND_ENTITIES: Final = Endpoint(
    service="storage", name="find_entities", method="GET", path="/v1/entities",
    takes=r.SearchQuery, answers=r.SearchPage, summary="Search entities.",
)  # fmt: skip
GET_ENTITY: Final = Endpoint(
    service="storage", name="get_entity", method="GET", path="/v1/entity",
    takes=r.EntityQuery, answers=tuple[r.EntityView, ...],
    summary="Show entities of a value: what is said of them, by whom, from which evidence.",
)  # fmt: skip
EXPORT: Final = Endpoint(
    service="storage", name="export", method="GET", path="/v1/scans/{scan}/export",
    takes=r.ExportQuery, answers=r.Chunk, summary="Export a scan.", streams=True,
)  # fmt: skip
GET_STORED: Final = Endpoint(
    service="storage", name="get_stored", method="GET", path="/v1/scans/{scan}/stored",
    takes=r.ScanId, answers=r.Stored, summary="Say how much of a scan storage has.",
)  # fmt: skip
SWEPT_BY_STORAGE: Final = Endpoint(
    service="storage", name="swept_by_storage", method="GET", path="/v1/scans/{scan}/swept/storage",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the claims of a deleted scan.",
)  # fmt: skip
DIFF: Final = Endpoint(
    service="storage", name="diff", method="GET", path="/v1/diff",
    takes=r.DiffQuery, answers=r.Change, summary="Compare two scans.", streams=True,
)  # fmt: skip
FIND_RECORDS: Final = Endpoint(
    service="storage", name="find_records", method="GET", path="/v1/records/{digest}",
    takes=r.RecordQuery, answers=tuple[r.RecordView, ...], summary="Find evidence records.",
)  # fmt: skip
LIST_RECORDS: Final = Endpoint(
    service="storage", name="list_records", method="GET", path="/v1/scans/{scan}/records",
    takes=r.ScanId, answers=r.RecordView, summary="List the evidence records of a scan.", streams=True,
)  # fmt: skip
LIST_CLAIMS: Final = Endpoint(
    service="storage", name="list_claims", method="GET", path="/v1/scans/{scan}/claims",
    takes=r.ClaimsQuery, answers=r.ClaimView, summary="List claims of a scan, in the order of their keys.",
    streams=True,
)  # fmt: skip
RETRACT: Final = Endpoint(
    service="storage", name="retract", method="POST", path="/v1/retractions",
    takes=r.Retract, answers=r.Retracted, summary="Withdraw claims, or restore them; say so batch by batch.",
    streams=True,
)  # fmt: skip
LIST_RETRACTIONS: Final = Endpoint(
    service="storage", name="list_retractions", method="GET", path="/v1/retractions",
    takes=Nothing, answers=tuple[r.Retraction, ...], summary="List what is withdrawn, since when and why.",
)  # fmt: skip

# --- collector ---

GET_BLOB: Final = Endpoint(
    service="collector", name="get_blob", method="GET", path="/v1/blobs/{digest}",
    takes=r.BlobQuery, answers=r.BlobView, summary="The bytes of a piece of evidence.",
)  # fmt: skip
SWEPT_BY_COLLECTOR: Final = Endpoint(
    service="collector", name="swept_by_collector", method="GET", path="/v1/scans/{scan}/swept/collector",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the evidence of a deleted scan.",
)  # fmt: skip
UPLOAD: Final = Endpoint(
    service="collector", name="upload", method="POST", path="/v1/blobs",
    takes=r.Upload, answers=r.Uploaded, summary="Keep a word list for scans of this workspace.",
)  # fmt: skip
VERIFY: Final = Endpoint(
    service="collector", name="verify", method="POST", path="/v1/scans/{scan}/verify",
    takes=r.ScanId, answers=r.Verified, summary="Check every byte that a scan's claims rest on.", streams=True,
)  # fmt: skip
REPLAY: Final = Endpoint(
    service="collector", name="replay", method="POST", path="/v1/scans/{scan}/replay",
    takes=r.ScanId, answers=r.Replayed,
    summary="Run the modules on the recorded evidence, opening no socket, and say how the claims differ.",
    streams=True,
)  # fmt: skip
GET_ANNOUNCEMENT: Final = Endpoint(
    service="collector", name="get_announcement", method="GET", path="/v1/announcement",
    takes=Nothing, answers=r.Announcement, summary="Say which modules this collector has.",
)  # fmt: skip
LIST_BUDGETS: Final = Endpoint(
    service="collector", name="list_budgets", method="GET", path="/v1/budgets",
    takes=Nothing, answers=tuple[r.BudgetView, ...],
    summary="Say how often each source may be asked, and what is left of its quotas.",
)  # fmt: skip
TRACE_NAME: Final = Endpoint(
    service="collector", name="trace_name", method="POST", path="/v1/scans/{scan}/trace",
    takes=r.TraceQuery, answers=tuple[r.Trace, ...],
    summary="Find what the DNS said of a name in the evidence of work items.",
)  # fmt: skip

# --- configuration ---

LIST_KEYS: Final = Endpoint(
    service="configuration", name="list_keys", method="GET", path="/v1/keys",
    takes=Nothing, answers=tuple[r.KeyView, ...], summary="List provider keys that are set, never their values.",
)  # fmt: skip
SET_KEY: Final = Endpoint(
    service="configuration", name="set_key", method="PUT", path="/v1/keys/{name}",
    takes=r.NewKey, answers=r.KeyView, summary="Set a provider key.",
)  # fmt: skip
REMOVE_KEY: Final = Endpoint(
    service="configuration", name="remove_key", method="DELETE", path="/v1/keys/{name}",
    takes=r.KeyName, answers=Nothing, summary="Forget a provider key.",
)  # fmt: skip
LIST_SETTINGS: Final = Endpoint(
    service="configuration", name="list_settings", method="GET", path="/v1/settings",
    takes=Nothing, answers=tuple[r.SettingsView, ...], summary="List what is set of services while they run.",
)  # fmt: skip
GET_SETTINGS: Final = Endpoint(
    service="configuration", name="get_settings", method="GET", path="/v1/settings/{service}",
    takes=r.SettingsRef, answers=r.SettingsView, summary="Show what is set of a service.",
)  # fmt: skip
CHANGE_SETTINGS: Final = Endpoint(
    service="configuration", name="change_settings", method="PUT", path="/v1/settings/{service}",
    takes=r.ChangeSettings, answers=r.SettingsView, summary="Set values of a service while it runs.", idempotent=False,
)  # fmt: skip
LIST_SETTINGS_CHANGES: Final = Endpoint(
    service="configuration", name="list_settings_changes", method="GET", path="/v1/settings/{service}/changes",
    takes=r.SettingsRef, answers=tuple[r.SettingsView, ...],
    summary="List how a service was set before, the newest first: who changed it, when and why.",
)  # fmt: skip

# --- discovery ---

GET_FLEET: Final = Endpoint(
    service="discovery", name="get_fleet", method="GET", path="/v1/fleet",
    takes=Nothing, answers=r.FleetView, summary="Show all services of the fleet, and how they are.",
)  # fmt: skip
GET_SERVICE: Final = Endpoint(
    service="discovery", name="get_service", method="GET", path="/v1/fleet/{service}",
    takes=r.ServiceName, answers=r.ServiceView, summary="Show a service of the fleet.",
)  # fmt: skip
SCALE_SERVICE: Final = Endpoint(
    service="discovery", name="scale_service", method="PUT", path="/v1/fleet/{service}/scale",
    takes=r.Scaling, answers=r.Scaled, summary="Fix how many instances a service has, or let it follow its work.",
)  # fmt: skip
