"""Which scans have changed in this process since it was said where they stand."""

import asyncio
from typing import Final
from uuid import UUID

from services.kernel.service import Ports

_CHANGES: Final = "scans.changes"


class Changes:
    """``unsaid``: scans, each with its workspace, that changed since their progress was published.

    ``stirred`` is set when there are any, ``ended`` when one of them has ended. Whoever publishes holds ``saying``.
    """

    def __init__(self) -> None:
        self.unsaid: dict[UUID, UUID] = {}
        self.stirred = asyncio.Event()
        self.ended = asyncio.Event()
        self.saying = asyncio.Lock()


def changes_of(ports: Ports) -> Changes:
    """The changes of the scans of this process."""
    found: Changes = ports.state.setdefault(_CHANGES, Changes())
    return found


def note_change(ports: Ports, scan: UUID, workspace: UUID, *, ended: bool = False) -> None:
    """Let it be said where a scan stands; to be called once the change is committed."""
    changes = changes_of(ports)
    changes.unsaid[scan] = workspace
    changes.stirred.set()
    if ended:
        changes.ended.set()


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
