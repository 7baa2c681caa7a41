"""Codes of a second factor: of an authenticator (TOTP, RFC 6238), or a recovery code instead of one; each good once."""

from hmac import compare_digest
from typing import Final
from uuid import UUID

from services.auth.domain.times import SECOND
from services.auth.store import accounts as account_store
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Tx
from services.kernel.tokens import digest_of

#: Seconds of a code, and how many codes its clock may be off.
STEP: Final = 30
OFF: Final = 1


async def needs_code(ports: Ports, account: UUID) -> bool:
    """Whether a login of an account needs a code."""
    async with ports.sql.read() as view:
        known = await account_store.read_authenticator(view, account)
    return known is not None and known[1]


async def use_code(ports: Ports, tx: Tx, account: UUID, code: str) -> bool:
    """Use a code of the authenticator up, or a recovery code; whether it was good."""
    await tx.lock(f"authenticator {account.hex}")
    known = await account_store.read_authenticator(tx, account)
    if known is None or not known[1]:
        return False
    if await take_code(ports, tx, account, known[0], code):
        return True
    return await account_store.use_recovery_code(tx, account, digest_of(plain_code(code)))


async def take_code(ports: Ports, tx: Tx, account: UUID, sealed: str, code: str) -> bool:
    """Take a code of now, or of a step before or after, by the sealed secret of an authenticator; each once."""
    import pyotp

    totp, step = pyotp.TOTP(ports.seal.open(secret_name(account), sealed)), now() // SECOND // STEP
    for near in range(step - OFF, step + OFF + 1):
        if compare_digest(totp.generate_otp(near).encode(), plain_code(code).encode()):
            return await account_store.take_step(tx, account, near)
    return False


def plain_code(code: str) -> str:
    """A code as it is compared: people write blanks and hyphens."""
    return "".join(code.split()).replace("-", "").lower()


def secret_name(account: UUID) -> str:
    """As what the secret of an authenticator is sealed."""
    return f"authenticator {account.hex}"
