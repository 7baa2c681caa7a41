"""Waits until what is stored of a scan was judged."""

import asyncio
from time import monotonic
from typing import Final
from uuid import UUID

from services.cli.hull import Hull
from services.cli.options import Session
from services.contracts.endpoints import GET_JUDGED
from services.contracts.resources import ScanId

#: Seconds that findings are waited for.
PATIENCE: Final = 30.0
#: Seconds between two looks.
LOOK: Final = 0.1


async def wait_until_judged(hull: Hull, session: Session, scan: UUID) -> bool:
    """Whether all that is stored of a scan is judged, within half a minute."""
    until = monotonic() + PATIENCE
    while True:
        judged = await hull.calls.ask(GET_JUDGED, ScanId(scan), session.caller)
        if judged.waiting == 0:
            return True
        if monotonic() > until:
            return False
        await asyncio.sleep(LOOK)
