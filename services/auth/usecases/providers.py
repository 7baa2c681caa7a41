"""OpenID providers: what they say of themselves, which keys they sign by, and what they answer for a code.

All of it goes out by the guarded way. The host of the issuer was set by the operator, and may be in his own network;
what the issuer names beside that is judged as any address of the world is. (OpenID Connect Discovery 1.0, RFC 8414.)
"""

import asyncio
from base64 import b64encode, urlsafe_b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
import structlog
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from services.auth.domain.providers import Email, IdToken, Name, Subject, Verified
from services.auth.domain.times import SECOND
from services.contracts.keys import KEYS, OF_LOGINS
from services.contracts.settings import AuthSettings, LoginProvider
from services.kernel.egress import EgressError
from services.kernel.egress.connection import Broken
from services.kernel.egress.https import Answer, ask_https
from services.kernel.egress.location import BadUrl, locate
from services.kernel.errors import Corrupt, NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports

if TYPE_CHECKING:
    from joserfc.jwk import Key

T = TypeVar("T")

#: Bytes of an answer, and seconds for one: four questions end before whoever asked has gone.
LARGEST: Final = 256 * 1024
SECONDS: Final = 6.0
#: Seconds for which is gone by what a provider says of itself; and after which its keys are asked for again for the
#: sake of one that is not among them, which anybody can name.
KNOWN: Final = 3600
ASKED_AGAIN: Final = 60
#: Seconds for which a provider that did not answer as it should is taken not to: who comes meanwhile does not wait.
AWAY: Final = 5
#: By which a token may be signed, and what keys these are of; never `none`, and never by a secret that both sides have.
ALGORITHMS: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
SHORTEST_RSA: Final = 2048

_AWAY: Final = "the provider does not answer as it should: try again later, or log in otherwise"
_Url = Annotated[str, Meta(max_length=2000)]
_log = structlog.get_logger(__name__)


class Mistrusted(Exception):
    """What a provider said is not good; the text is for the log alone."""


class Metadata(Struct, frozen=True):
    """What a provider says of itself: what is looked at of it."""

    issuer: str
    authorization_endpoint: _Url
    token_endpoint: _Url
    jwks_uri: _Url
    userinfo_endpoint: _Url = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Tokens(Struct, frozen=True):
    """``access`` is good for one more question; only what may stand in a header is one."""

    id: Annotated[str, Meta(max_length=32_768)] = field(name="id_token")
    access: Annotated[str, Meta(max_length=32_768, pattern=r"\A[!-~]*\Z")] = field(name="access_token", default="")

    def __repr__(self) -> str:
        return "Tokens(…)"


class UserInfo(Struct, frozen=True, kw_only=True):
    """What a provider says of a person apart from a token, in the same words."""

    sub: Subject
    email: Email = ""
    email_verified: Verified = False
    name: Name = ""


class KeySet(Struct, frozen=True):
    keys: Annotated[tuple[dict[str, Any], ...], Meta(max_length=100)]


class Known(Struct):
    """What is known of an issuer; ``at``: since when, ``keys_at``: the keys."""

    metadata: Metadata
    at: int
    keys: "tuple[Key, ...]" = ()
    keys_at: int = 0


class Turn(Struct):
    """Whose turn it is to ask an issuer; ``away``: until when nobody is to."""

    lock: asyncio.Lock
    away: int = 0


def provider_of(ports: Ports, name: str) -> LoginProvider:
    """How a provider is set.

    Raises:
        NotFound: there is none of that name.
    """
    settings: AuthSettings = ports.live.now
    if name not in settings.providers:
        raise NotFound("there is no such provider")
    return settings.providers[name]


async def discover(ports: Ports, provider: LoginProvider) -> Metadata:
    """What a provider says of itself.

    Raises:
        Unavailable: nothing, or nothing sound.
    """
    return (await _known(ports, provider)).metadata


async def exchange(ports: Ports, name: str, code: str, redirect: str, verifier: str) -> Tokens:
    """What a provider gives for a code.

    Raises:
        Mistrusted: it gives none for this one.
        Unavailable: it is away, or its secret is not known here.
    """
    provider = provider_of(ports, name)
    metadata = await discover(ports, provider)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    secret = await _secret(ports, name)
    if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"  # RFC 6749 2.3.1
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": provider.client_id, "client_secret": secret}
    answer = await _ask(ports, provider, metadata.token_endpoint, headers=headers, body=urlencode(form).encode())
    if 400 <= answer.status < 500:
        raise Mistrusted(f"it answers {answer.status} to a code")
    return _decode(answer, Tokens)


async def complete(ports: Ports, provider: LoginProvider, token: IdToken, access: str) -> IdToken:
    """A token with an address, which many providers tell of only where they are asked for it (OpenID Connect Core 5.4).

    Raises:
        Mistrusted: it tells of somebody else.
        Unavailable: it does not answer.
    """
    metadata = await discover(ports, provider)
    if token.email or not access or not metadata.userinfo_endpoint:
        return token
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
    said = _decode(await _ask(ports, provider, metadata.userinfo_endpoint, headers=headers), UserInfo)
    if said.sub != token.sub:  # 5.3.2 there: somebody else's token may have been put in its place
        raise Mistrusted("it tells of somebody else than its token does")
    return replace(token, email=said.email, email_verified=said.email_verified, name=said.name or token.name)


