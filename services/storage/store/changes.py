"""What changed in a scan: how many messages said so, and the ids of what claims were withdrawn or restored of."""

from collections.abc import Iterable
from uuid import UUID

from services.kernel.sql import Tx
from services.storage.domain import Changes


async def count_changes(tx: Tx, workspace: UUID, scan: UUID, messages: int, *, withdrawn: bool) -> int:
    """Count messages of what changed in a scan; return the ordinal of the last one.

    ``withdrawn``: something of the scan is withdrawn, so that it has to be worked out what is left unsupported.

    Whoever is about to say more of the scan waits for the end of the transaction: nothing else is to be done in it.
    """
    rows = await tx.fetch(
        "INSERT INTO scan (workspace, id, admissions, deleted, changes, withdrawn)"
        " VALUES (:workspace, :scan, 0, 0, CAST(:messages AS BIGINT), CAST(:withdrawn AS SMALLINT))"
        " ON CONFLICT (workspace, id) DO UPDATE SET changes = scan.changes + excluded.changes,"
        " withdrawn = CASE WHEN excluded.withdrawn = 1 THEN 1 ELSE scan.withdrawn END RETURNING changes",
        workspace=workspace.bytes,
        scan=scan.bytes,
        messages=messages,
        withdrawn=int(withdrawn),
    )
    return int(rows[0][0])


async def note_named(tx: Tx, workspace: UUID, abouts: Iterable[tuple[bytes, int]], changes: Changes) -> None:
    """Note what claims about ``abouts``, as (scan, number), name: entities, and relations with both their ends."""
    numbers = {number for _, number in abouts}
    rows = await tx.fetch_in(
        "SELECT number, id, source, target FROM relation WHERE workspace = :workspace AND number IN :keys",
        [number for number in numbers if number % 2],
        workspace=workspace.bytes,
    )
    related = {number: (bytes(identity), source, target) for number, identity, source, target in rows}
    ends = {end for _, *pair in related.values() for end in pair}
    rows = await tx.fetch_in(
        "SELECT number, id FROM entity WHERE workspace = :workspace AND number IN :keys",
        [*(numbers - related.keys() | ends)],
        workspace=workspace.bytes,
    )
    ids = {number: bytes(identity) for number, identity in rows}
    for scan, number in abouts:
        if number in related:
            identity, source, target = related[number]
            changes.add(workspace.bytes, scan, (ids[source], ids[target]), ((ids[source], identity),))
        else:
            changes.add(workspace.bytes, scan, (ids[number],))
