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


def is_interrupted(scan: Scan | ScanSummary, *, worked: bool) -> bool:
    """Whether a scan is to run and nobody runs it.

    ``worked`` is what `Hull.somebody_works` said before the scan was looked up: a worker that ends meanwhile may have
    finished it.
    """
    return scan.state == "running" and not worked
