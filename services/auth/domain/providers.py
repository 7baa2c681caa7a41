"""What an OpenID provider, a browser or an authenticator is believed."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from services.auth.domain.times import SECOND
from services.contracts.settings import LoginProvider

#: Seconds that the clock of a provider may be off, and for which what it says of a login may be new.
CLOCK_OFF: Final = 60
TOKEN_NEW: Final = 600
#: Where a program on a person's own machine waits for him, at any port (RFC 8252 7.3).
_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?/[A-Za-z0-9._~/-]{0,200}", re.ASCII)

_ADDRESS: Final = re.compile(r"[!-?A-~]+@[!-?A-~]+")


def relying_party(origins: Sequence[str]) -> str:
    """The host that passkeys are good for (the RP ID of Web Authentication)."""
    return urlsplit(origins[0]).hostname or ""


def is_redirect(redirect: str, named: Iterable[str]) -> bool:
    """Whether a provider may send people back there: an address that is ``named``, letter for letter, or their own."""
    return redirect in set(named) or _LOOPBACK.fullmatch(redirect) is not None


def challenge_of(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636, S256)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


#: What a provider may say of a person; some say `true` as a text.
Subject = Annotated[str, Meta(min_length=1, max_length=255)]
Email = Annotated[str, Meta(max_length=254)]
Verified = bool | str
Name = Annotated[str, Meta(max_length=1000)]


class IdToken(Struct, frozen=True, kw_only=True):
    """What a provider says of who logged in (OpenID Connect Core 1.0, 2): what is looked at of it."""

    iss: str
    sub: Subject
    aud: str | tuple[str, ...]
    exp: int | float
    iat: int | float
    nonce: str = ""
    azp: str | None = None
    nbf: int | float = 0
    email: Email = ""
    email_verified: Verified = False
    name: Name = ""

    @property
    def address(self) -> str:
        """The address of the person in small letters, where the provider has seen that it is his.

        One that is not plain ASCII is none: other letters become the same as these.
        """
        verified = self.email_verified is True or self.email_verified == "true"
        return self.email.lower() if verified and _ADDRESS.fullmatch(self.email) else ""


def wrong_with(token: IdToken, *, issuer: str, client: str, nonce: str, at: int) -> str:
    """Why a token is not about this login, at an instant; nothing where it is (OpenID Connect Core 1.0, 3.1.3.7)."""
    seconds = at // SECOND
    audience = (token.aud,) if isinstance(token.aud, str) else token.aud
    if token.iss != issuer:
        return "it is of another issuer"
    if client not in audience or (token.azp is not None and token.azp != client):
        return "it is for another client"
    if len(audience) > 1 and token.azp is None:
        return "it is for several clients, and does not say for which"
    if token.nonce != nonce:
        return "it is about another login"
    if seconds >= token.exp + CLOCK_OFF:
        return "it has expired"
    if token.iat > seconds + CLOCK_OFF or token.nbf > seconds + CLOCK_OFF:
        return "it is of a time to come"
    if token.iat < seconds - TOKEN_NEW:
        return "it was made long before"
    return ""


def may_come(address: str, provider: LoginProvider) -> bool:
    """Whether who has an address may log in at a provider; without one, only where all may."""
    return not provider.admits or _domain(address) in provider.admits


def gives_out(address: str, provider: LoginProvider) -> bool:
    """Whether it is the provider itself that gave an address to whoever has it."""
    return _domain(address) in provider.domains


def _domain(address: str) -> str:
    return address.rpartition("@")[2]
