"""What reporting answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.kernel.calls import Endpoint
from services.reporting.usecases import bundling, exports, reports

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.MAKE_REPORT: reports.make,
    e.LIST_REPORTS: reports.list_reports,
    e.GET_REPORT: reports.get,
    e.READ_REPORT: reports.read,
    e.READ_BUNDLE: bundling.read_bundle,
    e.DELETE_REPORT: reports.delete,
    e.SWEPT_BY_REPORTING: reports.swept,
    e.EXPORT: exports.export_scan,
}
