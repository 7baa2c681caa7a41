"""What it costs to know who asks: tokens at the gateway, principals between services, passwords beside others."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OKPKey

from services.auth.usecases.passwords import Passwords
from services.contracts.access import ACCESS_SECONDS
from services.contracts.endpoints import LIST_REVOCATIONS, PUBLISH_KEYS
from services.contracts.progress import Heartbeat
from services.contracts.resources import PublishedKeys, Revocations
from services.gateway.usecases.identities import Identities
from services.kernel.calls import A, Caller, Calls, Endpoint, Q
from services.kernel.messages import now
from services.kernel.principals import Signer, Verifier, private_key, read_public_keys
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.kernel.keys import PEERS, seed_of

TOKENS: Final = 1000
CACHED: Final = 20_000
KEY: Final = OKPKey.generate_key("Ed25519")


class Auth(Calls):
    """Publishes the one key there is, and has revoked nothing."""

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        if endpoint == PUBLISH_KEYS:
            return PublishedKeys(({**KEY.as_dict(private=False), "kid": "k"},))  # type: ignore[return-value]
        assert endpoint == LIST_REVOCATIONS
        return Revocations(0, ())  # type: ignore[return-value]

    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        raise AssertionError


def access_token(workspace: UUID | None = None) -> str:
    """One of an account of its own."""
    at = int(time.time())
    claims = {
        "iss": "mirage", "aud": "mirage", "sub": str(uuid4()), "sid": str(uuid4()), "jti": uuid4().hex, "iat": at,
        "exp": at + ACCESS_SECONDS, "name": "Jo Doe", "roles": ["owner", "operator"], "rev": 0,
        "wsp": str(workspace or uuid4()),
    }  # fmt: skip
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt", "kid": "k"}, claims, KEY, algorithms=["Ed25519"])


async def checks() -> tuple[float, float]:
    """Microseconds of the first check of a token, and of a further one."""
    identities = Identities(Auth())
    await identities.hear(Heartbeat(last=0, at=now()))
    said = [{"authorization": f"Bearer {access_token()}"} for _ in range(TOKENS)]
    await identities.identify({"authorization": f"Bearer {access_token()}"}, "")  # which asks for the keys
    began = time.perf_counter()
    for each in said:
        await identities.identify(each, "192.0.2.1")
    first = (time.perf_counter() - began) / TOKENS
    began = time.perf_counter()
    for number in range(CACHED):
        await identities.identify(said[number % TOKENS], "192.0.2.1")
    return first * 1e6, (time.perf_counter() - began) / CACHED * 1e6


def bare_check() -> float:
    """Microseconds of a bare verification of as many bytes."""
    key = Ed25519PrivateKey.generate()
    said = access_token().rpartition(".")[0].encode()
    signature, public = key.sign(said), key.public_key()
    began = time.perf_counter()
    for _ in range(TOKENS):
        public.verify(signature, said)
    return (time.perf_counter() - began) / TOKENS * 1e6


def principals() -> tuple[float, float]:
    """Microseconds of a principal that is made and verified for the first time, and again."""
    signer = Signer({"gateway": private_key(seed_of("gateway"))})
    verifier = Verifier(["organ"], read_public_keys(PEERS))
    may = frozenset({"scans.read", "scans.run", "results.read", "evidence.read", "modules.read"})
    callers = [Caller(UUID(int=7), "jo", "person", may, uuid4()) for _ in range(TOKENS)]

    def each_once() -> float:
        began = time.perf_counter()
        for caller in callers:
            verifier.verify(signer.sign(caller, "organ"))
        return (time.perf_counter() - began) / TOKENS * 1e6

    return each_once(), each_once()


async def beside_passwords() -> tuple[float, float, float]:
    """Milliseconds of one password; of a question in the same process, the 99th percentile, without and beside ten."""
    passwords = Passwords()
    kept = await passwords.make("correct horse battery")
    began = time.perf_counter()
    await passwords.verify(kept, "correct horse battery")
    one = time.perf_counter() - began

    async def waits(until: Callable[[], bool]) -> float:
        """How late the loop is that is asked each millisecond."""
        late = []
        while not until() or len(late) < 200:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - began - 0.001)
        return sorted(late)[int(len(late) * 0.99)]

    alone = await waits(lambda: True)
    asked: list[Awaitable[Any]] = [passwords.verify(kept, "correct horse battery") for _ in range(10)]
    hashing = asyncio.gather(*asked)
    beside = await waits(hashing.done)
    return one * 1e3, alone * 1e3, beside * 1e3


def run(options: Options) -> list[Figure]:
    found: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    for _ in range(options.runs):
        first, cached = asyncio.run(checks())
        made, again = principals()
        one, alone, beside = asyncio.run(beside_passwords())
        note(first=first, cached=cached, bare=bare_check(), made=made, again=again, one=one, alone=alone, beside=beside)
    middles = {name: middle(values) for name, values in found.items()}
    spans = {name: span(values) for name, values in found.items()}
    return [
        Figure(
            what="the first check of an access token", value=middles["first"], unit="µs", bar=300, at_most=True,
            bare=middles["bare"], spread=spans["first"],
        ),
        Figure(
            what="a check of one that is known", value=middles["cached"], unit="µs", bar=50, at_most=True,
            spread=spans["cached"],
        ),
        Figure(what="a principal, made and verified", value=middles["made"], unit="µs", spread=spans["made"]),
        Figure(what="the same principal again", value=middles["again"], unit="µs", spread=spans["again"]),
        Figure(what="a password (19 MiB, t=2, p=1)", value=middles["one"], unit="ms", spread=spans["one"]),
        Figure(
            what="how late the loop is beside ten passwords, p99", value=middles["beside"], unit="ms",
            bare=middles["alone"], spread=spans["beside"], beside="bare: without them",
        ),
    ]  # fmt: skip


BENCH = Bench(
    name="identities",
    bar="first token check ≤ 300 µs, a cached one ≤ 50 µs; passwords at OWASP's cost, others not delayed",
    run=run,
)
