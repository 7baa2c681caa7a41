"""Says what changed in a scan, at the very end of the transaction in which it did."""

from collections.abc import Collection
from uuid import UUID

from services.contracts.facts import Changed
from services.kernel.service import Unit
from services.storage.domain import Changes
from services.storage.store.changes import count_changes


async def say(unit: Unit, changes: Changes, withdrawn: Collection[bytes] = ()) -> dict[UUID, int]:
    """Emit `Changed` of each scan, in their order, in which all who do so hold the rows of scans.

    ``withdrawn``: the scans of which something was withdrawn. Returns how many messages each was said in.
    """
    said = {}
    for workspace, scan, pieces in changes.pieces():
        last = await count_changes(unit.tx, workspace, scan, len(pieces), withdrawn=scan.bytes in withdrawn)
        for ordinal, (entities, relations) in enumerate(pieces, last - len(pieces) + 1):
            unit.emit(
                Changed(scan=scan, ordinal=ordinal, entities=entities, relations=relations),
                workspace=workspace,
                key=f"{scan.hex}|{ordinal}",
            )
        said[scan] = len(pieces)
    return said
