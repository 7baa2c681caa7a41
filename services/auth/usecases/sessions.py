"""Sessions: a refresh token that is used once gets the next one, and an access token that lets in for ten minutes."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID, uuid4

from services.auth.domain.sessions import IDLE, SESSION, network_of, refreshed
from services.auth.domain.times import SECOND
from services.auth.store import accounts as account_store
from services.auth.store import revocations as revocation_store
from services.auth.store import sessions as session_store
from services.auth.usecases.keys import signing_key
from services.auth.usecases.revocations import revoke, tell
from services.contracts.access import ACCESS_SECONDS, ACCESS_TYPE, ISSUER, of_session
from services.contracts.endpoints import GET_MEMBERSHIP
from services.contracts.resources import LoggedIn, Membership, MembershipQuery, Refresh, SessionRef, SessionView
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid, NotFound, Unauthenticated
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Tx
from services.kernel.tokens import content_of, digest_of, kind_of, make_token
from services.kernel.trail import say_about, say_made, say_who
from services.kernel.workspace import read_workspace

KIND: Final = "ref"
_FAMILY: Final = 16
_OVER: Final = "this session is over: log in again"


async def open_session(
    ports: Ports,
    caller: Caller,
    account: account_store.Account,
    device: str,
    workspace: str = "",
    *,
    noting: Callable[[Tx], Awaitable[None]] | None = None,
) -> LoggedIn:
    """Begin a session of an account as it was seen, in a workspace that is named, or where it has been for longest.

    ``noting``: what is kept of how somebody came, if the session begins.

    Raises:
        NotFound: the account belongs to no such workspace.
        Unauthenticated: its password was changed meanwhile.
    """
    async with ports.sql.read() as view:
        revoked = await revocation_store.last_revocation(view)
    family, at = uuid4().bytes, now()
    refresh = make_token(KIND, family)
    made = session_store.Session(
        id=uuid4(), account=account.account, family=family, refresh=digest_of(refresh), former=b"",
        device=" ".join(device.split())[:200], address=caller.address, created=at, seen=at, expires=at + SESSION,
    )  # fmt: skip
    opened = await _let_in(ports, caller, made, refresh, workspace, revoked)
    say_made(session=made.id)
    async with ports.outbox.unit() as unit:
        await account_store.hold_account(unit.tx, account.account)
        if await account_store.read_account(unit.tx, account.account) != account:
            raise Unauthenticated("the password was changed at this moment: log in again")
        if noting is not None:
            await noting(unit.tx)
        await session_store.add_session(unit.tx, made)
        await account_store.keep_place(unit.tx, account.account, network_of(caller.address), at)
    return opened


async def refresh(ports: Ports, caller: Caller, question: Refresh) -> LoggedIn:
    """The next pair of tokens of a session; one of a token that came before ends it.

    Raises:
        Unauthenticated: the session is over, or there is none.
        NotFound: the account belongs to no such workspace.
    """
    given = question.refresh
    if kind_of(given) != KIND:
        raise Unauthenticated("that is no refresh token")
    family, at = content_of(given)[:_FAMILY], now()
    following = make_token(KIND, family)
    async with ports.sql.read() as view:
        revoked = await revocation_store.last_revocation(view)
        if await session_store.find_session(view, family) is None:
            raise Unauthenticated(_OVER)
    async with ports.sql.begin() as tx:
        await tx.lock(f"session {family.hex()}")
        session = await session_store.find_session(tx, family)
        if session is None or session.ended is not None or at >= session.expires or at - session.seen >= IDLE:
            raise Unauthenticated(_OVER)
        meant = refreshed(digest=digest_of(given), current=session.refresh, former=session.former)
        if meant == "stolen":
            await _end(tx, session.id, at)
        else:
            former = session.refresh if meant == "next" else session.former
            await session_store.go_on(
                tx, session.id, refresh=digest_of(following), former=former, address=caller.address, at=at
            )
    if meant == "stolen":
        tell(ports)
        say_who(session.account, "")
        say_about(session=session.id)
        raise Unauthenticated("a token of this session came twice, so somebody else may have it: log in again")
    return await _let_in(ports, caller, session, following, question.workspace, revoked)


async def list_sessions(ports: Ports, caller: Caller, question: Nothing) -> tuple[SessionView, ...]:
    at = now()
    async with ports.sql.read() as view:
        found = await session_store.list_sessions(view, caller.person, at, at - IDLE)
    return tuple(
        SessionView(
            id=each.id, device=each.device, address=each.address, created=each.created, seen=each.seen,
            expires=min(each.expires, each.seen + IDLE), current=each.id == caller.session,
        )
        for each in found
    )  # fmt: skip


async def end_session(ports: Ports, caller: Caller, question: SessionRef) -> Nothing:
    """End a session of who asks, at once and everywhere.

    Raises:
        NotFound: he has no such session.
    """
    async with ports.outbox.unit() as unit:
        session = await session_store.read_session(unit.tx, question.session)
        if session is None or session.account != caller.person:
            raise NotFound("you have no such session")
        await _end(unit.tx, session.id, now())
    tell(ports)
    return Nothing()


async def log_out(ports: Ports, caller: Caller, question: Nothing) -> Nothing:
    if caller.session is None:
        raise Invalid("whoever asks is in no session")
    return await end_session(ports, caller, SessionRef(caller.session))


async def end_sessions(tx: Tx, account: UUID, *, but: UUID | None = None) -> None:
    """End all sessions of an account, ``but`` for one."""
    at = now()
    others = [each.id for each in await session_store.list_sessions(tx, account, at, 0) if each.id != but]
    ended = [each for each in sorted(others) if await session_store.end_session(tx, each, at)]
    await revoke(tx, *map(of_session, ended))


async def _end(tx: Tx, session: UUID, at: int) -> None:
    if await session_store.end_session(tx, session, at):
        await revoke(tx, of_session(session))


async def _let_in(
    ports: Ports, caller: Caller, session: session_store.Session, refresh: str, workspace: str, revoked: int
) -> LoggedIn:
    """What lets a session in; ``revoked`` was the last revocation before anything else of it was looked at."""
    wanted = read_workspace(workspace.encode()) if workspace else None
    member = await ports.calls.ask(GET_MEMBERSHIP, MembershipQuery(session.account, wanted), caller)
    expires = now() // SECOND + ACCESS_SECONDS
    return LoggedIn(
        session=session.id,
        access=await _sign(ports, session, member, revoked, expires),
        expires=expires * SECOND,
        refresh=refresh,
        account=session.account,
        email=member.email,
        name=member.name,
        workspace=member.workspace,
        workspace_name=member.workspace_name,
        roles=member.roles,
    )


async def _sign(ports: Ports, session: session_store.Session, member: Membership, revoked: int, expires: int) -> str:
    """An access token (RFC 9068), with the workspace, roles and revocations that it goes by."""
    from joserfc import jwt  # here, so that a command line scan, which never logs in, does not wait for it

    kid, key = await signing_key(ports)
    claims = {
        "iss": ISSUER, "aud": ISSUER, "sub": str(session.account), "sid": str(session.id), "jti": uuid4().hex,
        "iat": expires - ACCESS_SECONDS, "exp": expires, "name": member.name, "roles": list(member.roles),
        "rev": revoked, **({"wsp": str(member.workspace)} if member.workspace else {}),
    }  # fmt: skip
    return jwt.encode({"alg": "Ed25519", "typ": ACCESS_TYPE, "kid": kid}, claims, key, algorithms=["Ed25519"])
