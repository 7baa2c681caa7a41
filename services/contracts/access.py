"""How access is given and checked, and what of it may be revoked: whoever does either calls it alike."""

from typing import Final
from uuid import UUID

#: Who gives access tokens, and whom they are for; their type, and the kind of those for scripts.
ISSUER: Final = "mirage"
ACCESS_TYPE: Final = "at+jwt"
SCRIPT: Final = "pat"
#: Seconds for which an access token is good, and for which who checked a token may go by what he saw.
ACCESS_SECONDS: Final = 600


def of_session(session: UUID) -> str:
    return f"session:{session.hex}"


def of_account(account: UUID) -> str:
    return f"account:{account.hex}"


def of_token(token: UUID) -> str:
    return f"token:{token.hex}"


def of_member(account: UUID, workspace: UUID) -> str:
    """What somebody may in one workspace."""
    return f"member:{account.hex}:{workspace.hex}"
