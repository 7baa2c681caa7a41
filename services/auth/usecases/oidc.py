"""Logging in at an OpenID provider: the authorization code flow, with PKCE (OpenID Connect Core 1.0, RFC 7636, 9700).

Who begins gets a secret, which is what ends the login: a code that somebody else brought about is of no use to him, and
one that was brought about for him none to somebody else. The provider's answer has to name the provider where it can
(RFC 9207), so that no code is given to another one.
"""

import secrets
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

import msgspec
import structlog
from msgspec import Struct

from services.auth.domain.providers import IdToken, challenge_of, gives_out, is_redirect, may_come, wrong_with
from services.auth.store import accounts as account_store
from services.auth.store.identities import Identity, add_identity, find_identity, list_identities, use_identity
from services.auth.usecases.accounts import invited_account, make_account
from services.auth.usecases.ceremonies import Purpose, begin, begin_as, look, take
from services.auth.usecases.codes import needs_code, use_code
from services.auth.usecases.providers import Mistrusted, complete, discover, exchange, provider_of, read_id_token
from services.auth.usecases.sessions import open_session
from services.auth.usecases.throttle import slow_down, slow_down_codes
from services.contracts.people import plain_title
from services.contracts.resources import (
    BeginOidc,
    LoginStep,
    NewProfile,
    OidcAnswer,
    OidcBegun,
    OidcLogin,
    ProviderView,
)
from services.contracts.settings import AuthSettings, LoginProvider
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid, NotFound, Unauthenticated
from services.kernel.messages import NAMESPACE, derive, now
from services.kernel.service import Ports
from services.kernel.sql import Tx
from services.kernel.trail import say_who

#: The same whatever was wrong with what came from the provider.
_WRONG: Final = "that login at the provider is not good: begin it again"
#: The same whether nobody has the address, or whoever has it is to say first that it is he.
_NOBODY: Final = "nobody here is known by that login: be invited, or log in otherwise and link it to your account"

_log = structlog.get_logger(__name__)


class Flow(Struct, frozen=True, kw_only=True):
    """A login under way; ``account``: of who links it, nobody's where somebody logs in."""

    provider: str
    issuer: str
    redirect: str
    state: str
    nonce: str
    verifier: str
    account: UUID | None = None

    def __repr__(self) -> str:
        return f"Flow({self.provider!r})"


class Entrance(Struct, frozen=True):
    """As whom at a provider somebody comes; ``links``: that is linked to his account, if he gets in."""

    identity: Identity
    links: bool

    async def note(self, tx: Tx) -> None:
        """Keep that somebody came so, for the first time or once more.

        Not the first where the provider calls somebody else so who is linked: addresses are given to others in time.

        Raises:
            Unauthenticated: he may not any more.
        """
        came = self.identity
        if not self.links:
            if not await use_identity(tx, came.id, now()):
                raise Unauthenticated(_WRONG)
            return
        if any(each.issuer == came.issuer for each in await list_identities(tx, came.account)):
            raise Unauthenticated(_NOBODY)
        if not await add_identity(tx, came):
            raise Unauthenticated(_WRONG)


class Said(Struct, frozen=True):
    """What came of a flow: who somebody is at a provider."""

    flow: Flow
    provider: LoginProvider
    token: IdToken

    def identity_of(self, account: UUID) -> Identity:
        at = now()
        return Identity(
            id=uuid4(), account=account, provider=self.flow.provider, issuer=self.token.iss, subject=self.token.sub,
            email=self.token.email, created=at, used=at,
        )  # fmt: skip


async def list_providers(ports: Ports, caller: Caller, question: Nothing) -> tuple[ProviderView, ...]:
    settings: AuthSettings = ports.live.now
    return tuple(ProviderView(name, each.title or name) for name, each in sorted(settings.providers.items()))


async def begin_oidc(ports: Ports, caller: Caller, question: BeginOidc) -> OidcBegun:
    """Where somebody goes to log in, and what he ends it by.

    Raises:
        NotFound: there is no such provider. Unavailable: it does not answer.
        Invalid: nobody is sent back there.
    """
    await slow_down(ports, caller.address)
    return await begin_flow(ports, "log in", question.provider, question.redirect, None)


async def begin_flow(ports: Ports, purpose: Purpose, name: str, redirect: str, account: UUID | None) -> OidcBegun:
    """As `begin_oidc`, to end it for a purpose."""
    settings: AuthSettings = ports.live.now
    provider = provider_of(ports, name)
    if not is_redirect(redirect, settings.redirects):
        raise Invalid("a provider sends people back to addresses that are set, or to http://127.0.0.1:PORT/…")
    metadata = await discover(ports, provider)
    flow = Flow(
        provider=name, issuer=provider.issuer, redirect=redirect, state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48), account=account,
    )  # fmt: skip
    asked = urlencode(
        {
            "response_type": "code", "client_id": provider.client_id, "redirect_uri": redirect, "state": flow.state,
            "scope": " ".join(dict.fromkeys(("openid", *provider.scopes))), "nonce": flow.nonce,
            "code_challenge": challenge_of(flow.verifier), "code_challenge_method": "S256",
        }
    )  # fmt: skip
    endpoint = metadata.authorization_endpoint
    url = f"{endpoint}{'&' if '?' in endpoint else '?'}{asked}"
    return OidcBegun(begun=await begin(ports, purpose, flow), url=url)


