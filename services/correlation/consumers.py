"""What correlation hears."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.contracts.facts import Changed, Deleted, Finished, Started
from services.correlation.store import findings, pending
from services.correlation.store import graph as graphs
from services.correlation.store.pending import FOLLOW, JUDGE, REBUILD
from services.correlation.usecases import identity
from services.correlation.usecases.follow import waker
from services.correlation.usecases.targets import digest_of
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql import Reader

#: A relation by its source and id; an entity has an empty id.
NO_ID: Final = b""


async def changed(ports: Ports, unit: Unit, batch: Sequence[Received[Changed]]) -> None:
    """List what is to be read again."""
    forgotten = await pending.deleted(unit.tx, (each.message.scan for each in batch))
    for received in batch:
        message = received.message
        if message.scan not in forgotten:
            keys = [*((entity, NO_ID) for entity in message.entities), *message.relations]
            await pending.add_pending(unit.tx, received.workspace, message.scan, keys)
    heard: dict[tuple[UUID, UUID], set[int]] = {}
    for received in batch:
        if received.message.scan not in forgotten:
            heard.setdefault((received.workspace, received.message.scan), set()).add(received.message.ordinal)
    for (workspace, scan), ordinals in sorted(heard.items()):
        await pending.hear(unit.tx, workspace, scan, ordinals)
        await pending.want(unit.tx, workspace, scan, await _at_least(unit, scan, FOLLOW))
    unit.then(waker(ports).set)


async def started(ports: Ports, unit: Unit, batch: Sequence[Received[Started]]) -> None:
    """Note as of when a scan is judged; what depends on the time is judged anew."""
    forgotten = await pending.deleted(unit.tx, (each.message.scan for each in batch))
    for received in sorted(batch, key=lambda each: each.message.scan):
        message, workspace = received.message, received.workspace
        if message.scan not in forgotten:
            # Of a scan that began before anybody told us, all that is stored has to be taken in.
            work = await _at_least(unit, message.scan, JUDGE) if message.run > 1 else FOLLOW
            await pending.want(unit.tx, workspace, message.scan, work)
            digest = digest_of(message.targets, message.target_count)
            await pending.note_run(unit.tx, workspace, message.scan, message.run, received.at, digest)
    unit.then(waker(ports).set)


async def finished(ports: Ports, unit: Unit, batch: Sequence[Received[Finished]]) -> None:
    """Note that a scan has ended, and see to it that what came of it is said."""
    forgotten = await pending.deleted(unit.tx, (each.message.scan for each in batch))
    for received in sorted(batch, key=lambda each: each.message.scan):
        message, workspace = received.message, received.workspace
        if message.scan not in forgotten:
            await pending.want(unit.tx, workspace, message.scan, await _at_least(unit, message.scan, FOLLOW))
            await pending.note_end(unit.tx, workspace, message.scan, message.run, message.at)
    unit.then(waker(ports).set)


async def _at_least(unit: Unit, scan: UUID, work: int) -> int:
    """What is to be done with a scan: everything, when this is the first that is heard of it."""
    return work if scan in await pending.owners(unit.tx, [scan]) else REBUILD


async def deleted(ports: Ports, unit: Unit, batch: Sequence[Received[Deleted]]) -> None:
    for received in sorted(batch, key=lambda each: each.message.scan):
        workspace, scan = received.workspace, received.message.scan
        await pending.forget(unit.tx, workspace, scan)
        await findings.forget_scan(unit.tx, workspace, scan)
        await identity.forget(ports, unit.tx, workspace, scan)
        await graphs.declare(ports.graph)
        await graphs.drop_graph(ports.graph, graphs.space_of(workspace, scan))


async def owners(view: Reader, batch: Sequence[Received[Changed | Started | Finished | Deleted]]) -> list[UUID | None]:
    """Whose the scans are that are named."""
    found = await pending.owners(view, [each.message.scan for each in batch])
    return [found.get(each.message.scan) for each in batch]


CONSUMERS: Final = (
    Handles(name="changed", takes=Changed, handle=changed, owners=owners, batch=50),
    Handles(name="started", takes=Started, handle=started, owners=owners, batch=20),
    Handles(name="finished", takes=Finished, handle=finished, owners=owners, batch=20),
    Handles(name="deleted", takes=Deleted, handle=deleted, owners=owners, batch=5),
)
