"""What reporting is asked."""

from typing import Final

from services.contracts import resources as r
from services.kernel.calls import Endpoint, Piece

EXPORT: Final = Endpoint(
    service="reporting", name="export", method="GET", path="/v1/scans/{scan}/export", needs="results.read",
    takes=r.ExportQuery, answers=Piece, summary="Export a scan.", streams=True, file=True, audited=True,
)  # fmt: skip
