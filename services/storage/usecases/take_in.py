"""Takes in what comes: claims that a retraction takes in are withdrawn from the start, and so is what rests on them."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.kernel.service import Ports, Unit
from services.kernel.sql import Tx
from services.storage.domain import Rows, takes_in
from services.storage.store import intake, reading, retractions, support
from services.storage.store.withheld import withdrawn
from services.storage.usecases import changes
from services.storage.usecases.support import waker


async def hold(tx: Tx, workspaces: Iterable[UUID]) -> None:
    """Let nobody remove, withdraw or restore meanwhile what is about to be written."""
    held = set(workspaces)
    await intake.hold_entities(tx, held)
    await retractions.hold(tx, held, alone=False)


async def take_in(
    ports: Ports, unit: Unit, rows: Rows, at: int, counts: Mapping[tuple[UUID, UUID], int] | None = None
) -> None:
    """Write a folded batch, recorded ``at``, with ``counts`` of admissions, and say what changed."""
    tx = unit.tx
    spaces = sorted({space for space, _ in rows.places})
    stand = {space: found for space in spaces if (found := await retractions.standing(tx, UUID(bytes=space)))}
    doubted = await intake.withdrawn_scans(tx, {scan for _, scan in rows.places})
    unsupported = [
        (space, scan, turns) for space, scan in sorted(doubted) if (turns := await _unsupported(tx, rows, space, scan))
    ]
    changed = await intake.write_rows(tx, rows, at)
    fresh: set[bytes] = set()
    for space, found in stand.items():
        workspace = UUID(bytes=space)
        told = await retractions.results_with(tx, workspace, [turn[1:3] for turn in rows.results if turn[0] == space])
        told = [each for each in told if any(takes_in(retraction, each) for retraction in found)]
        fresh |= {scan for scan, _ in await retractions.refold(tx, workspace, told, found, at)}
    for space, scan, items in unsupported:
        workspace, place = UUID(bytes=space), UUID(bytes=scan)
        told = await retractions.results_with(tx, workspace, [(scan, item) for item in items])
        await support.withhold_results(tx, workspace, place, [each.number for each in told], at, supported=False)
    for space, scan, identity in rows.sightings if doubted or fresh else ():
        # Here a claim that names it may show what was hidden.
        if (space, scan) in doubted or scan in fresh:
            changed.add(space, scan, (identity,))
    if counts:
        await intake.count_admissions(tx, counts)
    await changes.say(unit, changed, fresh)
    if fresh or doubted:
        unit.then(waker(ports).set)


async def _unsupported(tx: Tx, rows: Rows, space: bytes, scan: bytes) -> list[bytes]:
    """The items whose subjects a scan does not know of any more, as far as that is quickly said."""
    workspace, place = UUID(bytes=space), UUID(bytes=scan)
    asked = {turn[2]: result.subject for turn, result in rows.results.items() if turn[:2] == (space, scan)}
    found = await support.unsupported(tx, workspace, place, list(set(asked.values())))
    known = await reading.entities_by_id(tx, workspace, list(set(asked.values()) - found))
    hidden = await withdrawn(tx, workspace, [each.number for each in known], place)
    found |= {each.id for each in known if each.number in hidden}
    return [item for item, subject in asked.items() if subject in found]
