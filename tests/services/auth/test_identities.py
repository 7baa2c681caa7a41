"""Somebody links who he is at a provider, and takes it back, and is never left without a way to log in."""

import msgspec
import pytest

from lab.web.certificates import Authority
from services.auth.usecases import accounts, identities, oidc, passkeys, proofs
from services.contracts import resources as r
from services.kernel.calls import Nothing
from services.kernel.errors import Conflict, Denied, NotFound, Unauthenticated
from services.users.usecases.invitations import invite
from tests.services.auth.home import NOBODY, PASSWORD, Clock, Home
from tests.services.auth.openid_provider import Person, Provider
from tests.services.auth.software_authenticator import Authenticator
from tests.services.auth.test_oidc import begin, link, log_in
from tests.services.auth.test_passkeys import register


@pytest.fixture
async def home_of_others(home: Home, provider: Provider, authority: Authority) -> Home:
    """One that knows a provider which gives out no address of anybody's."""
    await home.know(provider, authority.file)
    return home


async def listed(home: Home, session: r.LoggedIn) -> tuple[r.IdentityView, ...]:
    return await identities.list_identities(home.ports, home.caller(session), Nothing())


async def unlink(home: Home, session: r.LoggedIn, identity: r.IdentityView, password: str = PASSWORD) -> None:
    said = r.RemoveIdentity(identity=identity.id, password=password)
    await identities.remove_identity(home.ports, home.caller(session), said)


async def without_password(home: Home, boss: r.LoggedIn, provider: Provider) -> r.LoggedIn:
    """An account that was made by a login at the provider."""
    made = await invite(home.users, home.caller(boss), r.NewInvitation("mo@example.org", "viewer"))
    provider.person = Person(sub="mo", email="mo@example.org")
    session = (await log_in(home, provider, invitation=made.code)).session
    assert session is not None
    return session


async def test_who_is_linked_logs_in_until_that_is_taken_back(home_of_others: Home, provider: Provider) -> None:
    jo = await home_of_others.first()
    provider.person = Person(email="jo@elsewhere.example", verified=False)
    made = await link(home_of_others, jo, provider)
    assert (made.provider, made.email) == ("acme", "jo@elsewhere.example")
    step = await log_in(home_of_others, provider)
    assert step.session is not None
    assert step.session.account == jo.account
    await unlink(home_of_others, jo, made)
    assert await listed(home_of_others, jo) == ()
    with pytest.raises(Unauthenticated):
        await log_in(home_of_others, provider)


async def test_nobody_links_or_takes_back_without_showing_anew_that_it_is_he(
    home_of_others: Home, provider: Provider
) -> None:
    jo = await home_of_others.first()
    made = await link(home_of_others, jo, provider)
    for password in ("", "wrong horse battery"):
        said = r.BeginIdentity(provider="acme", redirect="http://127.0.0.1/", password=password)
        with pytest.raises(Denied):
            await identities.begin_identity(home_of_others.ports, home_of_others.caller(jo), said)
        with pytest.raises(Denied):
            await unlink(home_of_others, jo, made, password)
    assert len(await listed(home_of_others, jo)) == 1


async def test_who_somebody_is_at_a_provider_is_one_account_alone(home_of_others: Home, provider: Provider) -> None:
    jo = await home_of_others.first()
    mo = await home_of_others.invited(jo, "mo@example.org", "viewer")
    made = await link(home_of_others, jo, provider)
    for session in (jo, mo):
        with pytest.raises(Conflict, match="is linked to an account already"):
            await link(home_of_others, session, provider)
    with pytest.raises(NotFound):
        await unlink(home_of_others, mo, made)
    step = await log_in(home_of_others, provider)
    assert step.session is not None
    assert step.session.account == jo.account


