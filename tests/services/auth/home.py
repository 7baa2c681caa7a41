"""auth and users in one process, and people who log in there."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from argon2 import PasswordHasher
from joserfc import jwt
from joserfc.jwk import KeySet
from msgspec.structs import replace

from services.auth import consumers
from services.auth.api import DOORS
from services.auth.service import service
from services.auth.usecases import (
    accounts,
    authenticators,
    codes,
    identities,
    keys,
    oidc,
    passkeys,
    proofs,
    providers,
    resets,
    revocations,
    scripts,
    sessions,
    throttle,
)
from services.auth.usecases.passwords import Passwords
from services.contracts import resources as r
from services.contracts.facts import OperatorChanged, RoleChanged
from services.contracts.keys import KEYS
from services.contracts.permissions import ACCOUNT, permissions_of
from services.contracts.settings import AuthSettings, LoginProvider
from services.gateway.service import service as gateway
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import ANYBODY, Caller, CallsOf, LocalCalls, Nothing, operator
from services.kernel.egress import Egress, Guard
from services.kernel.live import Live
from services.kernel.messages import EVERYWHERE
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.seal import Seal, make_key
from services.kernel.service import Ports, Received
from services.kernel.settings import Settings
from services.kernel.sql import migrations
from services.kernel.values.local import LocalValues
from services.users.api import DOORS as USERS
from services.users.service import service as users_service
from tests.services.auth.openid_provider import CLIENT, SECRET, Provider
from tests.stores import Stores

PASSWORD = "correct horse battery"
MODULES: tuple[ModuleType, ...] = (
    *(accounts, authenticators, codes, identities, keys, oidc, passkeys, proofs, providers),
    *(resets, revocations, scripts, sessions, throttle, consumers),
)
NOBODY = Caller(EVERYWHERE, "nobody", permissions=frozenset({ANYBODY}), address="192.0.2.1")


class Clock:
    """Microseconds that pass when they are told to, one with each look."""

    def __init__(self) -> None:
        self.at = time.time_ns() // 1000

    def __call__(self) -> int:
        self.at += 1
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * 1_000_000)


class Home:
    """``ports`` are auth's; ``users`` those of users, which auth asks."""

    def __init__(self, folder: Path, stores: Stores, clock: Clock) -> None:
        self.clock = clock
        self.cache = MemoryCache(clock=lambda: clock.at / 1_000_000)
        calls = LocalCalls({each.name: each.asks for each in (service, gateway)})
        sql, their = stores.open(folder / "auth.db"), stores.open(folder / "users.db")
        self.users = Ports("users", sql=their)
        self.users.outbox = Outbox(their, None, "users")  # type: ignore[arg-type]
        self.ports = Ports(
            "auth", sql=sql, cache=self.cache, seal=Seal(make_key()), calls=CallsOf("auth", calls),
            settings=Settings(), egress=Egress(Guard()), values=LocalValues(),
            live=Live("auth", AuthSettings),
        )  # fmt: skip
        self.ports.outbox = Outbox(sql, None, "auth")  # type: ignore[arg-type]
        calls.serve(self.users, USERS)
        calls.serve(self.ports, DOORS)
        self.calls = calls

    async def open(self, monkeypatch: pytest.MonkeyPatch) -> "Home":
        """Bring the databases forward; passwords cost next to nothing: what they cost is a test of its own."""
        monkeypatch.setattr(Passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        await self.ports.sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
        await self.users.sql.migrate([*MIGRATIONS, *migrations.load(users_service.migrations)])
        return self

    async def close(self) -> None:
        await self.ports.sql.close()
        await self.users.sql.close()

    async def first(self, email: str = "jo@example.org", password: str = PASSWORD) -> r.LoggedIn:
        """The first account, logged in."""
        offered = await accounts.offer_first_account(self.ports, operator(EVERYWHERE), Nothing())
        assert offered.code is not None
        new = r.FirstAccount(code=offered.code, email=email, name="Jo Doe", password=password, device="a laptop")
        return await accounts.create_first_account(self.ports, NOBODY, new)

    async def invited(self, boss: r.LoggedIn, email: str, role: str, password: str = PASSWORD) -> r.LoggedIn:
        """Another account, which was invited, logged in."""
        from services.users.usecases.invitations import invite

        made = await invite(self.users, self.caller(boss), r.NewInvitation(email, role))  # type: ignore[arg-type]
        new = r.NewAccount(code=made.code, name=email, password=password)
        return await accounts.create_account(self.ports, NOBODY, new)

    async def log_in(self, email: str = "jo@example.org", password: str = PASSWORD, **more: Any) -> r.LoginStep:
        address = more.pop("address", NOBODY.address)
        asked = r.LogIn(email=email, password=password, **more)
        return await accounts.log_in(self.ports, replaced(NOBODY, address), asked)

    async def refresh(self, token: str, workspace: str = "") -> r.LoggedIn:
        return await sessions.refresh(self.ports, NOBODY, r.Refresh(refresh=token, workspace=workspace))

    async def know(self, provider: Provider, ca_file: Path, name: str = "acme", **settings: Any) -> None:
        """Set a provider, and the secret that it knows, as an operator does."""
        self.ports.settings = Settings(ca_file=str(ca_file))
        made = LoginProvider(issuer=provider.issuer, client_id=CLIENT, **settings)
        self.ports.live.now = replace(self.ports.live.now, providers={**self.ports.live.now.providers, name: made})
        await self.ports.values.put(f"{KEYS}oidc_{name}", self.ports.seal.seal(f"oidc_{name}", SECRET).encode())

    def caller(self, session: r.LoggedIn) -> Caller:
        """Whoever is logged in, as the gateway lets him ask."""
        return Caller(
            session.workspace or EVERYWHERE, session.name, "person",
            permissions_of(*session.roles) | {ACCOUNT, ANYBODY}, session.account, session=session.session,
            address="192.0.2.1",
        )  # fmt: skip

    async def claims(self, access: str) -> dict[str, Any]:
        """What an access token says, by the keys that are published."""
        published = await keys.publish_keys(self.ports, NOBODY, Nothing())
        found = jwt.decode(access, KeySet.import_key_set({"keys": list(published.keys)}), algorithms=["Ed25519"])  # type: ignore[typeddict-item]
        return found.claims

    async def revoked(self, after: int = 0) -> list[str]:
        found = await revocations.list_revocations(self.ports, NOBODY, r.RevocationsQuery(after))
        return [each.subject for each in found.revoked]

    async def hear(self, account: UUID, workspace: UUID, *, member: bool = True) -> None:
        """Say that an account is something else in a workspace now."""
        said = Received(RoleChanged(account=account, at=self.clock(), member=member), workspace, self.clock())
        async with self.ports.outbox.unit() as unit:
            await consumers.role_changed(self.ports, unit, [said])

    async def hear_of_operator(self, account: UUID) -> None:
        """Say that an account is an operator now, or is none any more."""
        said = Received(OperatorChanged(account=account, at=self.clock()), EVERYWHERE, self.clock())
        async with self.ports.outbox.unit() as unit:
            await consumers.operator_changed(self.ports, unit, [said])


def replaced(caller: Caller, address: str) -> Caller:
    return Caller(caller.workspace, caller.name, permissions=caller.permissions, address=address)


def patched(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in MODULES:
        if hasattr(module, "now"):
            monkeypatch.setattr(module, "now", clock)
    return clock
