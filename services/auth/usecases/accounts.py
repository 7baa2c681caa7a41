"""Accounts: how they come about, and how a person shows that it is he."""

from hmac import compare_digest
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.auth.domain.passwords import check_password
from services.auth.store import accounts as account_store
from services.auth.store.identities import Identity, add_identity
from services.auth.usecases.codes import needs_code, use_code
from services.auth.usecases.passwords import passwords_of
from services.auth.usecases.proofs import see_code, see_first_factor
from services.auth.usecases.revocations import tell
from services.auth.usecases.sessions import end_sessions, open_session
from services.auth.usecases.throttle import slow_down, slow_down_codes, slow_down_guesses
from services.contracts.endpoints import ADD_PROFILE
from services.contracts.people import plain_email
from services.contracts.resources import (
    ChangePassword,
    FirstAccount,
    FirstCode,
    LoggedIn,
    LogIn,
    LoginStep,
    NewAccount,
    NewProfile,
    Proof,
)
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Denied, Unauthenticated
from services.kernel.messages import NAMESPACE, derive, now
from services.kernel.service import Ports
from services.kernel.tokens import digest_of, kind_of, make_token
from services.kernel.trail import say_who

FIRST: Final = "one"
INVITED: Final = "invited"
#: The same whether there is no such account or the password is another one.
_WRONG: Final = "the address or the password is wrong"


async def offer_first_account(ports: Ports, caller: Caller, question: Nothing) -> FirstCode:
    """Make the code of the first account, instead of any earlier one; none where there is an account."""
    code = make_token(FIRST)
    async with ports.outbox.unit() as unit:
        await unit.tx.lock("accounts")
        if await account_store.has_accounts(unit.tx):
            return FirstCode(code=None)
        await account_store.keep_first_code(unit.tx, digest_of(code))
    return FirstCode(code=code)


async def create_first_account(ports: Ports, caller: Caller, question: FirstAccount) -> LoggedIn:
    """Make the first account, by the code.

    Raises:
        Denied: the code is wrong, or there is an account.
        Invalid: the password is none that one should have.
    """
    await slow_down(ports, caller.address)
    async with ports.sql.read() as view:
        kept = await account_store.read_first_code(view)
    if kind_of(question.code) != FIRST or kept is None or not compare_digest(digest_of(question.code), kept):
        raise Denied("the code is wrong, or there is an account already: `mirage up` and `mirage fleet up` show it")
    check_password(question.password, question.email, question.name)
    profile = NewProfile(account=derive(NAMESPACE, FIRST), email=question.email, name=question.name)
    # By its code, which only the operator can have: whom he lets be anybody else needs no account of his.
    return await _create(ports, caller, profile, question.password, question.device, proven=plain_email(question.email))


async def create_account(ports: Ports, caller: Caller, question: NewAccount) -> LoggedIn:
    """Make an account for who was invited, with the address that the invitation was sent to.

    Its id is made of the code: what broke off goes on when the same code comes again, and no other one gets at it.

    Raises:
        NotFound: the invitation is not good.
        Conflict: there is an account with this address, which logs in and accepts it.
        Invalid: the password is none that one should have.
    """
    await slow_down(ports, caller.address)
    check_password(question.password, question.name)
    profile = NewProfile(account=invited_account(question.code), code=question.code, name=question.name)
    return await _create(ports, caller, profile, question.password, question.device)


def invited_account(code: str) -> UUID:
    """The account that is made by an invitation, however often its code comes."""
    return derive(NAMESPACE, f"{INVITED} {digest_of(code).hex()}")


async def make_account(
    ports: Ports,
    caller: Caller,
    profile: NewProfile,
    *,
    proven: str = "",
    password: str = "",
    identity: Identity | None = None,
) -> account_store.Account:
    """Let an account be somebody, and then be logged in to: by a password, or as who somebody is at a provider.

    ``proven``: the address that he was seen to have. Who has an invitation was not: who made it saw its code, too.

    Raises:
        Conflict: it was made before, or there is another one with its address, or with that identity.
    """
    member = await ports.calls.ask(ADD_PROFILE, profile, caller)  # before anything is done that takes long
    if password:
        check_password(password, member.email)
    kept = await passwords_of(ports).make(password) if password else ""
    made = account_store.Account(profile.account, member.email, kept, proven=member.email == proven)
    say_who(made.account, made.email)
    async with ports.outbox.unit() as unit:
        await unit.tx.lock("accounts")
        if not await account_store.add_account(unit.tx, made, now()):
            raise Conflict("this account was made before: log in")
        if identity is not None and not await add_identity(unit.tx, identity):
            raise Conflict("this login was linked to another account at this moment: log in")
        await account_store.forget_first_code(unit.tx)
    return made


async def _create(
    ports: Ports, caller: Caller, profile: NewProfile, password: str, device: str, *, proven: str = ""
) -> LoggedIn:
    made = await make_account(ports, caller, profile, proven=proven, password=password)
    return await open_session(ports, caller, made, device)


async def log_in(ports: Ports, caller: Caller, question: LogIn) -> LoginStep:
    """Begin a session for who knows the password, and has the code where one is needed.

    Raises:
        Unauthenticated: something is wrong; what, is said only of the code.
        Limited: there were too many tries.
    """
    email = plain_email(question.email)
    async with ports.sql.read() as view:
        account = await account_store.find_account(view, email)
    await slow_down(ports, caller.address)
    await slow_down_guesses(ports, caller.address, email, account.account if account is not None else None)
    if account is not None:
        say_who(account.account, account.email)
    passwords = passwords_of(ports)
    if not await passwords.verify(account.password if account is not None else "", question.password) or not account:
        raise Unauthenticated(_WRONG)
    if await needs_code(ports, account.account):
        if not question.code:
            return LoginStep(needs="code")
        await slow_down_codes(ports, caller.address, account.account)
        async with ports.sql.begin() as tx:
            good = await use_code(ports, tx, account.account, question.code)
        if not good:
            raise Unauthenticated("the code is wrong, or was used before")
    if passwords.is_outdated(account.password):
        anew = replace(account, password=await passwords.make(question.password))
        async with ports.sql.begin() as tx:
            await account_store.hold_account(tx, account.account)
            if await account_store.read_account(tx, account.account) == account:
                await account_store.set_password(tx, account.account, anew.password)
                account = anew
    opened = await open_session(ports, caller, account, question.device, question.workspace)
    return LoginStep(session=opened)


async def change_password(ports: Ports, caller: Caller, question: ChangePassword) -> Nothing:
    """Change a password, by the old one, and a code where logins need one; all other sessions end.

    Raises:
        Denied: the old one is another, or the code is none.
        Invalid: the new one is none that one should have.
    """
    proof = Proof(password=question.old, code=question.code)
    shown = await see_first_factor(ports, caller, proof, always=True)
    account = shown.account.account
    check_password(question.new, shown.account.email, caller.name)
    kept = await passwords_of(ports).make(question.new)  # before anything is held
    async with see_code(ports, shown, proof) as unit:
        await account_store.set_password(unit.tx, account, kept)
        await account_store.forget_reset(unit.tx, account)
        await end_sessions(unit.tx, account, but=caller.session)
    tell(ports)
    return Nothing()
