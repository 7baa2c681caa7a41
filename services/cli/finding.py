"""Finds what a command names: a scan by its id, a beginning of it, or ``last``."""

from services.cli.hull import Hull
from services.cli.options import Session
from services.contracts.endpoints import GET_SCAN
from services.contracts.resources import Scan, ScanRef


async def find_scan(hull: Hull, session: Session, named: str) -> Scan:
    """The scan that ``named`` stands for; `NotFound` or `Invalid` when there is none or more than one."""
    return await hull.calls.ask(GET_SCAN, ScanRef(named), session.caller)
