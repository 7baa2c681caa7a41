"""Finds what a command names: a scan by its id, a beginning of it, or ``last``; whether anybody runs it; a person."""

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from services.cli.hull import Hull
from services.cli.options import Session
from services.contracts.endpoints import GET_SCAN
from services.contracts.people import plain_email
from services.contracts.resources import Member, OperatorView, Scan, ScanRef, ScanSummary
from services.kernel.errors import Invalid, NotFound

P = TypeVar("P", Member, OperatorView)


async def find_scan(hull: Hull, session: Session, named: str) -> Scan:
    """The scan that ``named`` stands for; `NotFound` or `Invalid` when there is none or more than one."""
    try:
        return await hull.calls.ask(GET_SCAN, ScanRef(named), session.caller)
    except NotFound as error:
        raise NotFound(f"{error} in {session.where}") from error


def find_id(named: str, ids: Iterable[UUID], what: str) -> UUID:
    """The id that ``named`` is, or is the beginning of; ``what`` it is of.

    Raises:
        NotFound: there is none.
        Invalid: it is the beginning of several.
    """
    plain = named.strip().lower()
    found = [each for each in ids if plain and str(each).startswith(plain)]
    if not found:
        raise NotFound(f"there is no {what} {named}")
    if len(found) > 1:
        raise Invalid(f"{named} is the beginning of {len(found)} ids; say more of it")
    return found[0]


def find_person(email: str, people: Iterable[P], otherwise: str) -> P:
    """Who of some people has an address.

    Raises:
        NotFound: nobody; ``otherwise`` says what he is not.
    """
    found = next((each for each in people if each.email == plain_email(email)), None)
    if found is None:
        raise NotFound(f"{email} {otherwise}")
    return found


def is_interrupted(scan: Scan | ScanSummary, *, worked: bool) -> bool:
    """Whether a scan is to run and nobody runs it.

    ``worked`` is what `Hull.somebody_works` said before the scan was looked up: a worker that ends meanwhile may have
    finished it.
    """
    return scan.state == "running" and not worked
