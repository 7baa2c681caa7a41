"""Who waits for changes of a scan in this process, and which changes have not been told to anybody yet."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from services.kernel.service import Ports

_CHANGES: Final = "scans.changes"


class Watch:
    """Set when a scan has changed, and when it has ended."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()


class Changes:
    """``unsaid``: scans, each with its workspace, that changed since their progress was published."""

    def __init__(self) -> None:
        self.unsaid: dict[UUID, UUID] = {}
        self.stirred = asyncio.Event()
        self._watching: dict[UUID, set[Watch]] = {}

    def note(self, scan: UUID, workspace: UUID, *, ended: bool) -> None:
        self.unsaid[scan] = workspace
        self.stirred.set()
        for watch in self._watching.get(scan, ()):
            watch.changed.set()
            if ended:
                watch.ended.set()

    @contextmanager
    def watch(self, scan: UUID) -> Iterator[Watch]:
        watch = Watch()
        self._watching.setdefault(scan, set()).add(watch)
        try:
            yield watch
        finally:
            self._watching[scan].discard(watch)
            if not self._watching[scan]:
                del self._watching[scan]


def changes_of(ports: Ports) -> Changes:
    """The changes of the scans of this process."""
    found: Changes = ports.state.setdefault(_CHANGES, Changes())
    return found


def note_change(ports: Ports, scan: UUID, workspace: UUID, *, ended: bool) -> None:
    """Wake who watches a scan in this process; to be called once the change is committed."""
    changes_of(ports).note(scan, workspace, ended=ended)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
