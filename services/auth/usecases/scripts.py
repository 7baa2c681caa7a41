"""Tokens of scripts: what a person gives a script, less than all that he may, for a time."""

from typing import Final
from uuid import uuid4

from services.auth.domain.scripts import LONGEST_TOKEN, wanted_permissions
from services.auth.domain.times import SECOND
from services.auth.store import accounts as account_store
from services.auth.store import revocations as revocation_store
from services.auth.store import sessions as session_store
from services.auth.usecases.revocations import revoke, tell
from services.contracts.access import SCRIPT, of_token
from services.contracts.endpoints import GET_MEMBERSHIP
from services.contracts.people import plain_title
from services.contracts.permissions import NAMES, permissions_of
from services.contracts.resources import (
    MadeToken,
    MembershipQuery,
    NewToken,
    TokenDigest,
    TokenHolder,
    TokenRef,
    TokenView,
)
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.tokens import digest_of, make_token
from services.kernel.trail import say_made

#: Microseconds after which it is noted anew that a token is used.
NOTED: Final = 60 * SECOND


async def create_token(ports: Ports, caller: Caller, question: NewToken) -> MadeToken:
    """Make a token, which is shown once and kept as a digest.

    Raises:
        Invalid: there is no such permission, or it would be good for too long or not at all.
        Denied: it would allow more than whoever makes it may.
    """
    account, at = caller.person, now()
    wanted = wanted_permissions(question.permissions, caller.permissions & NAMES, NAMES)
    if not at < question.expires <= at + LONGEST_TOKEN:
        raise Invalid("a token ends after now, and within a year")
    token = make_token(SCRIPT)
    made = session_store.ApiToken(
        workspace=caller.workspace, id=uuid4(), account=account, name=plain_title(question.name),
        permissions=wanted, created=at, expires=question.expires,
    )  # fmt: skip
    say_made(token=made.id)
    async with ports.outbox.unit() as unit:
        await session_store.add_token(unit.tx, made, digest_of(token))
    return MadeToken(view=_view(made), token=token)


async def list_tokens(ports: Ports, caller: Caller, question: Nothing) -> tuple[TokenView, ...]:
    async with ports.sql.read() as view:
        return tuple(
            _view(each) for each in await session_store.list_tokens(view, caller.workspace, caller.person, now())
        )


async def end_token(ports: Ports, caller: Caller, question: TokenRef) -> Nothing:
    """Have a token let nobody in any more, at once and everywhere.

    Raises:
        NotFound: he has no such token that lets in.
    """
    async with ports.outbox.unit() as unit:
        if not await session_store.end_token(unit.tx, caller.workspace, caller.person, question.token, now()):
            raise NotFound("you have no such token in this workspace")
        await revoke(unit.tx, of_token(question.token))
    tell(ports)
    return Nothing()


async def check_token(ports: Ports, caller: Caller, question: TokenDigest) -> TokenHolder:
    """Whose a token is, and what it may now: no more than it was given, and than he may who gave it.

    Raises:
        NotFound: it lets nobody in.
    """
    at = now()
    async with ports.sql.read() as view:
        revoked = await revocation_store.last_revocation(view)
        found = await session_store.find_token(view, question.digest)
        account = await account_store.read_account(view, found.account) if found is not None else None
    if found is None or found.ended is not None or at >= found.expires or account is None:
        raise NotFound("this token lets nobody in")
    member = await ports.calls.ask(GET_MEMBERSHIP, MembershipQuery(found.account, found.workspace), caller)
    if at - (found.used or 0) > NOTED:
        async with ports.sql.begin() as tx:
            await session_store.note_use(tx, found, at)
    return TokenHolder(
        id=found.id,
        account=found.account,
        name=f"{member.name} ({found.name})",
        workspace=found.workspace,
        permissions=tuple(sorted(permissions_of(*member.roles) & set(found.permissions))),
        expires=found.expires,
        revoked=revoked,
    )


def _view(token: session_store.ApiToken) -> TokenView:
    return TokenView(
        id=token.id, name=token.name, permissions=token.permissions, created=token.created, expires=token.expires,
        used=token.used,
    )  # fmt: skip
