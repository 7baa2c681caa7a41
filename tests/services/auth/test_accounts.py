"""Nobody gets in who is not who he says, and what is said of that helps nobody to guess."""

import asyncio
import threading
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.auth.domain.passwords import check_password
from services.auth.domain.sessions import network_of
from services.auth.store import accounts as account_store
from services.auth.usecases import accounts, passwords, sessions
from services.auth.usecases.passwords import Passwords, passwords_of
from services.auth.usecases.throttle import NETWORK, PERSON, SITE, STRANGERS, slow_down
from services.contracts import resources as r
from services.kernel.calls import Nothing, operator
from services.kernel.errors import Conflict, Denied, Invalid, Limited, NotFound, Unauthenticated, Unavailable
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.tokens import make_token
from tests.services.auth.home import NOBODY, PASSWORD, Clock, Home, replaced


async def test_the_first_account_is_made_by_the_code_that_was_shown_last_and_once(home: Home) -> None:
    codes = [(await accounts.offer_first_account(home.ports, operator(EVERYWHERE), Nothing())).code for _ in range(2)]
    for code in (codes[0], "", "guess", make_token("one"), make_token("inv")):
        with pytest.raises(Denied, match="the code is wrong, or there is an account already"):
            await accounts.create_first_account(
                home.ports,
                NOBODY,
                r.FirstAccount(code=code or "", email="mo@example.org", name="Mo", password=PASSWORD),
            )
    new = r.FirstAccount(code=codes[1] or "", email="Jo@Example.org", name="Jo Doe", password=PASSWORD, device="x")
    made = await accounts.create_first_account(home.ports, NOBODY, new)
    assert (made.email, made.workspace, made.roles) == (
        "jo@example.org",
        workspace_id("default"),
        ("owner", "operator"),
    )
    assert (await accounts.offer_first_account(home.ports, operator(EVERYWHERE), Nothing())).code is None
    with pytest.raises(Denied):
        await accounts.create_first_account(home.ports, NOBODY, new)


async def breaking_off(home: Home, monkeypatch: pytest.MonkeyPatch, making: Awaitable[Any]) -> None:
    """Make an account until it is somebody, and no further."""

    async def breaks(*_: Any) -> bool:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(account_store, "add_account", breaks)
        with pytest.raises(Unavailable):
            await making


async def test_a_first_account_whose_making_broke_off_is_made_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    await breaking_off(home, monkeypatch, home.first())
    with pytest.raises(Unauthenticated):
        await home.log_in()
    made = await home.first("joan@example.org", "another horse battery")
    assert (made.email, made.roles) == ("joan@example.org", ("owner", "operator"))
    assert (await home.log_in("joan@example.org", "another horse battery")).session is not None
    with pytest.raises(Unauthenticated):
        await home.log_in()


