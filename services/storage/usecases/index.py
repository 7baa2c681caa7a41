"""Brings new entities into the full-text index, off the path of the claims; crash-safe, for the list is a table."""

import asyncio
from typing import Final
from uuid import UUID

from services.kernel.errors import Unavailable
from services.kernel.search import Indexed
from services.kernel.service import Ports
from services.storage.store import indexing

ENTITIES: Final = "entities"
BATCH: Final = 5000
#: While claims come in, the index follows at its ease.
GATHER: Final = 1.0


def document_id(number: int) -> bytes:
    """What an entity goes by in the index: its number, so that new ones come last there too."""
    return number.to_bytes(8, "big")


def number_of(document: bytes) -> int:
    return int.from_bytes(document, "big")


def waker(ports: Ports) -> asyncio.Event:
    """Set when there are entities to index."""
    event = ports.state.setdefault("unindexed", asyncio.Event())
    assert isinstance(event, asyncio.Event)
    return event


async def index_new(ports: Ports) -> None:
    """Index what is new, as long as the service runs."""
    await ports.search.declare(ENTITIES, ("type",))
    wake = waker(ports)
    wake.set()
    while True:
        await wake.wait()
        wake.clear()
        try:
            more = True
            while more:
                more = await index_some(ports)
        except Unavailable:
            wake.set()
        await asyncio.sleep(GATHER)


async def index_some(ports: Ports) -> bool:
    """Index up to `BATCH` entities; return whether there may be more."""
    async with ports.sql.read() as view:
        rows = await indexing.unindexed(view, BATCH)
    if not rows:
        return False
    by_workspace: dict[bytes, dict[int, Indexed]] = {}
    for workspace, number, kind, value in rows:
        by_workspace.setdefault(bytes(workspace), {})[number] = Indexed(document_id(number), value, {"type": kind})
    for workspace, documents in by_workspace.items():
        await ports.search.put(UUID(bytes=workspace), ENTITIES, list(documents.values()))
    async with ports.sql.begin() as tx:
        for workspace, documents in by_workspace.items():
            await indexing.note_indexed(tx, workspace, list(documents))
    return len(rows) == BATCH


TASKS: Final = (index_new,)
