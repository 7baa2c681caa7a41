"""Who has a token that is good is let in as who he is; what is revoked lets nobody in, and neither does not knowing."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from services.auth.service import service as auth
from services.auth.usecases import revocations, scripts, sessions
from services.auth.usecases.keys import signing_key
from services.contracts import resources as r
from services.contracts.access import ACCESS_SECONDS
from services.contracts.permissions import ACCOUNT, permissions_of
from services.contracts.progress import Heartbeat
from services.gateway.usecases import identities as module
from services.gateway.usecases.identities import SILENCE, UNKNOWN, Identities
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import ANYBODY, A, Caller, Calls, Endpoint, Nothing, Q
from services.kernel.errors import Denied, Unauthenticated, Unavailable
from services.kernel.messages import EVERYWHERE
from services.kernel.streams import consumers_of, streams_of
from services.kernel.tokens import make_token
from tests.services.auth.home import Clock, Home, patched
from tests.stores import Stores


class Auth(Calls):
    """auth, which may be away, and counts what it is asked."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.asked: list[str] = []
        self.away = False

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        self.asked.append(endpoint.name)
        if self.away:
            raise Unavailable("auth is away")
        return await self._home.calls.ask(endpoint, question, caller, seconds=seconds)

    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> Any:
        raise AssertionError


