"""The vocabulary of attributes by name."""

from typing import Final

from services.contracts.attributes import general, network, society, surface
from services.contracts.attributes.row import AttributeType

ATTRIBUTES: Final[dict[str, AttributeType]] = {
    row.name: row for row in (*general.ROWS, *network.ROWS, *surface.ROWS, *society.ROWS)
}
