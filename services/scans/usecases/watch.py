"""Who waits for changes of a scan in this process, and who is told of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from services.kernel.service import Ports

_CHANGES: Final = "scans.changes"


class Changes:
    """Scans that have changed since somebody last looked."""

    def __init__(self) -> None:
        self.unsaid: dict[UUID, UUID] = {}
        self.stirred = asyncio.Event()
        self._watching: dict[UUID, set[asyncio.Event]] = {}

    def note(self, scan: UUID, workspace: UUID) -> None:
        self.unsaid[scan] = workspace
        self.stirred.set()
        for event in self._watching.get(scan, ()):
            event.set()

    @contextmanager
    def watch(self, scan: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the scan has changed."""
        event = asyncio.Event()
        self._watching.setdefault(scan, set()).add(event)
        try:
            yield event
        finally:
            self._watching[scan].discard(event)
            if not self._watching[scan]:
                del self._watching[scan]


def changes_of(ports: Ports) -> Changes:
    found: Changes = ports.state.setdefault(_CHANGES, Changes())
    return found


def note_change(ports: Ports, scan: UUID, workspace: UUID) -> None:
    """Wake who watches a scan in this process; to be called once the change is committed."""
    changes_of(ports).note(scan, workspace)
