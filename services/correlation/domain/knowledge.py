"""What Mirage knows of products by itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.correlation.domain.world import Place


def known_values(place: "Place", name: str) -> Sequence[str | float]:
    """The values of ``known.<name>`` of an entity."""
    return ()
