"""Authorisations of active work: signed before a scan is made, shown with it, and held as long as it runs."""

from services.contracts.authorisations import (
    NAMED,
    Authorisation,
    AuthorisationStatement,
    Authoriser,
    digest_of_scope,
    read_statement,
    write_statement,
)
from services.contracts.endpoints import SIGN_STATEMENT
from services.contracts.plan import Plan
from services.contracts.resources import NewStatement, ScanId, SignedAuthorisation
from services.kernel.calls import Caller
from services.kernel.errors import NotFound
from services.kernel.service import Ports
from services.kernel.signatures import payload_of
from services.kernel.sql import Reader
from services.scans.store import authorisations as store
from services.scans.store import scans as scan_store
from services.scans.store.scans import Key


async def sign(ports: Ports, caller: Caller, plan: Plan) -> str | None:
    """Have what the plan of a new scan says of its authorisation be signed; nothing where it needs none."""
    if plan.authorisation is None:
        return None
    statement = _statement(caller, plan, plan.authorisation)
    answer = await ports.calls.ask(SIGN_STATEMENT, NewStatement(write_statement(statement)), caller)
    return answer.signed


async def read(view: Reader, key: Key) -> SignedAuthorisation | None:
    """What was authorised of a scan."""
    signed = await store.read(view, key)
    return None if signed is None else SignedAuthorisation(read_statement(payload_of(signed)), signed)


async def get(ports: Ports, caller: Caller, question: ScanId) -> SignedAuthorisation:
    """The authorisation of a scan.

    Raises:
        NotFound: there is no such scan, or nobody authorised active work in it.
    """
    async with ports.sql.read() as view:
        row = await scan_store.load(view, caller.workspace.bytes, question.scan.bytes)
        if row is None:
            raise NotFound(f"there is no scan {question.scan}")
        found = await read(view, row.key)
    if found is None:
        raise NotFound("nobody authorised active work of this scan, or before authorisations were signed")
    return found


def _statement(caller: Caller, plan: Plan, allowed: Authorisation) -> AuthorisationStatement:
    assert allowed.id is not None
    assert allowed.techniques is not None
    assert allowed.begins is not None
    assert allowed.until is not None
    return AuthorisationStatement(
        id=allowed.id,
        workspace=caller.workspace,
        scan=plan.scan,
        by=Authoriser(kind=caller.kind, name=caller.name, account=caller.account),
        why=allowed.text,
        targets=tuple(target.value for target in plan.targets[:NAMED]),
        target_count=len(plan.targets),
        includes=plan.scope.includes[:NAMED],
        excludes=plan.scope.excludes[:NAMED],
        networks=plan.scope.networks[:NAMED],
        scope_digest=digest_of_scope(plan.scope),
        techniques=allowed.techniques,
        begins=allowed.begins,
        until=allowed.until,
        at=allowed.at,
    )
