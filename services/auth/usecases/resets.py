"""A way back for who lost his password or his second factor: a code that only the machine's operator can make."""

from typing import Final

from msgspec.structs import replace

from services.auth.domain.passwords import check_password
from services.auth.domain.times import DAY
from services.auth.store import accounts as account_store
from services.auth.store import sessions as session_store
from services.auth.store.ways import forget_ways
from services.auth.usecases.codes import needs_code, use_code
from services.auth.usecases.passwords import passwords_of
from services.auth.usecases.revocations import revoke, tell
from services.auth.usecases.sessions import end_sessions, open_session
from services.auth.usecases.throttle import slow_down, slow_down_codes
from services.contracts.access import of_account
from services.contracts.people import plain_email
from services.contracts.resources import LoginStep, MadeReset, NewReset, Reset
from services.kernel.calls import Caller
from services.kernel.errors import Denied, NotFound, Unauthenticated
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.tokens import digest_of, kind_of, make_token
from services.kernel.trail import say_about, say_who

KIND: Final = "rst"
#: A code is good for so long.
GOOD: Final = DAY
_WRONG: Final = "the code is not good: have the operator make another one"


async def offer_reset(ports: Ports, caller: Caller, question: NewReset) -> MadeReset:
    """Make the code by which a person chooses another password, instead of any earlier one.

    Raises:
        NotFound: nobody has this address.
    """
    code, expires = make_token(KIND), now() + GOOD
    async with ports.outbox.unit() as unit:
        account = await account_store.find_account(unit.tx, plain_email(question.email))
        if account is None:
            raise NotFound("nobody has an account with this address")
        say_about(account=account.account)
        made = account_store.Reset(account.account, digest_of(code), expires, question.second_factor)
        await account_store.keep_reset(unit.tx, made)
    return MadeReset(code=code, email=account.email, expires=expires)


async def reset_password(ports: Ports, caller: Caller, question: Reset) -> LoginStep:
    """Choose another password by a code, which is used up; all sessions and tokens end, and a new session begins.

    Raises:
        Denied: the code is not good.
        Unauthenticated: the account needs a code of its authenticator too, and this is none.
        Invalid: the password is none that one should have.
    """
    await slow_down(ports, caller.address)
    if kind_of(question.reset) != KIND:
        raise Denied(_WRONG)
    digest = digest_of(question.reset)
    async with ports.sql.read() as view:
        made = await account_store.find_reset(view, digest)
        account = await account_store.read_account(view, made.account) if made is not None else None
    if made is None or account is None or now() >= made.expires:
        raise Denied(_WRONG)
    say_who(account.account, account.email)
    check_password(question.password, account.email)
    second = not made.second_factor and await needs_code(ports, account.account)
    if second and not question.code:
        return LoginStep(needs="code")
    if second:
        await slow_down_codes(ports, caller.address, account.account)
    anew = replace(account, password=await passwords_of(ports).make(question.password))
    async with ports.outbox.unit() as unit:
        await account_store.hold_account(unit.tx, account.account)
        if second and not await use_code(ports, unit.tx, account.account, question.code):
            raise Unauthenticated("the code is wrong, or was used before")
        if not await account_store.use_reset(unit.tx, digest):
            raise Denied(_WRONG)
        if made.second_factor:
            await account_store.remove_authenticator(unit.tx, account.account)
            await forget_ways(unit.tx, account.account)
        await account_store.set_password(unit.tx, account.account, anew.password)
        await end_sessions(unit.tx, account.account)
        await session_store.end_tokens(unit.tx, account.account, now())
        await revoke(unit.tx, of_account(account.account))
    tell(ports)
    return LoginStep(session=await open_session(ports, caller, anew, question.device))