async def finish_oidc(ports: Ports, caller: Caller, question: OidcLogin) -> LoginStep:
    """Begin a session for whom a provider vouches for, who shows a code too where his account needs one.

    Raises:
        Unauthenticated: something is wrong, or nobody is known by that. Unavailable: the provider does not answer.
        Limited: there were too many tries.
    """
    await slow_down(ports, caller.address)
    entrance: Entrance | None
    if question.second:
        account, entrance = await _take_second(ports, caller, question)
    else:
        account, entrance = await _account_of(ports, caller, await answered(ports, "log in", question), question)
        say_who(account.account, account.email)
        if entrance is not None and await needs_code(ports, account.account):
            await begin_as(ports, "second factor", question.begun, entrance)
            return LoginStep(needs="code")
    noting = entrance.note if entrance is not None else None
    opened = await open_session(ports, caller, account, question.device, question.workspace, noting=noting)
    return LoginStep(session=opened)


async def answered(ports: Ports, purpose: Purpose, question: OidcAnswer) -> Said:
    """What a provider says of who came back from it, to who began.

    Raises:
        Unauthenticated: something is wrong; what, only the log says.
        Unavailable: the provider does not answer.
    """
    flow = await take(ports, purpose, question.begun, Flow)
    if flow is None:
        raise Unauthenticated(_WRONG)
    try:
        provider = provider_of(ports, flow.provider)
        return Said(flow, provider, await _read_answer(ports, flow, provider, question))
    except (Mistrusted, NotFound) as error:
        _log.warning("a login at a provider was refused", provider=flow.provider, reason=str(error))
        raise Unauthenticated(_WRONG) from error


async def _read_answer(ports: Ports, flow: Flow, provider: LoginProvider, question: OidcAnswer) -> IdToken:
    if provider.issuer != flow.issuer:
        raise Mistrusted("another issuer was set meanwhile")
    if not question.code or not compare_digest(question.state.encode(), flow.state.encode()):
        raise Mistrusted("the answer is none to what was asked")
    metadata = await discover(ports, provider)
    if question.iss != flow.issuer and (question.iss or metadata.authorization_response_iss_parameter_supported):
        raise Mistrusted("another provider answered, or none said that it did")
    tokens = await exchange(ports, flow.provider, question.code, flow.redirect, flow.verifier)
    token = await read_id_token(ports, provider, tokens.id)
    if wrong := wrong_with(token, issuer=flow.issuer, client=provider.client_id, nonce=flow.nonce, at=now()):
        raise Mistrusted(wrong)
    if provider.admits or not await _is_linked(ports, token):
        token = await complete(ports, provider, token, tokens.access)
    if not may_come(token.address, provider):
        raise Mistrusted("people with such addresses may not come")
    return token


async def _is_linked(ports: Ports, token: IdToken) -> bool:
    """Whether somebody is known by a token's subject, whatever his address is."""
    async with ports.sql.read() as view:
        return await find_identity(view, token.iss, token.sub) is not None


async def _account_of(
    ports: Ports, caller: Caller, said: Said, question: OidcLogin
) -> tuple[account_store.Account, Entrance | None]:
    """Whose login it is: who was linked to it, whose address the provider gives out, or somebody new, who is in."""
    token, provider = said.token, said.provider
    async with ports.sql.read() as view:
        linked = await find_identity(view, token.iss, token.sub)
        account = await account_store.read_account(view, linked.account) if linked is not None else None
    if linked is not None and account is not None:
        return account, Entrance(linked, links=False)
    own = bool(token.address) and gives_out(token.address, provider)
    if own and (account := await _proven_account(ports, token.address)) is not None:
        return account, Entrance(said.identity_of(account.account), links=True)
    name = _name_of(token)
    if question.invitation:
        new = invited_account(question.invitation)
        profile = NewProfile(account=new, code=question.invitation, name=name)
    elif own and provider.registers and await _has_first(ports):
        new = derive(NAMESPACE, msgspec.json.encode(["oidc", token.iss, token.sub]).decode())
        profile = NewProfile(account=new, email=token.address, vouched=True, name=name)
    else:
        raise Unauthenticated(_NOBODY)
    proven = token.address if own else ""
    return await make_account(ports, caller, profile, proven=proven, identity=said.identity_of(new)), None


def _name_of(token: IdToken) -> str:
    """What somebody is called who comes for the first time."""
    try:
        return plain_title(token.name[:100])
    except Invalid:
        return token.address.partition("@")[0][:100] or "somebody"


async def _has_first(ports: Ports) -> bool:
    """Whether the first account was made, which is the operator's: nobody comes before him."""
    async with ports.sql.read() as view:
        return await account_store.has_accounts(view)


async def _proven_account(ports: Ports, address: str) -> account_store.Account | None:
    """The account with an address that the provider gives out, where it was seen before to be its person's.

    One that was made by an invitation is linked by who is logged in to it: whoever made the invitation may have made
    the account as well, and would keep his ways into it.
    """
    async with ports.sql.read() as view:
        account = await account_store.find_account(view, address)
    return account if account is not None and account.proven else None


async def _take_second(ports: Ports, caller: Caller, question: OidcLogin) -> tuple[account_store.Account, Entrance]:
    """Whose code it is, and as whom he came; a wrong one may be followed by another, as tries are counted."""
    waiting = await look(ports, "second factor", question.begun, Entrance)
    if waiting is None:
        raise Unauthenticated(_WRONG)
    holder = waiting.identity.account
    await slow_down_codes(ports, caller.address, holder)
    async with ports.sql.begin() as tx:
        good = await use_code(ports, tx, holder, question.second)
        account = await account_store.read_account(tx, holder)
    if account is not None:
        say_who(account.account, account.email)
    if not good or account is None:
        raise Unauthenticated("the code is wrong, or was used before")
    if await take(ports, "second factor", question.begun, Entrance) is None:
        raise Unauthenticated(_WRONG)
    return account, waiting
