"""Who asks, between processes: a principal that whoever passes a question on signs, and whoever is asked verifies.

A JSON Web Token (RFC 7519) in a header of its own, signed with Ed25519 (RFC 9864), for one service and for `SECONDS`
at most. Each service has a key and knows the public ones of all others: it speaks for itself alone, and only those in
`SPEAKERS` speak for people and for the operator.
"""

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Struct

from services.kernel.calls import Caller, Kind
from services.kernel.errors import Invalid, Unauthenticated
from services.kernel.messages import SKEW
from services.kernel.remembered import remember

#: Seconds for which a principal is good at most, and those from which on a new one is made.
SECONDS: Final = 60
RENEWED: Final = 30
#: Whose key may say that such a one asks: the public door's, or that of the operator's own machine. A service speaks
#: for itself alone.
SPEAKERS: Final[Mapping[Kind, frozenset[str]]] = {
    "person": frozenset({"gateway"}),
    "token": frozenset({"gateway"}),
    "operator": frozenset({"operator"}),
}
#: Principals that are remembered, made or verified, the last ones: a bound on memory.
REMEMBERED: Final = 4096
LONGEST: Final = 8192
KEY_BYTES: Final = 32

_ALGORITHMS: Final = ["Ed25519"]

Clock = Callable[[], float]


class Claims(Struct, frozen=True, omit_defaults=True):
    """What a principal says, by the registered names of RFC 7519 where there are some; ``wsp`` is the workspace."""

    iss: str
    aud: str
    iat: int
    exp: int
    wsp: UUID
    kind: Kind
    name: str
    service: str = ""
    sub: UUID | None = None
    sid: UUID | None = None
    adr: str = ""
    may: tuple[str, ...] = ()


class Signer:
    """Signs principals by the keys that this process has, by the names of whose they are."""

    def __init__(self, keys: Mapping[str, OKPKey], clock: Clock = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._made: dict[tuple[Caller, str], tuple[float, str]] = {}

    def sign(self, caller: Caller, audience: str) -> str:
        """The principal by which ``caller`` asks the service ``audience``.

        Raises:
            Invalid: this process may not speak for it.
        """
        at = self._clock()
        renewed, made = self._made.get((caller, audience), (0.0, ""))
        if at < renewed:
            return made
        issuer = min(_speakers(caller.kind, caller.service) & self._keys.keys(), default=None)
        if issuer is None:
            raise Invalid(f"this process has no key to speak for {caller.service or caller.kind}")
        claims = Claims(
            iss=issuer, aud=audience, iat=int(at), exp=int(at) + SECONDS, wsp=caller.workspace, kind=caller.kind,
            name=caller.name, service=caller.service, sub=caller.account, sid=caller.session, adr=caller.address,
            may=tuple(sorted(caller.permissions)),
        )  # fmt: skip
        header = {"alg": "Ed25519", "typ": "JWT", "kid": issuer}
        signed = jwt.encode(header, msgspec.to_builtins(claims), self._keys[issuer], algorithms=_ALGORITHMS)
        remember(self._made, (caller, audience), (at + RENEWED, signed), REMEMBERED)
        return signed


class Verifier:
    """Tells who asks a process in which the services ``names`` are; ``peers`` are the public keys of all, by name."""

    def __init__(self, names: Iterable[str], peers: Mapping[str, OKPKey], clock: Clock = time.time) -> None:
        self._names = frozenset(names)
        self._peers = peers
        self._clock = clock
        self._verified: dict[str, tuple[float, Caller]] = {}

    def verify(self, principal: str) -> Caller:
        """Who asks by this principal.

        Raises:
            Unauthenticated: it is none, or not for us, not of now, or signed by one who may not say so.
        """
        at = self._clock()
        known = self._verified.get(principal)
        if known is not None and at < known[0]:
            return known[1]
        claims = self._read(principal)
        self._check(claims, at)
        caller = Caller(
            claims.wsp,
            claims.name,
            claims.kind,
            frozenset(claims.may),
            claims.sub,
            claims.service,
            claims.sid,
            claims.adr,
        )
        remember(self._verified, principal, (float(claims.exp), caller), REMEMBERED)
        return caller

    def _read(self, principal: str) -> Claims:
        if len(principal) > LONGEST:
            raise Unauthenticated("a principal is shorter than that")
        try:
            token = jwt.decode(principal, self._key, algorithms=_ALGORITHMS)
            claims = msgspec.convert(token.claims, Claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unauthenticated("nobody whom we know signed this principal") from error
        if claims.iss != token.header.get("kid"):
            raise Unauthenticated("a principal names another one than whose key has signed it")
        return claims

    def _key(self, token: Any) -> OKPKey:
        return self._peers[str(token.headers()["kid"])]

    def _check(self, claims: Claims, at: float) -> None:
        """See that what was signed may be said by who signed it, to us, and now."""
        if claims.aud not in self._names:
            raise Unauthenticated(f"a principal for {claims.aud} is none for {', '.join(sorted(self._names))}")
        if not claims.iat - SKEW <= at < claims.exp or claims.exp - claims.iat > SECONDS:
            raise Unauthenticated("a principal is of another time; do the clocks of all machines agree?")
        if claims.iss not in _speakers(claims.kind, claims.service):
            raise Unauthenticated(f"{claims.iss} may not speak for {claims.service or claims.kind}")


def _speakers(kind: Kind, service: str) -> frozenset[str]:
    return frozenset({service}) if kind == "service" else SPEAKERS[kind]


def read_private_keys(said: Iterable[str]) -> dict[str, OKPKey]:
    """Keys as settings have them, ``name=key`` with 32 secret bytes of base64url.

    Raises:
        Invalid: one is none; no key is quoted.
    """
    return {name: private_key(raw) for name, raw in _read(said)}


def read_public_keys(said: Iterable[str]) -> dict[str, OKPKey]:
    """As `read_private_keys`, of public ones."""
    return {name: OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _text(raw)}) for name, raw in _read(said)}


def _read(said: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for each in said:
        name, _, text = each.partition("=")
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        if not name or len(raw) != KEY_BYTES:
            raise Invalid(f"the key of {name[:32]!r} is none: it is name=KEY, {KEY_BYTES} bytes in base64url")
        yield name, raw


def private_key(seed: bytes) -> OKPKey:
    """The key that 32 secret bytes are."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": _text(seed), "x": _text(public)})


def write_private_key(name: str, seed: bytes) -> str:
    """A private key as settings have it."""
    return f"{name}={_text(seed)}"


def write_public_key(name: str, seed: bytes) -> str:
    """The public key of a private one as settings have it."""
    return f"{name}={private_key(seed).as_dict(private=False)['x']}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
