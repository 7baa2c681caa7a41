"""Who authorised active work: the window as it is typed, what it is good for, and what was signed, if that holds."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from services.cli.hull import Hull
from services.cli.options import Session
from services.cli.text import clean, instant, moment
from services.contracts.authorisations import (
    AUTHORISATION_TYPE,
    AuthorisationStatement,
    digest_of_scope,
    read_statement,
)
from services.contracts.endpoints import GET_AUTHORISATION, GET_PLAN, PUBLISH_WORKSPACE_KEYS
from services.contracts.plan import PROFILES
from services.contracts.resources import Module, NewScan, Scan, ScanId, SignedAuthorisation, WorkspaceRef
from services.kernel.errors import Corrupt, Invalid

#: Targets and rules that are listed, of each kind.
LISTED: Final = 20


def read_window(text: str | None, now: datetime) -> tuple[int | None, int | None]:
    """An interval ``FROM/UNTIL`` of ISO 8601 in UTC microseconds, where either may be left out.

    Each is a day, of which the first moment and the last are meant, or a time; without an offset it is that of ``now``.

    Raises:
        Invalid: it is none.
    """
    if text is None:
        return None, None
    begins, slash, until = text.partition("/")
    if not slash:
        raise Invalid(f"{text[:64]!a} is no window: say FROM/UNTIL, as 2026-12-01/2026-12-31, or /2026-12-31")
    return _moment(begins, now, days=0), _moment(until, now, days=1)


def _moment(text: str, now: datetime, *, days: int) -> int | None:
    """A time, or a day and so many days."""
    plain = text.strip()
    if not plain:
        return None
    try:
        found = datetime.fromisoformat(plain)
        if "T" not in plain.upper() and " " not in plain:
            found += timedelta(days=days)
        if found.tzinfo is None:
            found = found.replace(tzinfo=now.tzinfo)
        return int(found.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise Invalid(f"{plain[:64]!a} is neither a day, as 2026-12-31, nor a time, as 2026-12-31T18:00") from None


def unused(new: NewScan, planned: Collection[str], modules: Iterable[Module]) -> str:
    """Why an authorisation lets nothing be done, where no module that was ``planned`` is active; else nothing."""
    active = {module.declared.id for module in modules if module.declared.activity == "active"}
    if new.authorised is None or not active.isdisjoint(planned):
        return ""
    if "active" in PROFILES[new.profile]:
        return "the authorisation is not used: no source that is asked does active work"
    return f"the authorisation is not used: the profile {new.profile} does no active work, --profile deep does"


def authorised_line(scan: Scan) -> str:
    """One line on who authorised the active work of a scan; empty where nobody did."""
    if scan.authorisation is None:
        return f"Authorised: {clean(scan.authorised)}" if scan.authorised else ""
    said = scan.authorisation
    window = f"{moment(said.begins)} to {instant(said.until)}"
    return f"Authorised: {clean(said.why)} ({clean(said.by.name)}; {_techniques(said)}; {window})"


def authorisation_lines(said: AuthorisationStatement) -> Iterator[str]:
    """What was authorised, a line for each part of it."""
    account = f", account {said.by.account}" if said.by.account else ""
    yield f"Authorisation {said.id} of the scan {said.scan}"
    yield f"By: {clean(said.by.name)} ({said.by.kind}{account}), {instant(said.at)}"
    yield f"Why: {clean(said.why)}"
    yield f"From: {instant(said.begins)}"
    yield f"Until: {instant(said.until)}"
    yield f"Techniques: {_techniques(said)}"
    in_all = f" ({said.target_count:,} in all)" if said.target_count > LISTED else ""
    yield f"Targets: {_listed(said.targets)}{in_all}"
    for name, rules in (("In scope", said.includes), ("Excluded", said.excludes), ("Networks", said.networks)):
        if rules:
            yield f"{name}: {_listed(rules)}"


async def find_authorisation(hull: Hull, session: Session, scan: Scan) -> SignedAuthorisation:
    """The authorisation of a scan, whose signature holds, by the key that the workspace publishes.

    Raises:
        NotFound: there is none.
        Corrupt: another one was signed, or it is not about this scan and its plan.
    """
    found = await hull.calls.ask(GET_AUTHORISATION, ScanId(scan.id), session.caller)
    plan = await hull.calls.ask(GET_PLAN, ScanId(scan.id), session.caller)
    ref = WorkspaceRef(found.statement.workspace)
    published = await hull.calls.ask(PUBLISH_WORKSPACE_KEYS, ref, session.caller)
    from services.kernel.signatures import verify

    signed = read_statement(verify(found.signed, AUTHORISATION_TYPE, published.keys))
    if signed != found.statement or signed.scan != scan.id or signed.scope_digest != digest_of_scope(plan.scope):
        raise Corrupt("what was signed is not what this scan was authorised for")
    return found


def _techniques(said: AuthorisationStatement) -> str:
    return ", ".join(clean(each) for each in said.techniques) or "no active work"


def _listed(values: tuple[str, ...]) -> str:
    more = f" and {len(values) - LISTED:,} more" if len(values) > LISTED else ""
    return ", ".join(clean(each) for each in values[:LISTED]) + more