class Door:
    """The gateway's part of it; heartbeats come when they are told to."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.auth = Auth(home)
        self.seconds = 1000.0
        self.identities = Identities(self.auth, lambda: home.clock.at / 1_000_000, lambda: self.seconds)

    async def beat(self) -> None:
        found = await revocations.list_revocations(self.home.ports, Caller(EVERYWHERE, ""), r.RevocationsQuery(0))
        await self.identities.hear(Heartbeat(last=found.last, at=self.home.clock.at))

    async def let_in(self, token: str, **headers: str) -> Caller:
        said = {"authorization": f"Bearer {token}", **headers}
        return await self.identities.identify(said, "192.0.2.9")

    def recalls(self, token: str, **headers: str) -> bool:
        """Whether it is known here whose token this is."""
        said = {"authorization": f"Bearer {token}", **headers}
        return self.identities.recall(said, "192.0.2.9") is not None

    def forward(self, seconds: float) -> None:
        self.seconds += seconds
        self.home.clock.forward(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return patched(monkeypatch)


@pytest.fixture
async def door(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    home = await Home(tmp_path, Stores(), clock).open(monkeypatch)
    opened = Door(home)
    await opened.beat()
    yield opened
    await home.close()


async def script(home: Home, session: r.LoggedIn, *permissions: str, days: float = 2) -> r.MadeToken:
    new = r.NewToken(name="nightly", permissions=permissions, expires=home.clock.at + int(days * 86_400_000_000))
    return await scripts.create_token(home.ports, home.caller(session), new)


# --- who is let in ---


async def test_who_is_logged_in_is_who_he_is_where_he_is(door: Door) -> None:
    jo = await door.home.first()
    assert jo.workspace is not None
    caller = await door.let_in(jo.access)
    assert caller == Caller(
        jo.workspace, "Jo Doe", "person", permissions_of("owner", "operator") | {ACCOUNT, ANYBODY}, jo.account, "",
        jo.session, "192.0.2.9",
    )  # fmt: skip


async def test_a_script_may_what_it_was_given_and_is_no_person(door: Door) -> None:
    jo = await door.home.first()
    made = await script(door.home, jo, "scans.read")
    caller = await door.let_in(made.token)
    assert (caller.kind, caller.permissions, caller.account, caller.session) == (
        "token", {"scans.read", ANYBODY}, jo.account, made.view.id,
    )  # fmt: skip


async def test_who_says_nothing_is_nobody_also_while_auth_is_away(door: Door) -> None:
    door.auth.away = True
    door.forward(3600)
    caller = await door.identities.identify({}, "192.0.2.9")
    assert (caller.account, caller.permissions, caller.workspace, caller.address) == (
        None, {ANYBODY}, EVERYWHERE, "192.0.2.9",
    )  # fmt: skip


async def test_a_token_is_good_in_its_own_workspace(door: Door) -> None:
    jo = await door.home.first()
    for named in ("default", str(jo.workspace)):
        assert (await door.let_in(jo.access, **{"mirage-workspace": named})).workspace == jo.workspace
    for named in ("other", str(uuid4())):
        with pytest.raises(Denied, match="for another workspace"):
            await door.let_in(jo.access, **{"mirage-workspace": named})


async def test_auth_is_asked_once_about_a_token_and_for_its_keys(door: Door) -> None:
    jo = await door.home.first()
    made = await script(door.home, jo, "scans.read")
    door.auth.asked.clear()
    for _ in range(5):
        await door.let_in(jo.access)
        await door.let_in(made.token)
    assert sorted(door.auth.asked) == ["check_token", "publish_keys"]
    door.forward(ACCESS_SECONDS)
    await door.beat()
    await door.let_in(made.token)
    assert door.auth.asked.count("check_token") == 2


# --- who is not ---


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_what_auth_did_not_sign_lets_nobody_in(door: Door) -> None:
    jo = await door.home.first()
    kid, key = await signing_key(door.home.ports)
    claims = await door.home.claims(jo.access)
    head, body, signature = jo.access.split(".")

    def signed(said: dict[str, Any], by: OKPKey = key, **header: Any) -> str:
        named = {"alg": "Ed25519", "typ": "at+jwt", "kid": kid, **header}
        return jwt.encode(named, said, by, algorithms=["Ed25519"])

    assert (await door.let_in(signed(claims))).account == jo.account  # what is made here is as what auth makes
    public = OctKey.import_key(key.as_dict(private=False)["x"])
    bad = [
        "", "x", "x.y.z", f"{head}.{body}.", f"{head}.{body}", f"{part({'alg': 'none', 'kid': kid})}.{body}.",
        f"{head}.{part({**claims, 'roles': ['operator']})}.{signature}", signed(claims, OKPKey.generate_key("Ed25519")),
        signed(claims, OKPKey.generate_key("Ed25519"), kid="unknown"), signed(claims, typ="JWT"),
        jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, public, algorithms=["HS256"]),
        *(signed({**claims, **said}) for said in (
            {"aud": "another"}, {"iss": "another"}, {"exp": claims["iat"]}, {"iat": claims["iat"] + 60},
            {"exp": claims["exp"] + 1}, {"sub": "jo"}, {"sid": None}, {"rev": "0"}, {"roles": "owner"},
        )),
        make_token("pat"), make_token("ref"), jo.refresh, "mirage_pat_" + "0" * 49, "é", "a" * 9000,
    ]  # fmt: skip
    for token in bad:
        with pytest.raises(Unauthenticated):
            await door.let_in(token)
    for said in ("", "Bearer", f"Basic {jo.access}", jo.access, f"Bearer {jo.access} x", f"Bearer\t{jo.access}"):
        with pytest.raises(Unauthenticated):
            await door.identities.identify({"authorization": said}, "")
    # A role that nobody knows is none.
    assert (await door.let_in(signed({**claims, "roles": ["root"]}))).permissions == {ACCOUNT, ANYBODY}


async def test_a_token_is_good_until_it_ends_though_it_was_seen_before(door: Door) -> None:
    jo = await door.home.first()
    made = await script(door.home, jo, "scans.read", days=1 / 1440)
    await door.let_in(jo.access)
    await door.let_in(made.token)
    for seconds, token in ((60, made.token), (ACCESS_SECONDS - 60, jo.access)):
        door.forward(seconds)
        await door.beat()
        with pytest.raises(Unauthenticated):
            await door.let_in(token)


async def test_what_is_revoked_lets_nobody_in_from_the_next_heartbeat_on(door: Door) -> None:
    home = door.home
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "admin")
    other = (await home.log_in()).session
    assert other is not None
    assert jo.workspace is not None
    made = await script(home, jo, "scans.read")
    kept = await script(home, jo, "scans.read")
    for token in (jo.access, mo.access, other.access, made.token, kept.token):
        await door.let_in(token)
    await sessions.end_session(home.ports, home.caller(jo), r.SessionRef(other.session))
    await scripts.end_token(home.ports, home.caller(jo), r.TokenRef(made.view.id))
    await home.hear(mo.account, jo.workspace)
    await door.beat()
    for token in (other.access, made.token, mo.access):
        with pytest.raises(Unauthenticated):
            await door.let_in(token)
    for token in (jo.access, kept.token):
        await door.let_in(token)
    after = await home.refresh(mo.refresh)
    assert (await door.let_in(after.access)).account == mo.account, "what was given since knows of it"
    fresh = Door(home)
    await fresh.beat()
    for token in (other.access, made.token, mo.access):
        with pytest.raises(Unauthenticated):
            await fresh.let_in(token)
    await fresh.let_in(after.access)


async def test_a_script_goes_on_by_what_it_may_after_a_change_of_roles(door: Door) -> None:
    from services.users.usecases.workspaces import set_role

    home = door.home
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "analyst")
    assert mo.workspace is not None
    made = await script(home, mo, "scans.read", "scans.run")
    assert "scans.run" in (await door.let_in(made.token)).permissions
    await set_role(home.users, home.caller(jo), r.SetRole(mo.account, "viewer"))
    await home.hear(mo.account, mo.workspace)
    await door.beat()
    for _ in range(2):
        assert (await door.let_in(made.token)).permissions == {"scans.read", ANYBODY}
    await home.hear(mo.account, mo.workspace)
    await scripts.end_token(home.ports, home.caller(mo), r.TokenRef(made.view.id))
    await door.beat()
    with pytest.raises(Unauthenticated):
        await door.let_in(made.token)


async def test_whoever_waits_is_told_when_what_he_was_let_in_by_is_revoked(door: Door) -> None:
    home = door.home
    jo = await home.first()
    other = (await home.log_in()).session
    assert other is not None
    made = await script(home, jo, "scans.read")
    here, there, it = [await door.let_in(each) for each in (jo.access, other.access, made.token)]
    nobody = await door.identities.identify({}, "")
    watched = door.identities.watched
    with watched(here) as ours, watched(there) as others, watched(it) as its, watched(nobody) as nobodys:
        await sessions.end_session(home.ports, home.caller(jo), r.SessionRef(other.session))
        await door.beat()
        assert [each.is_set() for each in (ours, others, its, nobodys)] == [False, True, False, False]
        await scripts.end_token(home.ports, home.caller(jo), r.TokenRef(made.view.id))
        await door.beat()
        assert [each.is_set() for each in (ours, its)] == [False, True]
    assert door.identities._watched == {}


@pytest.mark.parametrize("kind", ["script", "person"])
async def test_who_watches_is_told_when_that_by_which_he_asked_is_over(door: Door, kind: str) -> None:
    jo = await door.home.first()
    made = await script(door.home, jo, "scans.read", days=1 / 24)
    caller = await door.let_in(made.token if kind == "script" else jo.access)
    lasts = 3600 if kind == "script" else module.LONGEST_WATCH
    nobody = await door.identities.identify({}, "")
    with door.identities.watched(caller) as over, door.identities.watched(nobody) as nobodys:
        for _ in range(int(lasts / 300) - 1):
            door.forward(300)
            await door.beat()
        assert not over.is_set()
        door.forward(301)
        await door.beat()
        assert (over.is_set(), nobodys.is_set()) == (True, False)
    assert door.identities._over_at == {}


async def test_a_token_that_is_not_remembered_any_more_is_watched_by_for_minutes_only(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 1)
    jo = await door.home.first()
    made = [await script(door.home, jo, "scans.read", days=days) for days in (1 / 24, 2)]
    caller, _ = [await door.let_in(each.token) for each in made]
    with door.identities.watched(caller) as over:
        for _ in range(2):
            door.forward(ACCESS_SECONDS / 2)
            await door.beat()
        assert over.is_set()


async def test_who_watches_is_told_of_what_was_revoked_while_nothing_was_heard_however_long(door: Door) -> None:
    jo = await door.home.first()
    caller = await door.let_in(jo.access)
    with door.identities.watched(caller) as revoked:
        await sessions.log_out(door.home.ports, door.home.caller(jo), Nothing())
        door.forward(700)
        await door.beat()
        assert revoked.is_set()


async def test_who_watches_is_told_once_nothing_was_heard_for_as_long_as_a_token_is_good(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.001)
    caller = await door.let_in((await door.home.first()).access)
    bus = SqliteBus(tmp_path / "silent.db")
    await bus.declare(streams_of([auth]), consumers_of({}))
    following = asyncio.create_task(door.identities.follow(bus))
    with door.identities.watched(caller) as revoked:
        door.forward(ACCESS_SECONDS)
        door.identities.look()
        assert not revoked.is_set()
        door.forward(1)
        await asyncio.wait_for(revoked.wait(), 20)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await bus.close()


async def test_a_heartbeat_of_another_time_counts_for_nothing(door: Door) -> None:
    jo = await door.home.first()
    door.forward(SILENCE + 1)
    for at in (1, door.home.clock.at - 60_000_000, door.home.clock.at + 60_000_000):
        await door.identities.hear(Heartbeat(last=0, at=at))
        with pytest.raises(Unavailable):
            await door.let_in(jo.access)
    await door.beat()
    await door.let_in(jo.access)


async def test_without_a_heartbeat_nobody_is_let_in_who_has_a_token(door: Door) -> None:
    jo = await door.home.first()
    await door.let_in(jo.access)
    door.forward(SILENCE)
    await door.let_in(jo.access)
    door.forward(0.1)
    with pytest.raises(Unavailable, match="which tokens are good"):
        await door.let_in(jo.access)
    await door.beat()
    await door.let_in(jo.access)
    with pytest.raises(Unavailable):
        await Identities(door.auth).identify({"authorization": f"Bearer {jo.access}"}, "")  # at the start


async def test_a_heartbeat_counts_once_all_is_known_that_it_knows_of(door: Door) -> None:
    home = door.home
    jo = await home.first()
    assert jo.workspace is not None
    await home.hear(jo.account, jo.workspace)
    door.auth.away = True
    door.forward(SILENCE + 1)
    with pytest.raises(Unavailable):
        await door.beat()
    with pytest.raises(Unavailable):
        await door.let_in(jo.access)
    door.auth.away = False
    await door.beat()
    with pytest.raises(Unauthenticated):
        await door.let_in(jo.access)


async def test_an_auth_that_remembers_less_than_before_is_asked_anew(door: Door) -> None:
    home = door.home
    jo = await home.first()
    assert jo.workspace is not None
    await door.let_in(jo.access)
    await home.hear(uuid4(), jo.workspace)
    await door.beat()
    async with home.ports.sql.begin() as tx:
        await tx.execute("DELETE FROM revocation")
    await door.beat()
    door.auth.asked.clear()
    await door.let_in(jo.access)
    assert door.identities._last == 0


async def test_keys_are_read_anew_for_one_that_is_not_known_and_not_more_often_than_once_a_second(door: Door) -> None:
    jo = await door.home.first()
    await door.let_in(jo.access)
    door.auth.asked.clear()
    stranger = OKPKey.generate_key("Ed25519")
    claims = await door.home.claims(jo.access)
    for number in range(20):
        forged = jwt.encode({"alg": "Ed25519", "kid": str(number)}, claims, stranger, algorithms=["Ed25519"])
        with pytest.raises(Unauthenticated):
            await door.let_in(forged)
    assert door.auth.asked == []  # a moment ago they were read
    door.forward(1)
    for number in range(20):
        forged = jwt.encode({"alg": "Ed25519", "kid": str(number)}, claims, stranger, algorithms=["Ed25519"])
        with pytest.raises(Unauthenticated):
            await door.let_in(forged)
    assert door.auth.asked == ["publish_keys"]


async def test_while_auth_cannot_be_asked_for_its_keys_nobody_is_told_that_his_token_is_bad(door: Door) -> None:
    jo = await door.home.first()
    door.auth.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await door.let_in(jo.access)
    door.auth.away = False
    assert (await door.let_in(jo.access)).account == jo.account


async def test_of_a_token_that_it_does_not_know_auth_is_asked_once_in_some_seconds(door: Door) -> None:
    jo = await door.home.first()
    token = make_token("pat")
    for seconds in (0.0, 1.0, UNKNOWN - 1.1):
        door.seconds += seconds
        await door.beat()
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await door.let_in(token)
    assert door.auth.asked.count("check_token") == 1
    made = await script(door.home, jo, "scans.read")
    assert (await door.let_in(made.token)).session == made.view.id, "one that is made at this moment is good at once"
    door.forward(0.2)
    with pytest.raises(Unauthenticated):
        await door.let_in(token)
    assert door.auth.asked.count("check_token") == 3


async def test_strangers_have_nobody_forgotten_and_are_forgotten_themselves(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    jo = await door.home.first()
    made = await script(door.home, jo, "scans.read")
    for token in (jo.access, made.token):
        await door.let_in(token)
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await door.let_in(make_token("pat"))
    assert len(door.identities._unknown) == 5
    door.auth.asked.clear()
    for token in (jo.access, made.token):
        assert door.recalls(token)
        await door.let_in(token)
    assert door.auth.asked == []


async def test_what_is_remembered_longest_is_forgotten_first(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    jo = await door.home.first()
    made = [await script(door.home, jo, "scans.read") for _ in range(4)]
    for each in made:
        await door.let_in(each.token)
    assert [door.recalls(each.token) for each in made] == [False, True, True, True]


async def test_who_is_recalled_is_whoever_is_let_in_at_this_moment(door: Door) -> None:
    jo = await door.home.first()
    assert not door.recalls(jo.access)
    caller = await door.let_in(jo.access)
    assert door.identities.recall({"authorization": f"Bearer {jo.access}"}, "192.0.2.9") == caller
    assert not door.recalls(f"{jo.access}x")
    with pytest.raises(Denied):
        door.recalls(jo.access, **{"mirage-workspace": "other"})
    await sessions.end_session(door.home.ports, door.home.caller(jo), r.SessionRef(jo.session))
    await door.beat()
    assert not door.recalls(jo.access)
    door.forward(SILENCE + 1)
    with pytest.raises(Unavailable):
        door.recalls(jo.access)


async def test_what_is_remembered_has_a_bound(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    home = door.home
    jo = await home.first()
    assert jo.workspace is not None
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for _ in range(5):
        step = await home.log_in()
        assert step.session is not None
        await door.let_in(step.session.access)
    assert len(door.identities._known) <= 3
    for _ in range(3):
        await home.hear(uuid4(), jo.workspace)
        await door.beat()
    door.forward(ACCESS_SECONDS + 61)
    await home.hear(uuid4(), jo.workspace)
    await door.beat()
    assert len(door.identities._revoked) == 1


# --- over the bus ---


async def test_a_revocation_arrives_within_a_second(door: Door, tmp_path: Path) -> None:
    home = door.home
    jo = await home.first()
    bus = SqliteBus(tmp_path / "bus.db")
    await bus.declare(streams_of([auth]), consumers_of({}))
    home.ports.bus = bus
    identities = Identities(door.auth)
    tasks = [asyncio.create_task(each) for each in (revocations.beat(home.ports), identities.follow(bus))]
    try:
        async with asyncio.timeout(10):
            while identities._heard < 0:
                await asyncio.sleep(0.01)
        said = {"authorization": f"Bearer {jo.access}"}
        await identities.identify(said, "")
        await sessions.log_out(home.ports, home.caller(jo), Nothing())
        async with asyncio.timeout(1):
            while not identities._revoked:
                await asyncio.sleep(0.001)
        with pytest.raises(Unauthenticated):
            await identities.identify(said, "")
        assert not [each for each in tasks if each.done()]
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()
