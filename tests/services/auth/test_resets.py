"""Who lost his password or his second factor gets back by a code of the operator, and nobody else does."""

from typing import Any

import pytest

from services.auth.store import accounts as account_store
from services.auth.usecases import accounts, resets, scripts
from services.contracts import resources as r
from services.contracts.access import of_account, of_session
from services.kernel.calls import operator
from services.kernel.errors import Denied, Invalid, Limited, NotFound, Unauthenticated
from services.kernel.messages import EVERYWHERE
from services.kernel.tokens import digest_of, make_token
from tests.services.auth.home import NOBODY, PASSWORD, Clock, Home
from tests.services.auth.openid_provider import Person, Provider
from tests.services.auth.software_authenticator import Authenticator
from tests.services.auth.test_authenticators import code, set_up
from tests.services.auth.test_oidc import link
from tests.services.auth.test_oidc import log_in as log_in_at
from tests.services.auth.test_passkeys import log_in as log_in_by_passkey
from tests.services.auth.test_passkeys import register

ANOTHER = "staple battery horse"


async def offered(home: Home, email: str = "Jo@example.org", **more: Any) -> str:
    made = await resets.offer_reset(home.ports, operator(EVERYWHERE), r.NewReset(email=email, **more))
    assert made.email == email.lower()
    return made.code


async def reset(home: Home, given: str, password: str = ANOTHER, **more: Any) -> r.LoginStep:
    return await resets.reset_password(home.ports, NOBODY, r.Reset(reset=given, password=password, **more))


async def test_another_password_is_chosen_by_the_code_once_and_all_else_ends(home: Home) -> None:
    jo = await home.first()
    given = await offered(home)
    step = await reset(home, given)
    assert step.session is not None
    assert (step.session.account, step.session.roles) == (jo.account, jo.roles)
    with pytest.raises(Unauthenticated):
        await home.refresh(jo.refresh)
    assert set(await home.revoked()) == {of_session(jo.session), of_account(jo.account)}
    with pytest.raises(Unauthenticated):
        await home.log_in()
    assert (await home.log_in(password=ANOTHER)).session is not None
    with pytest.raises(Denied, match="the code is not good"):
        await reset(home, given)


async def test_tokens_of_scripts_end_by_it_too(home: Home) -> None:
    """Or whoever had the account would keep it by one that he made."""
    jo = await home.first()
    made = r.NewToken(name="kept", permissions=("all",), expires=home.clock() + 86_400_000_000)
    token = (await scripts.create_token(home.ports, home.caller(jo), made)).token
    asked = r.TokenDigest(digest_of(token))
    assert (await scripts.check_token(home.ports, NOBODY, asked)).account == jo.account
    await reset(home, await offered(home))
    with pytest.raises(NotFound):
        await scripts.check_token(home.ports, NOBODY, asked)


async def test_who_has_changed_his_password_needs_no_code_any_more(home: Home) -> None:
    jo = await home.first()
    given = await offered(home)
    await accounts.change_password(home.ports, home.caller(jo), r.ChangePassword(old=PASSWORD, new=ANOTHER))
    with pytest.raises(Denied, match="the code is not good"):
        await reset(home, given, PASSWORD)


async def test_what_lets_in_after_a_reset_is_not_revoked_by_it(home: Home) -> None:
    await home.first()
    step = await reset(home, await offered(home))
    assert step.session is not None
    known = (await home.claims(step.session.access))["rev"]
    assert await home.revoked(known) == []


async def test_a_code_is_good_for_a_day_and_only_the_last_one(home: Home, clock: Clock) -> None:
    await home.first()
    codes = [await offered(home) for _ in range(2)]
    for given in (codes[0], "", "guess", make_token("rst"), make_token("one")):
        with pytest.raises(Denied, match="the code is not good"):
            await reset(home, given)
    clock.forward(86_400)
    with pytest.raises(Denied, match="the code is not good"):
        await reset(home, codes[1])
    assert (await home.log_in()).session is not None


async def test_a_password_that_is_refused_leaves_the_code_good(home: Home) -> None:
    await home.first()
    given = await offered(home)
    for password in ("short", "jo@example.org"):
        with pytest.raises(Invalid):
            await reset(home, given, password)
    assert (await reset(home, given)).session is not None


async def test_the_second_factor_is_needed_unless_the_operator_said_that_it_is_lost(home: Home, clock: Clock) -> None:
    totp, _ = await set_up(home, await home.first(), clock)
    given = await offered(home)
    assert await reset(home, given) == r.LoginStep(needs="code")
    with pytest.raises(Unauthenticated):
        await reset(home, given, code="000000" if code(totp, clock, off=1) != "000000" else "000001")
    assert (await reset(home, given, code=code(totp, clock, off=1))).session is not None
    assert (await home.log_in(password=ANOTHER)).needs == "code"
    assert (await reset(home, await offered(home, second_factor=True), PASSWORD)).session is not None
    assert (await home.log_in()).session is not None


async def test_where_all_else_is_lost_passkeys_and_identities_let_nobody_in_any_more(
    linked: Home, provider: Provider
) -> None:
    jo = await linked.first()
    authenticator = Authenticator()
    await register(linked, jo, authenticator)
    provider.person = Person(email="thief@example.com")
    await link(linked, jo, provider)
    assert (await reset(linked, await offered(linked), PASSWORD)).session is not None
    assert (await log_in_by_passkey(linked, authenticator)).session is not None
    assert (await log_in_at(linked, provider)).session is not None
    assert (await reset(linked, await offered(linked, second_factor=True), PASSWORD)).session is not None
    with pytest.raises(Unauthenticated):
        await log_in_by_passkey(linked, authenticator)
    with pytest.raises(Unauthenticated):
        await log_in_at(linked, provider)


async def test_who_has_the_code_guesses_no_second_factor(home: Home, clock: Clock) -> None:
    await set_up(home, await home.first(), clock)
    given = await offered(home)
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await reset(home, given, code="no code")
    with pytest.raises(Limited):
        await reset(home, given, code="no code")


async def test_nobody_is_let_back_in_who_has_no_account(home: Home) -> None:
    with pytest.raises(NotFound):
        await offered(home, "mo@example.org")


async def test_of_a_code_its_digest_is_kept_until_it_is_over(home: Home, clock: Clock) -> None:
    await home.first()
    given = await offered(home)
    async with home.ports.sql.begin() as tx:
        rows = await tx.fetch("SELECT account, digest, expires, second_factor FROM reset")
        assert [bytes(row[1]) for row in rows] == [digest_of(given)]
        await account_store.forget_resets(tx, clock.at + 86_400_000_001)
        assert await account_store.find_reset(tx, digest_of(given)) is None
