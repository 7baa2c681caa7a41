"""Waits until all that a scan found was stored and judged."""

import asyncio
import time
from typing import Final
from uuid import UUID

from services.cli.following import wait_stored
from services.cli.hull import Hull
from services.cli.options import Session
from services.cli.text import count
from services.contracts.endpoints import GET_JUDGED
from services.contracts.resources import Scan, ScanId

#: Seconds that findings are waited for, and between two looks.
JUDGING: Final = 60.0
POLL: Final = 0.1


async def wait_judged(hull: Hull, session: Session, scan: Scan) -> str:
    """Wait until all that a scan found is stored and judged; return what is missing, nothing when all is."""
    return await wait_stored(hull, session.caller, scan) or await wait_until_judged(hull, session, scan.id)


async def wait_until_judged(hull: Hull, session: Session, scan: UUID) -> str:
    """Wait until all that is stored of a scan is judged; return what is missing, nothing when all is."""
    deadline = time.monotonic() + JUDGING
    while True:
        judged = await hull.calls.ask(GET_JUDGED, ScanId(scan), session.caller)
        if not judged.waiting:
            return ""
        if time.monotonic() > deadline:
            return f"{count(judged.waiting, 'thing')} of it not judged yet"
        await asyncio.sleep(POLL)
