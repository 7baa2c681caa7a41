"""What reporting is asked."""

from typing import Final

from services.contracts.resources import ExportQuery, ScanId, Swept
from services.contracts.resources import reports as r
from services.kernel.calls import Endpoint, Nothing, Piece

MAKE_REPORT: Final = Endpoint(
    service="reporting", name="make_report", method="POST", path="/v1/reports", needs="reports.make",
    takes=r.NewReport, answers=r.Making, streams=True, summary="Make a report of a scan, and keep it.",
)  # fmt: skip
LIST_REPORTS: Final = Endpoint(
    service="reporting", name="list_reports", method="GET", path="/v1/reports", needs="results.read",
    takes=r.ReportsQuery, answers=tuple[r.ReportView, ...], summary="List reports, the newest first.",
)  # fmt: skip
GET_REPORT: Final = Endpoint(
    service="reporting", name="get_report", method="GET", path="/v1/reports/{report}", needs="results.read",
    takes=r.ReportRef, answers=r.ReportView, summary="Say what is kept of a report.",
)  # fmt: skip
READ_REPORT: Final = Endpoint(
    service="reporting", name="read_report", method="GET", path="/v1/reports/{report}/file", needs="results.read",
    takes=r.ReportFile, answers=Piece, streams=True, file=True, audited=True,
    summary="Read a report as PDF, HTML or Markdown.",
)  # fmt: skip
READ_BUNDLE: Final = Endpoint(
    service="reporting", name="read_bundle", method="GET", path="/v1/reports/{report}/bundle", needs="evidence.read",
    takes=r.BundleQuery, answers=Piece, streams=True, file=True, audited=True,
    summary="Read a report with all that it rests on, signed.",
)  # fmt: skip
SWEPT_BY_REPORTING: Final = Endpoint(
    service="reporting", name="swept_by_reporting", method="GET", path="/v1/scans/{scan}/swept/reporting",
    needs="scans.delete",
    takes=ScanId, answers=Swept, summary="Say whether nothing is left of the reports of a deleted scan.",
)  # fmt: skip
DELETE_REPORT: Final = Endpoint(
    service="reporting", name="delete_report", method="DELETE", path="/v1/reports/{report}", needs="reports.make",
    takes=r.ReportRef, answers=Nothing, summary="Forget a report.",
)  # fmt: skip
EXPORT: Final = Endpoint(
    service="reporting", name="export", method="GET", path="/v1/scans/{scan}/export", needs="results.read",
    takes=ExportQuery, answers=Piece, summary="Export a scan.", streams=True, file=True, audited=True,
)  # fmt: skip