async def test_an_account_whose_making_broke_off_is_of_who_has_its_code(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.users.usecases.invitations import invite
    from services.users.usecases.workspaces import create_workspace

    boss = await home.first()
    code = (await invite(home.users, home.caller(boss), r.NewInvitation("mo@example.org", "owner"))).code
    mine = r.NewAccount(code=code, name="Mo", password=PASSWORD)
    await breaking_off(home, monkeypatch, accounts.create_account(home.ports, NOBODY, mine))
    acme = await create_workspace(home.users, home.caller(boss), r.NewWorkspace("acme"))
    other = (await invite(home.users, operator(acme.id), r.NewInvitation("mo@example.org", "viewer"))).code
    for name in ("Thief", "\u202e"):
        with pytest.raises((Conflict, Invalid)):
            await accounts.create_account(
                home.ports, NOBODY, r.NewAccount(code=other, name=name, password="the thief's password")
            )
    with pytest.raises(Unauthenticated):
        await home.log_in("mo@example.org", "the thief's password")
    made = await accounts.create_account(home.ports, NOBODY, mine)
    assert (made.email, made.roles) == ("mo@example.org", ("owner",))
    with pytest.raises(Conflict, match="this account was made before"):
        await accounts.create_account(home.ports, NOBODY, r.NewAccount(code=code, name="Mo", password="p" + PASSWORD))
    assert (await home.log_in("mo@example.org")).session is not None


async def test_a_password_that_is_the_address_is_refused_and_the_code_stays_good(home: Home) -> None:
    from services.users.usecases.invitations import invite

    boss = await home.first()
    code = (await invite(home.users, home.caller(boss), r.NewInvitation("marianne@example.org", "viewer"))).code
    for password, good in (("marianne@example.org", False), ("short", False), (PASSWORD, True)):
        new = r.NewAccount(code=code, name="Mo", password=password)
        if good:
            assert (await accounts.create_account(home.ports, NOBODY, new)).email == "marianne@example.org"
        else:
            with pytest.raises(Invalid):
                await accounts.create_account(home.ports, NOBODY, new)


async def test_who_was_invited_makes_an_account_with_the_address_that_was_invited(home: Home) -> None:
    boss = await home.first()
    mo = await home.invited(boss, "Mo@Example.org", "analyst")
    assert (mo.email, mo.roles, mo.workspace) == ("mo@example.org", ("analyst",), boss.workspace)
    assert (await home.log_in("MO@example.org")).session is not None
    with pytest.raises(Conflict):
        await home.invited(boss, "mo@example.org", "analyst")
    with pytest.raises(NotFound):
        await accounts.create_account(
            home.ports, NOBODY, r.NewAccount(code=make_token("inv"), name="So", password=PASSWORD)
        )


async def test_one_who_has_an_account_cannot_be_taken_over_by_an_invitation_to_his_address(home: Home) -> None:
    from services.users.usecases.invitations import invite
    from services.users.usecases.workspaces import create_workspace

    boss = await home.first()
    await home.invited(boss, "mo@example.org", "viewer")
    acme = await create_workspace(home.users, home.caller(boss), r.NewWorkspace("acme"))
    made = await invite(home.users, operator(acme.id), r.NewInvitation("mo@example.org", "owner"))
    with pytest.raises(Conflict, match="log in, and accept the invitation"):
        await accounts.create_account(
            home.ports, NOBODY, r.NewAccount(code=made.code, name="Thief", password="the thief's password")
        )
    assert (await home.log_in("mo@example.org")).session is not None


async def test_what_is_wrong_is_said_alike_for_those_who_are_known_and_those_who_are_not(home: Home) -> None:
    await home.first()
    said = set()
    for email, password in (
        ("jo@example.org", "wrong horse battery"),
        ("mo@example.org", PASSWORD),
        ("", ""),
        ("x", PASSWORD),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await home.log_in(email, password)
        said.add(str(caught.value))
    assert said == {"the address or the password is wrong"}


async def test_a_password_is_compared_whoever_it_is_said_to_be_of(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    await home.first()
    compared: list[str] = []
    verify = Passwords._verify

    def note(self: Passwords, kept: str, password: str) -> bool:
        compared.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(Passwords, "_verify", note)
    for email in ("jo@example.org", "mo@example.org"):
        with pytest.raises(Unauthenticated):
            await home.log_in(email, "wrong horse battery")
    assert [bool(kept) for kept in compared] == [True, False]
    assert passwords_of(home.ports)._nobodys.split("$")[:4] == compared[0].split("$")[:4], "at the same cost"


async def test_a_password_that_was_kept_at_another_cost_is_kept_anew(home: Home) -> None:
    await home.first()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    async with home.ports.sql.begin() as tx:
        known = await account_store.find_account(tx, "jo@example.org")
        assert known is not None
        await account_store.set_password(tx, known.account, old)
    assert (await home.log_in()).session is not None
    async with home.ports.sql.read() as view:
        known = await account_store.find_account(view, "jo@example.org")
    assert known is not None
    assert known.password.split("$")[3] == "m=8,t=1,p=1"
    assert (await home.log_in()).session is not None


async def test_a_login_that_is_under_way_does_not_outlive_its_password(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = await home.first()
    needs = accounts.needs_code

    async def meanwhile(*arguments: Any) -> bool:
        monkeypatch.setattr(accounts, "needs_code", needs)
        change = r.ChangePassword(old=PASSWORD, new="a new horse battery")
        await accounts.change_password(home.ports, home.caller(this), change)
        return await needs(*arguments)

    monkeypatch.setattr(accounts, "needs_code", meanwhile)
    with pytest.raises(Unauthenticated, match="the password was changed"):
        await home.log_in()
    assert len(await sessions.list_sessions(home.ports, home.caller(this), Nothing())) == 1


async def test_a_changed_password_ends_all_other_sessions(home: Home) -> None:
    this = await home.first()
    other = (await home.log_in()).session
    assert other is not None
    caller = home.caller(this)
    with pytest.raises(Denied, match="the password is another one"):
        await accounts.change_password(home.ports, caller, r.ChangePassword(old="wrong", new="a new horse battery"))
    with pytest.raises(Invalid):
        await accounts.change_password(home.ports, caller, r.ChangePassword(old=PASSWORD, new="short"))
    await accounts.change_password(home.ports, caller, r.ChangePassword(old=PASSWORD, new="a new horse battery"))
    assert [each.id for each in await sessions.list_sessions(home.ports, caller, Nothing())] == [this.session]
    assert await home.revoked() == [f"session:{other.session.hex}"]
    with pytest.raises(Unauthenticated):
        await home.refresh(other.refresh)
    with pytest.raises(Unauthenticated):
        await home.log_in()
    assert (await home.log_in(password="a new horse battery")).session is not None


# --- guessing ---


async def is_taken(home: Home, email: str, address: str) -> bool:
    """Whether a guess is looked at, which is wrong then."""
    try:
        await home.log_in(email, "wrong horse battery", address=address)
    except Unauthenticated:
        return True
    except Limited as limited:
        return limited.seconds <= 0
    raise AssertionError


async def guesses(home: Home, email: str, address: str) -> int:
    """How many guesses are taken before the next one has to wait."""
    taken = 0
    while await is_taken(home, email, address):
        taken += 1
    return taken


async def test_a_code_that_is_not_good_costs_no_hash(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or strangers would have all others wait for theirs."""
    await home.first()
    made: list[str] = []

    async def make(_: Passwords, password: str) -> str:
        made.append(password)
        return "a hash"

    monkeypatch.setattr(Passwords, "make", make)
    for code in ("guess", make_token("inv")):
        with pytest.raises(NotFound):
            await accounts.create_account(home.ports, NOBODY, r.NewAccount(code=code, name="Mo", password=PASSWORD))
    assert made == []


async def test_who_guesses_one_password_is_slowed_and_one_who_is_elsewhere_is_not(home: Home, clock: Clock) -> None:
    await home.first()
    assert await guesses(home, "jo@example.org", "203.0.113.5") == PERSON.burst
    assert await guesses(home, "jo@example.org", "203.0.113.77") == 0, "another address of one network"
    assert (await home.log_in()).session is not None, "at home"
    clock.forward(1 / PERSON.rate + 0.1)
    assert await guesses(home, "jo@example.org", "203.0.113.5") == 1


async def test_whose_try_is_not_taken_takes_none_of_his_neighbours(home: Home) -> None:
    taken = 0
    for _ in range(int(SITE.burst)):
        with suppress(Limited):
            await slow_down(home.ports, "2001:db8:1:100::1")
            taken += 1
    assert taken == NETWORK.burst
    await slow_down(home.ports, "2001:db8:1:200::1")


async def test_who_guesses_from_many_places_is_slowed_and_the_person_is_not_locked_out(home: Home) -> None:
    await home.first()
    taken = sum([await guesses(home, "jo@example.org", f"203.0.{place}.5") for place in range(8)])
    assert taken == STRANGERS.burst
    assert (await home.log_in()).session is not None, "where she logged in before"
    with pytest.raises(Limited):
        await home.log_in(address="198.51.100.7")


async def test_who_guesses_many_accounts_is_slowed(home: Home) -> None:
    await home.first()
    taken = [await is_taken(home, f"{number}@example.org", "203.0.113.5") for number in range(100)]
    assert taken == [True] * int(NETWORK.burst) + [False] * (100 - int(NETWORK.burst))


async def test_who_has_many_networks_of_ipv6_guesses_little_more_than_who_has_eight(home: Home) -> None:
    taken = [
        await is_taken(home, f"{number}@example.org", f"2001:db8:1:{number % 256:02x}00::1") for number in range(600)
    ]
    assert taken == [True] * int(SITE.burst) + [False] * (600 - int(SITE.burst))
    assert await is_taken(home, "jo@example.org", "2001:db8:2::1")


async def test_without_the_cache_of_the_fleet_each_process_counts_by_itself(home: Home) -> None:
    await home.first()

    async def away(*_: Any) -> float:
        raise Unavailable("the cache is away")

    home.cache.take = away  # type: ignore[method-assign]
    assert await guesses(home, "jo@example.org", "203.0.113.5") == PERSON.burst


async def test_who_tries_codes_of_accounts_is_slowed_where_he_is_and_nobody_else_is(home: Home) -> None:
    boss = await home.first()
    there = replaced(NOBODY, "203.0.113.5")
    with pytest.raises(Limited):
        for _ in range(int(NETWORK.burst) + 1):
            with pytest.raises(NotFound):
                await accounts.create_account(
                    home.ports, there, r.NewAccount(code=make_token("inv"), name="Mo", password=PASSWORD)
                )
    assert (await home.invited(boss, "mo@example.org", "viewer")).roles == ("viewer",)


# --- passwords ---


def test_passwords_are_kept_at_the_cost_that_is_recommended() -> None:
    kept = Passwords()._hasher.hash("x")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_two_are_compared_at_a_time_and_others_answered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    made, gate = Passwords(), threading.Event()
    at_once, most, lock = 0, 0, threading.Lock()

    def slow(self: Passwords, kept: str, password: str) -> bool:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        gate.wait(30)
        with lock:
            at_once -= 1
        return True

    monkeypatch.setattr(Passwords, "_verify", slow)
    monkeypatch.setattr(passwords, "WAITING", 6)
    asked = [asyncio.create_task(made.verify("x", "y")) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Limited, match="too many people log in"):
        await made.verify("x", "y")
    while most < 2:
        await asyncio.sleep(0.001)  # the loop goes on
    gate.set()
    assert await asyncio.gather(*asked) == [True] * 6
    assert most == 2
    assert await made.verify("x", "y")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "jo@example.org",
        "miragemirage1",
        "Jo Example 12",
        "passwordpassword",
        "P@ssw0rdP@ssw0rd",
        "password1234",
        "Password12345!",
        "123456789012",
        "098765432109",
        "qwertyuiopas",
        "qwertzuiop123",
        "1qaz2wsx3edc4rfv",
        "abcdefghijklm",
        "horsehorsehorse",
        "hello hello hello",
        "letmeinletmein",
        "summer2024summer",
        "welcomewelcome1",
    ],
)
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_password(password, "jo@example.org", "Jo Example")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "x7!kQ2pL9#aZ",
        "пароль из слов",
        "a mirage in the desert",
        "horse of a horse",
        "1234 green cows",
        "sommerregen im juli",
    ],
)
def test_any_other_is_taken(password: str) -> None:
    check_password(password, "jo@example.org", "Jo Example")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"), ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff::5", "2001:db8:1:200::/56"),
        ("", ""), ("local", ""),
    ],
)  # fmt: skip
def test_places_are_told_apart_by_their_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_no_secret_is_shown_where_a_question_is_printed() -> None:
    said = [
        r.LogIn(email="e", password=PASSWORD), r.FirstAccount(code=PASSWORD, email="e", name="n", password=PASSWORD),
        r.NewAccount(code=PASSWORD, name="n", password=PASSWORD), r.Refresh(refresh=PASSWORD),
        r.ChangePassword(old=PASSWORD, new=PASSWORD), r.FirstCode(code=PASSWORD), r.AuthenticatorCode(PASSWORD),
        r.Authenticator(secret=PASSWORD, uri=PASSWORD), r.RecoveryCodes((PASSWORD,)),
    ]  # fmt: skip
    assert PASSWORD not in repr(said)