async def read_id_token(ports: Ports, provider: LoginProvider, text: str) -> IdToken:
    """An ID token that was signed by a key that the provider publishes; what it says is not judged yet.

    Raises:
        Mistrusted: it was not.
        Unavailable: the provider does not say which keys it has.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(text.encode()).headers()
        if header.get("alg") not in ALGORITHMS:
            raise Mistrusted(f"its token is signed by {str(header.get('alg'))[:20]!r}")
        key = await _key(ports, provider, header)
        claims = jwt.decode(text, key, algorithms=list(ALGORITHMS)).claims
        return msgspec.convert(claims, IdToken)
    except (JoseError, ValueError, TypeError, msgspec.ValidationError) as error:
        raise Mistrusted(f"its token is not sound: {type(error).__name__}: {error}"[:200]) from error


async def _key(ports: Ports, provider: LoginProvider, header: Mapping[str, Any]) -> "Key":
    """The one key that a token names, or the only one of its kind."""
    known = await _known(ports, provider)
    found = _fitting(known, header)
    if len(found) != 1:
        async with _turn(ports, provider):
            if now() - known.keys_at > ASKED_AGAIN * SECOND:
                answer = await _ask(ports, provider, known.metadata.jwks_uri)
                known.keys, known.keys_at = _read_keys(_decode(answer, KeySet)), now()
        found = _fitting(known, header)
    if len(found) != 1:
        raise Mistrusted("its token is signed by none of its keys, or does not say by which")
    return found[0]


def _fitting(known: Known, header: Mapping[str, Any]) -> "list[Key]":
    kid = header.get("kid")
    of_kind = [each for each in known.keys if each.key_type == ALGORITHMS[header["alg"]]]
    return of_kind if kid is None else [each for each in of_kind if each.kid == kid]


def _read_keys(published: KeySet) -> "tuple[Key, ...]":
    """Those that tokens can be signed by; what is not known is left out, as RFC 7517 (5) has it."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    found = []
    for each in published.keys:
        try:
            if _can_sign(each):
                found.append(JWKRegistry.import_key({name: each[name] for name in each.keys() - {"alg", "key_ops"}}))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.info("a key of a provider is left out", reason=type(error).__name__)
    return tuple(found)


def _can_sign(key: Mapping[str, Any]) -> bool:
    """Whether a published key is of a kind, and long enough, to sign tokens by."""
    if key["kty"] == "RSA":
        encoded = key["n"] + "=" * (-len(key["n"]) % 4)
        sound = int.from_bytes(urlsafe_b64decode(encoded)).bit_length() >= SHORTEST_RSA
    else:
        sound = CURVES.get(key["kty"], "") == key["crv"]
    return sound and key.get("use", "sig") == "sig"


async def _known(ports: Ports, provider: LoginProvider) -> Known:
    known = _remembered(ports, provider)
    if known is None:
        async with _turn(ports, provider):
            known = _remembered(ports, provider)
            if known is None:
                known = Known(await _read_metadata(ports, provider), now())
                ports.state["oidc providers"][provider.issuer] = known
    return known


def _remembered(ports: Ports, provider: LoginProvider) -> Known | None:
    all_known: dict[str, Known] = ports.state.setdefault("oidc providers", {})
    known = all_known.get(provider.issuer)
    return known if known is not None and now() - known.at <= KNOWN * SECOND else None


async def _read_metadata(ports: Ports, provider: LoginProvider) -> Metadata:
    answer = await _ask(ports, provider, f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    metadata = _decode(answer, Metadata)
    if metadata.issuer != provider.issuer:
        raise _away(provider, f"it calls itself {metadata.issuer[:200]!r}")
    if any(not each.startswith("https://") for each in (metadata.authorization_endpoint, metadata.token_endpoint)):
        raise _away(provider, "it is asked otherwise than by https")
    return metadata


@asynccontextmanager
async def _turn(ports: Ports, provider: LoginProvider) -> AsyncIterator[None]:
    """Let one ask a provider while others wait for what comes of it, and none where it was away a moment ago.

    Raises:
        Unavailable: it was.
    """
    turns: dict[str, Turn] = ports.state.setdefault("oidc turns", {})
    turn = turns.setdefault(provider.issuer, Turn(asyncio.Lock()))
    async with turn.lock:
        if now() < turn.away:
            raise Unavailable(_AWAY)
        try:
            yield
        except Unavailable:
            turn.away = now() + AWAY * SECOND
            raise


async def _secret(ports: Ports, name: str) -> str:
    """What Mirage shows a provider: a provider key, which is shared sealed."""
    key = f"{OF_LOGINS}{name}"
    kept = await ports.values.get(KEYS + key)
    if kept is None:
        raise Unavailable(f"the secret of the provider {name} is not set: mirage keys set {key}")
    try:
        return ports.seal.open(key, kept.value.decode("ascii", "replace"))
    except Corrupt as error:
        raise Unavailable(str(error)) from error


async def _ask(
    ports: Ports, provider: LoginProvider, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    named = urlsplit(provider.issuer).hostname
    try:
        answer = await ask_https(
            ports.egress, "POST" if body else "GET", url, headers=headers, body=body, limit=LARGEST, seconds=SECONDS,
            exempt=locate(url).host == named, ca_file=ports.settings.ca_file,
        )  # fmt: skip
    except (EgressError, Broken, BadUrl) as error:
        raise _away(provider, f"{type(error).__name__}: {error}") from error
    if answer.status != 200 and not (body and 400 <= answer.status < 500):
        raise _away(provider, f"it answers {answer.status}")
    return answer


def _decode(answer: Answer, form: type[T]) -> T:
    """What an answer says; a null says nothing."""
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any])
        return msgspec.convert({name: value for name, value in said.items() if value is not None}, form)
    except msgspec.MsgspecError as error:
        raise Unavailable(_AWAY) from error


def _away(provider: LoginProvider, reason: str) -> Unavailable:
    """Which it is, and how it is reached, is for those who read the log."""
    _log.warning("a login provider does not answer as it should", issuer=provider.issuer, reason=reason[:300])
    return Unavailable(_AWAY)
