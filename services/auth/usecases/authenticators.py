"""An authenticator, which makes the codes of a second factor, and recovery codes for when it is lost."""

import secrets
from typing import Final

from services.auth.store import accounts as account_store
from services.auth.usecases.codes import needs_code, plain_code, secret_name, take_code, use_code
from services.auth.usecases.proofs import proven
from services.auth.usecases.throttle import slow_down_proofs
from services.contracts.resources import Authenticator, AuthenticatorCode, Proof, RecoveryCodes, SecondFactor
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Denied
from services.kernel.service import Ports
from services.kernel.tokens import digest_of

CODES: Final = 10
#: Letters and digits that nobody takes for one another.
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"


async def get_second_factor(ports: Ports, caller: Caller, question: Nothing) -> SecondFactor:
    async with ports.sql.read() as view:
        left = await account_store.count_recovery_codes(view, caller.person)
    return SecondFactor(authenticator=await needs_code(ports, caller.person), recovery_codes=left)


async def begin_authenticator(ports: Ports, caller: Caller, question: Proof) -> Authenticator:
    """Make the secret of an authenticator, which counts once it is confirmed, for who has shown that it is he.

    Raises:
        Denied: he has not.
        Conflict: there is one that counts.
    """
    import pyotp

    secret = pyotp.random_base32(32)
    async with proven(ports, caller, question) as (unit, account):
        await unit.tx.lock(f"authenticator {account.account.hex}")
        known = await account_store.read_authenticator(unit.tx, account.account)
        if known is not None and known[1]:
            raise Conflict("there is an authenticator: remove it first")
        sealed = ports.seal.seal(secret_name(account.account), secret)
        await account_store.keep_authenticator(unit.tx, account.account, sealed)
    uri = pyotp.TOTP(secret).provisioning_uri(name=account.email, issuer_name="Mirage")
    return Authenticator(secret=secret, uri=uri)


async def confirm_authenticator(ports: Ports, caller: Caller, question: AuthenticatorCode) -> RecoveryCodes:
    """Have logins need a code from now on, once one of them has come.

    Raises:
        Denied: the code is wrong.
        Conflict: there is none to confirm.
    """
    account = caller.person
    await slow_down_proofs(ports, caller.address, account)
    codes = tuple(_recovery_code() for _ in range(CODES))
    async with ports.outbox.unit() as unit:
        await unit.tx.lock(f"authenticator {account.hex}")
        known = await account_store.read_authenticator(unit.tx, account)
        if known is None or known[1]:
            raise Conflict("there is no authenticator to confirm")
        if not await take_code(ports, unit.tx, account, known[0], question.code):
            raise Denied("the code is wrong: is the clock of the authenticator right?")
        await account_store.keep_recovery_codes(unit.tx, account, [digest_of(plain_code(code)) for code in codes])
    return RecoveryCodes(codes)


async def remove_authenticator(ports: Ports, caller: Caller, question: AuthenticatorCode) -> Nothing:
    """Have logins need no code any more; who asks for that has one.

    Raises:
        Denied: the code is wrong.
    """
    account = caller.person
    await slow_down_proofs(ports, caller.address, account)
    async with ports.outbox.unit() as unit:
        if not await use_code(ports, unit.tx, account, question.code):
            raise Denied("the code is wrong")
        await account_store.remove_authenticator(unit.tx, account)
    return Nothing()


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))
