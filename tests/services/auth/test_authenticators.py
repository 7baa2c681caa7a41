"""A second factor: a code is good for its moment and once, and a recovery code instead of it once."""

import pyotp
import pytest

from services.auth.usecases import accounts, authenticators, passkeys
from services.contracts import resources as r
from services.kernel.calls import Nothing
from services.kernel.errors import Conflict, Denied, Limited, Unauthenticated
from tests.services.auth.home import PASSWORD, Clock, Home


async def set_up(home: Home, session: r.LoggedIn, clock: Clock) -> tuple[pyotp.TOTP, tuple[str, ...]]:
    begun = await authenticators.begin_authenticator(home.ports, home.caller(session), r.Proof(password=PASSWORD))
    totp = pyotp.TOTP(begun.secret)
    assert begun.uri.startswith("otpauth://totp/Mirage:jo%40example.org?")
    assert begun.secret in begun.uri
    confirmed = await confirm(home, session, code(totp, clock))
    return totp, confirmed.codes


async def confirm(home: Home, session: r.LoggedIn, said: str) -> r.RecoveryCodes:
    return await authenticators.confirm_authenticator(home.ports, home.caller(session), r.AuthenticatorCode(said))


def code(totp: pyotp.TOTP, clock: Clock, *, off: int = 0) -> str:
    return totp.generate_otp(clock.at // 1_000_000 // 30 + off)


async def test_it_counts_once_a_code_of_it_came(home: Home, clock: Clock) -> None:
    jo = await home.first()
    begun = await authenticators.begin_authenticator(home.ports, home.caller(jo), r.Proof(password=PASSWORD))
    assert (await home.log_in()).session is not None
    totp = pyotp.TOTP(begun.secret)
    with pytest.raises(Denied):
        await confirm(home, jo, "000000" if code(totp, clock) != "000000" else "000001")
    assert (await home.log_in()).session is not None
    await confirm(home, jo, code(totp, clock))
    step = await home.log_in()
    assert (step.session, step.needs) == (None, "code")
    with pytest.raises(Conflict):
        await confirm(home, jo, code(totp, clock))
    clock.forward(300)
    with pytest.raises(Conflict):
        await authenticators.begin_authenticator(home.ports, home.caller(jo), r.Proof(code=code(totp, clock)))


async def test_who_only_took_a_session_sets_none_up_and_so_adds_no_way_in(home: Home) -> None:
    taken = home.caller(await home.first())
    for proof in (r.Proof(), r.Proof(password="wrong horse battery"), r.Proof(code="123456")):
        with pytest.raises(Denied, match="password"):
            await authenticators.begin_authenticator(home.ports, taken, proof)
        with pytest.raises(Denied, match="password"):
            await passkeys.begin_passkey(home.ports, taken, proof)
    with pytest.raises(Conflict, match="no authenticator to confirm"):
        await authenticators.confirm_authenticator(home.ports, taken, r.AuthenticatorCode("123456"))


async def test_where_logins_need_a_code_the_password_alone_proves_nothing(home: Home, clock: Clock) -> None:
    jo = await home.first()
    totp, recovery = await set_up(home, jo, clock)
    clock.forward(300)
    with pytest.raises(Denied, match="needs a code"):
        await passkeys.begin_passkey(home.ports, home.caller(jo), r.Proof(password=PASSWORD))
    for good in (code(totp, clock), recovery[0]):
        # Whoever asks need not say which of the two it is.
        await passkeys.begin_passkey(home.ports, home.caller(jo), r.Proof(password=good, code=good))
        with pytest.raises(Denied, match="was used before"):
            await passkeys.begin_passkey(home.ports, home.caller(jo), r.Proof(code=good))


async def test_another_password_needs_the_old_one_and_a_code_where_logins_need_one(home: Home, clock: Clock) -> None:
    jo = await home.first()
    totp, recovery = await set_up(home, jo, clock)
    clock.forward(300)

    async def change(old: str, said: str) -> None:
        asked = r.ChangePassword(old=old, new="another horse battery", code=said)
        await accounts.change_password(home.ports, home.caller(jo), asked)

    with pytest.raises(Denied, match="needs a code"):
        await change(PASSWORD, "")
    with pytest.raises(Denied, match="the code is wrong"):
        await change(PASSWORD, "000000" if code(totp, clock) != "000000" else "000001")
    for old in ("", "wrong horse battery"):
        with pytest.raises(Denied, match="password"):
            await change(old, code(totp, clock))
    assert (await home.log_in()).needs == "code", "the password is as it was"
    await change(PASSWORD, code(totp, clock))
    with pytest.raises(Unauthenticated):
        await home.log_in(code=recovery[0])
    assert (await home.log_in(password="another horse battery", code=recovery[0])).session is not None


async def test_who_took_a_session_uses_no_try_of_a_login_up(home: Home, clock: Clock) -> None:
    jo = await home.first()
    totp, _ = await set_up(home, jo, clock)
    with pytest.raises(Limited):
        for _ in range(30):
            with pytest.raises(Denied):
                await passkeys.begin_passkey(home.ports, home.caller(jo), r.Proof(code="000000"))
    clock.forward(60)
    assert (await home.log_in(code=code(totp, clock))).session is not None


async def test_a_code_is_good_once_and_a_moment_before_and_after(home: Home, clock: Clock) -> None:
    totp, _ = await set_up(home, await home.first(), clock)
    with pytest.raises(Unauthenticated, match="was used before"):  # the one that confirmed it
        await home.log_in(code=code(totp, clock))
    clock.forward(300)
    assert (await home.log_in(code=f" {code(totp, clock, off=-1)} ")).session is not None
    assert (await home.log_in(code=code(totp, clock))).session is not None
    with pytest.raises(Unauthenticated):
        await home.log_in(code=code(totp, clock))
    with pytest.raises(Unauthenticated):  # one before the one that was taken
        await home.log_in(code=code(totp, clock, off=-1))
    assert (await home.log_in(code=code(totp, clock, off=1))).session is not None
    clock.forward(300)
    for off in (-2, 2):
        with pytest.raises(Unauthenticated):
            await home.log_in(code=code(totp, clock, off=off))


async def test_a_code_helps_nobody_who_has_not_the_password(home: Home, clock: Clock) -> None:
    totp, recovery = await set_up(home, await home.first(), clock)
    clock.forward(300)
    for said in (code(totp, clock), recovery[0]):
        with pytest.raises(Unauthenticated, match="the address or the password is wrong"):
            await home.log_in(password="wrong horse battery", code=said)
    assert (await home.log_in(code=code(totp, clock))).session is not None


async def test_a_recovery_code_is_good_once(home: Home, clock: Clock) -> None:
    _, recovery = await set_up(home, await home.first(), clock)
    assert len(set(recovery)) == 10
    assert (await home.log_in(code=recovery[3].upper().replace("-", " "))).session is not None
    with pytest.raises(Unauthenticated):
        await home.log_in(code=recovery[3])
    assert (await home.log_in(code=recovery[4])).session is not None


async def test_codes_are_not_guessed_quickly_and_nobody_without_the_password_uses_tries_up(
    home: Home, clock: Clock
) -> None:
    totp, _ = await set_up(home, await home.first(), clock)

    async def tries(address: str) -> int:
        """How many wrong codes are looked at in a day."""
        taken, end = 0, clock.at + 86_400_000_000
        while clock.at < end:
            try:
                await home.log_in(code="000000", address=address)
            except Unauthenticated:
                taken += 1
            except Limited:
                clock.forward(60)
        return taken

    assert await tries("203.0.113.5") < 120
    clock.forward(300)
    assert (await home.log_in(code=code(totp, clock))).session is not None, "at home"
    for _ in range(30):
        with pytest.raises((Unauthenticated, Limited)):
            await home.log_in(password="wrong horse battery", code="000000")
    clock.forward(300)
    assert (await home.log_in(code=code(totp, clock))).session is not None


async def test_who_removes_it_has_a_code(home: Home, clock: Clock) -> None:
    jo = await home.first()
    totp, recovery = await set_up(home, jo, clock)
    with pytest.raises(Denied):
        await remove(home, jo, "123")
    clock.forward(300)
    await remove(home, jo, code(totp, clock))
    assert (await home.log_in()).session is not None
    with pytest.raises(Denied):
        await remove(home, jo, recovery[0])


async def test_it_is_told_whether_there_is_one_that_counts_and_how_many_recovery_codes_are_left(
    home: Home, clock: Clock
) -> None:
    jo = await home.first()

    async def told() -> tuple[bool, int]:
        found = await authenticators.get_second_factor(home.ports, home.caller(jo), Nothing())
        return found.authenticator, found.recovery_codes

    assert await told() == (False, 0)
    await authenticators.begin_authenticator(home.ports, home.caller(jo), r.Proof(password=PASSWORD))
    assert await told() == (False, 0)
    totp, recovery = await set_up(home, jo, clock)
    assert await told() == (True, 10)
    await home.log_in(code=recovery[0])
    assert await told() == (True, 9)
    clock.forward(300)
    await remove(home, jo, code(totp, clock))
    assert await told() == (False, 0)


async def remove(home: Home, session: r.LoggedIn, said: str) -> None:
    await authenticators.remove_authenticator(home.ports, home.caller(session), r.AuthenticatorCode(said))


async def test_the_secret_is_kept_sealed_and_recovery_codes_as_digests(home: Home, clock: Clock) -> None:
    totp, recovery = await set_up(home, await home.first(), clock)
    async with home.ports.sql.read() as view:
        kept = repr(
            [
                await view.fetch("SELECT account, sealed, step FROM authenticator"),
                await view.fetch("SELECT digest FROM recovery_code"),
            ]
        )
    assert not [each for each in (totp.secret, *recovery) if each in kept]
