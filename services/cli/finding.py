"""Finds what a command names: a scan by its id, a beginning of it, or ``last``; and whether anybody runs it."""

from services.cli.hull import Hull
from services.cli.options import Session
from services.contracts.endpoints import GET_SCAN
from services.contracts.resources import Scan, ScanRef, ScanSummary
from services.kernel.errors import NotFound


async def find_scan(hull: Hull, session: Session, named: str) -> Scan:
    """The scan that ``named`` stands for; `NotFound` or `Invalid` when there is none or more than one."""
    try:
        return await hull.calls.ask(GET_SCAN, ScanRef(named), session.caller)
    except NotFound as error:
        raise NotFound(f"{error} in the workspace {session.workspace}") from error


def is_interrupted(hull: Hull, scan: Scan | ScanSummary) -> bool:
    """Whether a scan is to run and nobody runs it but this process, which came to look and is about to end."""
    return scan.state == "running" and hull.runtime is not None
