"""What the collector hears."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.collector import store
from services.collector.collector import collector_of
from services.collector.item.parts import part_key, parts_of
from services.collector.item.run import failed
from services.contracts.commands import Collect
from services.contracts.facts import Deleted
from services.kernel.messages import EVERYWHERE, now
from services.kernel.service import Handles, Hold, Ports, Received, Unit
from services.kernel.sql import Reader

#: Batches in work at a time; their items wait for the slots of their modules.
BATCHES: Final = 48


async def collect(ports: Ports, received: Received[Collect], hold: Hold) -> None:
    await collector_of(ports).run_batch(received.workspace, received.message, hold)


async def give_up(ports: Ports, unit: Unit, received: Received[Collect], reason: str) -> None:
    """Close the items of a batch that failed five times as a whole."""
    command, lost = received.message, failed(reason)
    for item in command.items:
        (part,) = parts_of(command, item, lost)
        unit.emit(part, workspace=received.workspace, key=part_key(part))


async def deleted(ports: Ports, unit: Unit, batch: Sequence[Received[Deleted]]) -> None:
    collector = collector_of(ports)
    for received in batch:
        message = received.message
        await collector.journal.forget(unit.tx, received.workspace, message.scan)
        if message.words is not None:
            await collector.journal.forget_upload(unit.tx, received.workspace, message.words, message.made)
        collector.forget(received.workspace, message.scan)


async def owners(view: Reader, batch: Sequence[Received[Collect | Deleted]]) -> list[UUID | None]:
    """Whose the scans are that are named."""
    found = await store.scan_owners(view, [each.message.scan for each in batch])
    return [found.get(each.message.scan) for each in batch]


CONSUMERS: Final = (
    Handles(name="collect", takes=Collect, work=collect, buried=give_up, parallel=BATCHES, owners=owners),
    Handles(name="deleted", takes=Deleted, handle=deleted, batch=10, owners=owners),
)


async def write(ports: Ports) -> None:
    """Write what the journal and the results gather, as long as the process runs."""
    collector = collector_of(ports)
    try:
        async with asyncio.TaskGroup() as group:
            for task in collector.tasks:
                group.create_task(task())
    finally:
        await collector.close()


async def announce(ports: Ports) -> None:
    """Say which modules this collector has, each time it starts: what was announced last is what counts."""
    announced = collector_of(ports).announced
    async with ports.outbox.unit() as unit:
        unit.emit(announced, workspace=EVERYWHERE, key=f"{announced.digest}|{now()}")


TASKS: Final = (write, announce)
