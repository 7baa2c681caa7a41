"""Brings new entities into the full-text index, off the path of the claims; crash-safe, for the list is a table.

The index can be made again from what is stored. When it was lost, all entities are listed again, batch by batch, by one
instance at a time; what an instance has put into the one that was lost stays on the list.
"""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from services.kernel.errors import Unavailable
from services.kernel.search import Indexed
from services.kernel.service import Ports
from services.storage.store import indexing

ENTITIES: Final = "entities"
BATCH: Final = 5000
#: While claims come in, the index follows at its ease.
GATHER: Final = 1.0
#: Seconds after which it is looked whether the index is still there.
LOOK: Final = 30.0

_log = structlog.get_logger(__name__)


def document_id(number: int) -> bytes:
    """What an entity goes by in the index: its number, so that new ones come last there too."""
    return number.to_bytes(8, "big")


def number_of(document: bytes) -> int:
    return int.from_bytes(document, "big")


def waker(ports: Ports) -> asyncio.Event:
    """Set when there are entities to index."""
    return ports.event("unindexed")


async def index_new(ports: Ports) -> None:
    """Index what is new, as long as the service runs, and everything again when the index was lost."""
    wake = waker(ports)
    made, looked = "", 0.0
    while True:
        wake.clear()
        try:
            if not made or monotonic() > looked + LOOK:
                made, looked = await look(ports), monotonic()
            while await index_some(ports, made):
                pass
        except Unavailable as error:
            _log.warning("search does not follow", reason=str(error))
            made = ""
            wake.set()
        await asyncio.sleep(GATHER)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await wake.wait()


async def look(ports: Ports) -> str:
    """Make the index unless it is there; return which one it is.

    When it is another one than before, everything is indexed again.
    """
    made = await ports.search.declare(ENTITIES, ("type",))
    async with ports.sql.begin() as tx:
        if await indexing.begin_index(tx, ENTITIES, made):
            _log.warning("the index of search was lost; everything is indexed again")
    return made


async def index_some(ports: Ports, made: str) -> bool:
    """Index up to `BATCH` entities into the index that was ``made``; return whether there may be more.

    Raises:
        Unavailable: there is another index by now.
    """
    async with ports.sql.begin() as tx:
        more = await indexing.list_again(tx, ENTITIES, BATCH)
    async with ports.sql.read() as view:
        rows = await indexing.unindexed(view, BATCH)
    if not rows:
        return more
    by_workspace: dict[bytes, dict[int, Indexed]] = {}
    for workspace, number, kind, value in rows:
        by_workspace.setdefault(bytes(workspace), {})[number] = Indexed(document_id(number), value, {"type": kind})
    for workspace, documents in by_workspace.items():
        await ports.search.put(UUID(bytes=workspace), ENTITIES, list(documents.values()))
    async with ports.sql.begin() as tx:
        if not await indexing.is_current(tx, ENTITIES, made):
            raise Unavailable("the index of search was made anew meanwhile")
        for workspace, documents in by_workspace.items():
            await indexing.note_indexed(tx, workspace, list(documents))
    return more or len(rows) == BATCH