async def test_who_has_no_password_shows_by_a_new_session_that_it_is_he(
    home_of_others: Home, provider: Provider, clock: Clock
) -> None:
    mo = await without_password(home_of_others, await home_of_others.first(), provider)
    begun = await passkeys.begin_passkey(home_of_others.ports, home_of_others.caller(mo), r.Proof())
    assert begun.options["user"]["name"] == "mo@example.org"
    with pytest.raises(Denied):
        await passkeys.begin_passkey(home_of_others.ports, home_of_others.caller(mo), r.Proof(password="a password"))
    clock.forward(proofs.NEW + 1)
    with pytest.raises(Denied, match="this needs a new session"):
        await passkeys.begin_passkey(home_of_others.ports, home_of_others.caller(mo), r.Proof())
    again = (await log_in(home_of_others, provider)).session
    assert again is not None
    await passkeys.begin_passkey(home_of_others.ports, home_of_others.caller(again), r.Proof())


async def test_who_has_no_password_chooses_his_first_one_in_a_new_session(
    home_of_others: Home, provider: Provider, clock: Clock
) -> None:
    mo = await without_password(home_of_others, await home_of_others.first(), provider)
    clock.forward(proofs.NEW + 1)
    first = r.ChangePassword(old="", new="a first horse battery")
    with pytest.raises(Denied, match="this needs a new session"):
        await accounts.change_password(home_of_others.ports, home_of_others.caller(mo), first)
    again = (await log_in(home_of_others, provider)).session
    assert again is not None
    await accounts.change_password(home_of_others.ports, home_of_others.caller(again), first)
    assert (await home_of_others.log_in("mo@example.org", "a first horse battery")).session is not None


async def test_nobody_takes_his_only_way_in_away(home_of_others: Home, provider: Provider) -> None:
    mo = await without_password(home_of_others, await home_of_others.first(), provider)
    (only,) = await listed(home_of_others, mo)
    with pytest.raises(Conflict, match="this is your only way to log in"):
        await unlink(home_of_others, mo, only, "")
    authenticator = Authenticator()
    begun = await passkeys.begin_passkey(home_of_others.ports, home_of_others.caller(mo), r.Proof())
    made = authenticator.create(begun.options)
    new = r.NewPasskey(begun=begun.begun, name="x", credential=msgspec.convert(made, r.MadeCredential))
    passkey = await passkeys.add_passkey(home_of_others.ports, home_of_others.caller(mo), new)
    await unlink(home_of_others, mo, only, "")
    with pytest.raises(Conflict, match="this is your only way to log in"):
        said = r.RemovePasskey(passkey=passkey.id)
        await passkeys.remove_passkey(home_of_others.ports, home_of_others.caller(mo), said)


async def test_a_linking_that_takes_too_long_is_begun_again(
    home_of_others: Home, provider: Provider, clock: Clock
) -> None:
    jo = await home_of_others.first()
    said = r.BeginIdentity(provider="acme", redirect="http://127.0.0.1/", password=PASSWORD)
    begun = await identities.begin_identity(home_of_others.ports, home_of_others.caller(jo), said)
    clock.forward(3600)
    with pytest.raises(Unauthenticated):
        answer = r.OidcAnswer(begun=begun.begun, **provider.visit(begun.url))
        await identities.add_identity(home_of_others.ports, home_of_others.caller(jo), answer)


async def test_a_provider_that_is_set_no_more_ends_what_was_begun(home_of_others: Home, provider: Provider) -> None:
    jo = await home_of_others.first()
    await link(home_of_others, jo, provider)
    await register(home_of_others, jo, Authenticator())
    begun = await begin(home_of_others)
    home_of_others.ports.live.now = type(home_of_others.ports.live.now)()
    with pytest.raises(Unauthenticated):
        said = r.OidcLogin(begun=begun.begun, **provider.visit(begun.url))
        await oidc.finish_oidc(home_of_others.ports, NOBODY, said)
    assert await oidc.list_providers(home_of_others.ports, NOBODY, Nothing()) == ()
