"""An OpenID provider on loopback: strict about what it is asked, and lying where it is told to.

It has what OpenID Connect Core 1.0 (3.1), Discovery 1.0, RFC 7636 (S256 alone) and RFC 9207 want of one, over HTTPS, by
a certificate of the lab's authority. `visit` is the browser of a person who is logged in there.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from msgspec import Struct

from lab.web.certificates import BEGIN, END, Authority
from lab.world import Certificate

CLIENT, SECRET = "mirage", "a secret: of + the/client"
Json = dict[str, Any]


@cache
def make_key(algorithm: str, number: int) -> Key:
    """The first, second, ... key of a kind, one for all providers: a tenth of a second goes into one of RSA."""
    how = {"use": "sig"}
    match algorithm:
        case "RS256":
            return RSAKey.generate_key(2048, how, auto_kid=True)
        case "ES256":
            return ECKey.generate_key("P-256", how, auto_kid=True)
    return OKPKey.generate_key(algorithm, how, auto_kid=True)


class Person(Struct):
    """Who is logged in at the provider."""

    sub: str = "24400320"
    email: str = "jo@example.org"
    verified: bool | str = True
    name: str = "Jo Doe"


class Grant(Struct):
    redirect: str
    challenge: str
    nonce: str
    person: Person


class Provider:
    """What it says wrongly: ``claims``, ``metadata``, ``header`` and ``redirected`` take the place of what is right.

    ``forge`` makes an ID token of claims instead of signing them; ``large`` and ``silent``: endpoints that do not end,
    or do not answer. ``thin``: its tokens say who it is and no more, what scopes ask for is told apart (Core 5.4);
    ``told``: in place of what is right there.
    """

    def __init__(self, algorithm: str = "RS256") -> None:
        self.issuer = ""
        self.algorithm = algorithm
        self.keys = [make_key(algorithm, 1)]
        self.person = Person()
        self.claims: Json = {}
        self.thin = False
        self.told: Json = {}
        self.metadata: Json = {}
        self.redirected: dict[str, str] = {}
        self.forge: Callable[[Json], str] | None = None
        self.large: set[str] = set()
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.clock: Callable[[], float] = time.time
        self.released = asyncio.Event()
        self._grants: dict[str, Grant] = {}
        self._people: dict[str, Person] = {}

    def rotate(self) -> None:
        """Sign by another key from now on."""
        self.keys = [make_key(self.algorithm, 2)]

    def visit(self, url: str) -> dict[str, str]:
        """Go where a login begins; what the person is sent back with."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize", url
        asked = {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
        assert "openid" in asked["scope"].split()
        assert len(asked["state"]) >= 22
        assert len(asked["nonce"]) >= 22
        code = secrets.token_urlsafe(24)
        self._grants[code] = Grant(asked["redirect_uri"], asked["code_challenge"], asked["nonce"], self.person)
        answer = {"code": code, "state": asked["state"], "iss": self.issuer, **self.redirected}
        return {name: value for name, value in answer.items() if value}

    async def discovery(self, request: web.Request) -> web.Response:
        said = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.algorithm], "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip
        return web.json_response({**said, **self.metadata})

    async def published(self, request: web.Request) -> web.Response:
        keys = [each.as_dict(private=False) for each in self.keys]
        return web.json_response({"keys": [{"kty": "OKP", "crv": "Ed448", "x": "AA"}, {"kty": "new"}, *keys]})

    async def token(self, request: web.Request) -> web.Response:
        form = dict(parse_qs(await request.text(), strict_parsing=True))
        asked = {name: value for name, (value,) in form.items()}
        grant = self._grants.pop(asked.get("code", ""), None)
        if not self._is_client(request, asked):
            return web.json_response({"error": "invalid_client"}, status=401)
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        if (
            grant is None
            or asked["grant_type"] != "authorization_code"
            or asked["redirect_uri"] != grant.redirect
            or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.challenge
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        access = secrets.token_urlsafe(24)
        self._people[access] = grant.person
        said = {"access_token": access, "token_type": "Bearer", "id_token": self._id_token(grant)}
        return web.json_response(said, headers={"Cache-Control": "no-store"})

    async def userinfo(self, request: web.Request) -> web.Response:
        scheme, _, access = request.headers.get("Authorization", "").partition(" ")
        person = self._people.get(access)
        if scheme != "Bearer" or person is None:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"sub": person.sub, **_claims_of(person), **self.told})

    def _is_client(self, request: web.Request, asked: dict[str, str]) -> bool:
        if "client_secret_post" in self.metadata.get("token_endpoint_auth_methods_supported", ()):
            return (asked.get("client_id"), asked.get("client_secret")) == (CLIENT, SECRET)
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", CLIENT, SECRET)

    def _id_token(self, grant: Grant) -> str:
        at = int(self.clock())
        person = grant.person
        claims = {
            "iss": self.issuer, "sub": person.sub, "aud": CLIENT, "iat": at, "exp": at + 300, "nonce": grant.nonce,
            **({} if self.thin else _claims_of(person)), **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.forge is not None:
            return self.forge(claims)
        key = self.keys[0]
        return jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key, algorithms=[self.algorithm])

    @web.middleware
    async def misbehave(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.silent:
            await self.released.wait()
        answer: web.Response = await handler(request)
        if request.path in self.large:
            return web.Response(body=b" " * 400_000 + bytes(answer.body or b""))  # type: ignore[arg-type]
        return answer


def _claims_of(person: Person) -> Json:
    """What the scopes `email` and `profile` ask for."""
    return {"email": person.email, "email_verified": person.verified, "name": person.name}


def unsigned(claims: Json) -> str:
    """A token that says that it is signed by nobody (`none`)."""
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def signed_by_public_key(key: Key) -> Callable[[Json], str]:
    """A token that is signed with the public key as if that were a secret of both (HS256)."""

    def forge(claims: Json) -> str:
        content = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{_part(claims)}"
        mac = hmac.new(key.as_pem(private=False), content.encode(), hashlib.sha256).digest()
        return f"{content}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    return forge


def signed_by(key: Key, algorithm: str, **header: Any) -> Callable[[Json], str]:
    """A token that is signed by some key, and says so, or says something else."""
    return lambda claims: jwt.encode({"alg": algorithm, **header}, claims, key, algorithms=[algorithm])


def _part(said: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


@asynccontextmanager
async def serve(provider: Provider, authority: Authority) -> AsyncIterator[Provider]:
    """Have it answer on a port of loopback, by the name ``localhost``."""
    app = web.Application(middlewares=[provider.misbehave])
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", provider.discovery),
            web.get("/keys", provider.published),
            web.post("/token", provider.token),
            web.get("/userinfo", provider.userinfo),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(authority))
    await site.start()
    provider.issuer = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        provider.released.set()
        await runner.cleanup()


def _context(authority: Authority) -> ssl.SSLContext:
    certificate = Certificate(
        id="provider", subject="localhost", names=("localhost", "127.0.0.1"), serial=7, not_before=BEGIN, not_after=END,
        issuer="Mirage Lab CA",
    )  # fmt: skip
    return authority.context(certificate)


def authority_in(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(7, folder)
