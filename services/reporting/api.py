"""What reporting answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.kernel.calls import Endpoint
from services.reporting.usecases import exports

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.EXPORT: exports.export_scan,
}
