"""What correlation answers."""

from collections.abc import Callable
from typing import Any, Final

from services.kernel.calls import Endpoint

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {}
