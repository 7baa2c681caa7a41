"""Who logs in at a provider is let in as who he is, and by nothing that anybody else brought about."""

import asyncio
import contextlib
from typing import Any

import pyotp
import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from lab.web.certificates import Authority
from services.auth.domain.providers import IdToken, is_redirect
from services.auth.store.ways import forget_ways
from services.auth.usecases import authenticators, ceremonies, identities, oidc, providers
from services.contracts import resources as r
from services.contracts.keys import KEYS
from services.kernel.calls import Nothing
from services.kernel.errors import Conflict, Denied, Invalid, Limited, NotFound, Unauthenticated, Unavailable
from services.kernel.tokens import make_token
from services.users.usecases.invitations import invite
from tests.services.auth.home import NOBODY, PASSWORD, Clock, Home
from tests.services.auth.openid_provider import (
    SECRET,
    Person,
    Provider,
    make_key,
    serve,
    signed_by,
    signed_by_public_key,
    unsigned,
)

DISCOVERY = "/.well-known/openid-configuration"
REDIRECT = "http://127.0.0.1:49152/callback"
WRONG = "that login at the provider is not good"
NOBODY_KNOWN = "nobody here is known by that login"


async def begin(home: Home, redirect: str = REDIRECT, name: str = "acme") -> r.OidcBegun:
    return await oidc.begin_oidc(home.ports, NOBODY, r.BeginOidc(provider=name, redirect=redirect))


async def finish(home: Home, begun: str, answer: dict[str, str] | None = None, **more: str) -> r.LoginStep:
    said = r.OidcLogin(begun=begun, **(answer or {}), **more)
    return await oidc.finish_oidc(home.ports, NOBODY, said)


async def log_in(home: Home, provider: Provider, **more: str) -> r.LoginStep:
    begun = await begin(home)
    return await finish(home, begun.begun, provider.visit(begun.url), **more)


async def link(home: Home, session: r.LoggedIn, provider: Provider, name: str = "acme") -> r.IdentityView:
    said = r.BeginIdentity(provider=name, redirect=REDIRECT, password=PASSWORD)
    begun = await identities.begin_identity(home.ports, home.caller(session), said)
    answer = r.OidcAnswer(begun=begun.begun, **provider.visit(begun.url))
    return await identities.add_identity(home.ports, home.caller(session), answer)


async def test_whose_address_the_provider_gives_out_is_let_in_as_who_has_it(linked: Home, provider: Provider) -> None:
    jo = await linked.first()
    step = await log_in(linked, provider, device="a browser")
    assert step.session is not None
    assert (step.session.account, step.session.roles) == (jo.account, ("owner", "operator"))
    assert (await linked.refresh(step.session.refresh)).account == jo.account
    (kept,) = await identities.list_identities(linked.ports, linked.caller(jo), Nothing())
    assert (kept.provider, kept.email) == ("acme", "jo@example.org")


async def test_who_was_linked_once_is_known_by_the_subject_alone(linked: Home, provider: Provider) -> None:
    jo = await linked.first()
    await log_in(linked, provider)
    provider.person = Person(email="jo.married@elsewhere.example", verified=False)
    step = await log_in(linked, provider)
    assert step.session is not None
    assert step.session.account == jo.account


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
async def test_a_provider_signs_by_each_kind_of_key(
    home: Home, authority: Authority, clock: Clock, algorithm: str
) -> None:
    made = Provider(algorithm)
    made.clock = lambda: clock.at / 1_000_000
    await home.first()
    async with serve(made, authority) as served:
        await home.know(served, authority.file, domains=("example.org",))
        assert (await log_in(home, served)).session is not None


async def test_a_provider_that_tells_addresses_apart_from_its_tokens_is_asked_for_them(
    linked: Home, provider: Provider
) -> None:
    jo = await linked.first()
    assert (await log_in(linked, provider)).session is not None
    assert "/userinfo" not in provider.asked
    provider.thin = True
    provider.person = Person(sub="another", email="mo@example.org")
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(linked, provider)
    provider.person = Person()
    step = await log_in(linked, provider)
    assert step.session is not None
    assert step.session.account == jo.account
    (kept,) = await identities.list_identities(linked.ports, linked.caller(jo), Nothing())
    assert kept.email == "jo@example.org"


@pytest.mark.parametrize(
    "told", [{"email": None, "email_verified": None, "name": None}, {"sub": "another"}, {"sub": 5}], ids=str
)
async def test_who_is_linked_is_let_in_whatever_is_told_apart_of_him(
    linked: Home, provider: Provider, told: dict[str, Any]
) -> None:
    await linked.first()
    assert (await log_in(linked, provider)).session is not None
    provider.thin, provider.told = True, told
    assert (await log_in(linked, provider)).session is not None
    assert "/userinfo" not in provider.asked


async def test_where_addresses_decide_who_may_come_they_are_asked_for_each_time(
    home: Home, provider: Provider, authority: Authority
) -> None:
    await home.know(provider, authority.file, domains=("example.org",), admits=("example.org",))
    await home.first()
    provider.thin = True
    for _ in range(2):
        assert (await log_in(home, provider)).session is not None
    provider.told = {"email": None}
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(home, provider)


@pytest.mark.parametrize(
    "told", [{"sub": "another"}, {"sub": None}, {"email_verified": False}, {"email": "jo@example.com"}], ids=str
)
async def test_what_is_told_apart_of_somebody_else_lets_nobody_in(
    linked: Home, provider: Provider, told: dict[str, Any]
) -> None:
    await linked.first()
    provider.thin, provider.told = True, told
    with pytest.raises(Unauthenticated if told.get("sub", "") is not None else Unavailable):
        await log_in(linked, provider)
    provider.told = {}
    assert (await log_in(linked, provider)).session is not None


async def test_a_provider_may_take_the_secret_in_the_form(linked: Home, provider: Provider) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await linked.first()
    assert (await log_in(linked, provider)).session is not None


async def test_the_login_page_knows_the_providers_and_none_of_their_secrets(linked: Home) -> None:
    said = await oidc.list_providers(linked.ports, NOBODY, Nothing())
    assert said == (r.ProviderView("acme", "acme"),)


PEOPLE = {
    "nobody's address": Person(email="mo@example.org"),
    "an address that was not verified": Person(verified=False),
    "an address of another domain": Person(email="jo@example.com"),
    "an address below the domain": Person(email="jo@sub.example.org"),
    "no address": Person(email=""),
    "two addresses": Person(email="x@example.com@example.org"),
    "letters that become others where they are made small": Person(email="\u212ajo@example.org"),
}


@pytest.mark.parametrize("person", PEOPLE)
async def test_who_is_not_known_is_told_the_same_whatever_he_is_called(
    linked: Home, provider: Provider, person: str
) -> None:
    jo = await linked.first("kjo@example.org" if "letters" in person else "jo@example.org")
    provider.person = PEOPLE[person]
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(linked, provider)
    assert await identities.list_identities(linked.ports, linked.caller(jo), Nothing()) == ()


async def test_a_provider_that_does_not_give_an_address_out_lets_nobody_in_who_has_it(
    home: Home, provider: Provider, authority: Authority
) -> None:
    await home.know(provider, authority.file)
    jo = await home.first()
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(home, provider)
    await link(home, jo, provider)
    step = await log_in(home, provider)
    assert step.session is not None
    assert step.session.account == jo.account


async def test_an_address_that_was_given_to_somebody_else_is_not_the_account_of_who_had_it(
    linked: Home, provider: Provider
) -> None:
    await linked.first()
    await log_in(linked, provider)
    provider.person = Person(sub="another person")
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(linked, provider)


async def test_who_invited_an_address_and_made_its_account_himself_gets_at_nobodys_login(
    linked: Home, provider: Provider
) -> None:
    boss = await linked.first("boss@example.com")
    made_by_the_inviter = await linked.invited(boss, "jo@example.org", "viewer")
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(linked, provider)
    assert await identities.list_identities(linked.ports, linked.caller(made_by_the_inviter), Nothing()) == ()
    await link(linked, made_by_the_inviter, provider)  # as who has the password, which here is the true one
    step = await log_in(linked, provider)
    assert step.session is not None
    assert step.session.account == made_by_the_inviter.account


async def test_whom_a_provider_vouched_for_is_known_by_his_address_again(
    home: Home, provider: Provider, authority: Authority
) -> None:
    await home.know(provider, authority.file, domains=("example.org",), registers=True)
    boss = await home.first("boss@example.com")
    registered = (await log_in(home, provider)).session
    made = await invite(home.users, home.caller(boss), r.NewInvitation("mo@example.org", "analyst"))
    provider.person = Person(sub="mo", email="mo@example.org")
    invited = (await log_in(home, provider, invitation=made.code)).session
    for session, person in ((registered, Person()), (invited, provider.person)):
        assert session is not None
        async with home.ports.sql.begin() as tx:
            await forget_ways(tx, session.account)
        provider.person = person
        again = (await log_in(home, provider)).session
        assert again is not None
        assert again.account == session.account


async def test_an_invitation_to_another_address_proves_none(linked: Home, provider: Provider) -> None:
    boss = await linked.first("boss@example.com")
    made = await invite(linked.users, linked.caller(boss), r.NewInvitation("jo@example.org", "analyst"))
    provider.person = Person(sub="mo", email="mo@example.org")
    assert (await log_in(linked, provider, invitation=made.code)).session is not None
    provider.person = Person()
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(linked, provider)


async def test_only_people_of_the_domains_that_are_admitted_come(
    home: Home, provider: Provider, authority: Authority
) -> None:
    await home.know(provider, authority.file, domains=("example.org",), admits=("example.com",))
    await home.first()
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(home, provider)


async def test_who_was_invited_gets_his_account_by_that_login(linked: Home, provider: Provider) -> None:
    boss = await linked.first()
    made = await invite(linked.users, linked.caller(boss), r.NewInvitation("mo@example.org", "analyst"))
    provider.person = Person(sub="mo", email="mo@example.org", name="Mo Miller")
    step = await log_in(linked, provider, invitation=made.code)
    assert step.session is not None
    assert (step.session.name, step.session.email, step.session.roles) == ("Mo Miller", "mo@example.org", ("analyst",))
    with pytest.raises(Unauthenticated):
        await linked.log_in("mo@example.org", "")
    again = await log_in(linked, provider)
    assert again.session is not None
    assert again.session.account == step.session.account
    provider.person = Person(sub="so", email="so@example.org")
    with pytest.raises(Conflict, match="this account was made before"):
        await log_in(linked, provider, invitation=made.code)
    with pytest.raises(NotFound):
        await log_in(linked, provider, invitation=make_token("inv"))


async def test_a_provider_registers_people_of_its_own_domains_where_that_is_set(
    home: Home, provider: Provider, authority: Authority
) -> None:
    await home.know(provider, authority.file, domains=("example.org",), registers=True)
    provider.person = Person(sub="mo", email="Mo@Example.org", name="\u202e")
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):  # before the operator came
        await log_in(home, provider)
    await home.first()
    step = await log_in(home, provider)
    assert step.session is not None
    assert (step.session.email, step.session.name, step.session.roles) == ("mo@example.org", "mo", ())
    provider.person = Person(sub="so", email="so@example.com")
    with pytest.raises(Unauthenticated, match=NOBODY_KNOWN):
        await log_in(home, provider)


async def test_an_account_that_needs_a_code_needs_it_here_too(linked: Home, provider: Provider, clock: Clock) -> None:
    jo = await linked.first()
    begun = await authenticators.begin_authenticator(linked.ports, linked.caller(jo), r.Proof(password=PASSWORD))
    totp = pyotp.TOTP(begun.secret)
    said = r.AuthenticatorCode(totp.generate_otp(clock.at // 1_000_000 // 30))
    await authenticators.confirm_authenticator(linked.ports, linked.caller(jo), said)
    clock.forward(300)
    login = await begin(linked)
    step = await finish(linked, login.begun, provider.visit(login.url))
    assert (step.session, step.needs) == (None, "code")
    assert await identities.list_identities(linked.ports, linked.caller(jo), Nothing()) == (), "before the code came"
    with pytest.raises(Unauthenticated, match="the code is wrong"):
        await finish(linked, login.begun, second="000000")
    code = totp.generate_otp(clock.at // 1_000_000 // 30)
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, (await begin(linked)).begun, second=code)
    done = await finish(linked, login.begun, second=code)
    assert done.session is not None
    assert done.session.account == jo.account
    assert len(await identities.list_identities(linked.ports, linked.caller(jo), Nothing())) == 1
    clock.forward(300)
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, login.begun, second=totp.generate_otp(clock.at // 1_000_000 // 30))
    login = await begin(linked)
    await finish(linked, login.begun, provider.visit(login.url))
    with pytest.raises(Limited):
        for _ in range(30):
            with pytest.raises(Unauthenticated):
                await finish(linked, login.begun, second="000000")


# --- what somebody else brought about ---


async def test_a_code_that_somebody_else_got_ends_no_login_of_mine(linked: Home, provider: Provider) -> None:
    """Login CSRF: a page has me finish with the attacker's code, and so work in his account."""
    await linked.first()
    his, mine = await begin(linked), await begin(linked)
    answer = provider.visit(his.url)
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, mine.begun, answer)
    for state in ("", "another"):
        mine = await begin(linked)
        with pytest.raises(Unauthenticated, match=WRONG):
            await finish(linked, mine.begun, {**provider.visit(mine.url), "state": state})
    assert "/token" not in provider.asked
    mine = await begin(linked)
    state = provider.visit(mine.url)["state"]
    with pytest.raises(Unauthenticated, match=WRONG):  # nor where he knows my state: his code was asked for otherwise
        await finish(linked, mine.begun, {**answer, "state": state})


async def test_a_login_that_somebody_else_began_is_not_ended_for_him(linked: Home, provider: Provider) -> None:
    """Session fixation: I log in at the provider by the attacker's address, and he has what I was sent back with."""
    await linked.first()
    his = await begin(linked)
    answer = provider.visit(his.url)
    altered = his.begun[:-1] + ("0" if his.begun[-1] != "0" else "1")
    for begun in ((await begin(linked)).begun, answer["state"], "", altered):
        with pytest.raises(Unauthenticated, match=WRONG):
            await finish(linked, begun, answer)


async def test_what_began_as_a_login_links_nothing_and_the_other_way_round(linked: Home, provider: Provider) -> None:
    jo = await linked.first()
    mo = await linked.invited(jo, "mo@example.org", "viewer")
    login = await begin(linked)
    with pytest.raises(Unauthenticated, match=WRONG):
        answer = r.OidcAnswer(begun=login.begun, **provider.visit(login.url))
        await identities.add_identity(linked.ports, linked.caller(jo), answer)
    said = r.BeginIdentity(provider="acme", redirect=REDIRECT, password=PASSWORD)
    linking = await identities.begin_identity(linked.ports, linked.caller(mo), said)
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, linking.begun, provider.visit(linking.url))
    with pytest.raises(Denied, match="somebody else began"):
        answer = r.OidcAnswer(begun=linking.begun, **provider.visit(linking.url))
        await identities.add_identity(linked.ports, linked.caller(jo), answer)


async def test_an_answer_is_good_once_and_for_a_while(linked: Home, provider: Provider, clock: Clock) -> None:
    await linked.first()
    begun = await begin(linked)
    answer = provider.visit(begun.url)
    assert (await finish(linked, begun.begun, answer)).session is not None
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, begun.begun, answer)
    begun = await begin(linked)
    clock.forward(ceremonies.LASTS + 1)
    with pytest.raises(Unauthenticated, match=WRONG):
        await finish(linked, begun.begun, provider.visit(begun.url))


async def test_a_token_of_another_login_is_none_of_this_one(linked: Home, provider: Provider) -> None:
    """Nonce replay: the provider, or who is between, gives the token that was made for an earlier login."""
    await linked.first()
    kept: list[str] = []
    made = provider._id_token

    def remember(grant: Any) -> str:
        kept.append(made(grant))
        return kept[0]

    provider._id_token = remember  # type: ignore[method-assign]
    assert (await log_in(linked, provider)).session is not None
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(linked, provider)
    assert len(kept) == 2


async def test_a_code_is_not_given_to_another_provider_than_that_it_is_of(
    linked: Home, provider: Provider, authority: Authority
) -> None:
    """Mix-up (RFC 9700 4.4): who began at the attacker's provider is led to the honest one, and comes back with it."""
    await linked.first()
    async with serve(Provider(), authority) as evil:
        evil.metadata = {"authorization_endpoint": f"{provider.issuer}/authorize"}
        await linked.know(evil, authority.file, "evil")
        for instead in ({}, {"iss": ""}):
            begun = await begin(linked, name="evil")
            with pytest.raises(Unauthenticated, match=WRONG):
                await finish(linked, begun.begun, {**provider.visit(begun.url), **instead})
        assert "/token" not in evil.asked


async def test_another_issuer_in_the_answer_is_refused_also_of_a_provider_that_names_none(
    linked: Home, provider: Provider
) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": False}
    await linked.first()
    provider.redirected = {"iss": "https://evil.example"}
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(linked, provider)
    provider.redirected = {"iss": ""}
    assert (await log_in(linked, provider)).session is not None


FORGED: dict[str, Any] = {
    "for another client": {"aud": "another"},
    "for several, and not said for which": {"aud": ["mirage", "another"]},
    "for another of several": {"aud": ["mirage", "another"], "azp": "another"},
    "of another issuer": {"iss": "https://evil.example"},
    "about another login": {"nonce": "another"},
    "about no login": {"nonce": None},
    "over": {"exp": 1},
    "without an end": {"exp": None},
    "of a time to come": {"iat": 1 << 40},
    "not good yet": {"nbf": 1 << 40},
    "of long ago": {"iat": 1},
    "without a time": {"iat": None},
    "of nobody": {"sub": ""},
    "of no text": {"sub": 7},
    "without a subject": {"sub": None},
}


@pytest.mark.parametrize("claims", FORGED)
async def test_a_token_that_is_not_about_this_login_is_refused(linked: Home, provider: Provider, claims: str) -> None:
    await linked.first()
    provider.claims = FORGED[claims]
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(linked, provider)
    provider.claims = {"aud": ["mirage"], "azp": "mirage"}
    assert (await log_in(linked, provider)).session is not None


async def test_a_token_that_the_provider_did_not_sign_is_refused(linked: Home, provider: Provider) -> None:
    await linked.first()
    key = provider.keys[0]
    stranger = make_key("RS256", 3)
    jwk = stranger.as_dict(private=False)
    forgeries = [
        unsigned,
        signed_by_public_key(key),
        signed_by(stranger, "RS256"),
        signed_by(stranger, "RS256", kid=key.kid),
        signed_by(stranger, "RS256", kid=key.kid, jwk=jwk),
        signed_by(stranger, "RS256", kid=stranger.kid, jku=f"{provider.issuer}/keys"),
        signed_by(ECKey.generate_key("P-256"), "ES256", kid=key.kid),
        signed_by(key, "PS256", kid=key.kid),
        signed_by(key, "RS512", kid=key.kid),
        lambda claims: "",
        lambda claims: "a.b.c",
        lambda claims: f"{'W1tb' * 6000}.e30.e30",  # brackets that are never closed
        lambda claims: "a.b.c.d.e",
    ]
    for forge in forgeries:
        provider.forge = forge
        with pytest.raises(Unauthenticated, match=WRONG):
            await log_in(linked, provider)
    provider.forge = signed_by(key, "RS256")  # it has one key of that kind, so it need not say which
    assert (await log_in(linked, provider)).session is not None


async def test_a_key_that_is_too_short_signs_nothing(linked: Home, provider: Provider) -> None:
    await linked.first()
    with pytest.warns(SecurityWarning, match="2048 bits"):
        provider.keys = [RSAKey.generate_key(1024, auto_kid=True)]
    with pytest.raises(Unauthenticated, match=WRONG):
        await log_in(linked, provider)


async def test_keys_are_asked_for_again_once_a_token_names_another_one_and_not_more_often(
    linked: Home, provider: Provider, clock: Clock
) -> None:
    await linked.first()
    assert (await log_in(linked, provider)).session is not None
    provider.rotate()
    clock.forward(providers.ASKED_AGAIN + 1)
    assert (await log_in(linked, provider)).session is not None
    assert provider.asked.count("/keys") == 2
    for _ in range(5):
        provider.forge = signed_by(make_key("RS256", 3), "RS256", kid="made up")
        with pytest.raises(Unauthenticated):
            await log_in(linked, provider)
    assert provider.asked.count("/keys") == 2
    assert provider.asked.count(DISCOVERY) == 1


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
async def test_all_who_come_while_a_provider_is_away_wait_for_one_question_and_who_comes_soon_after_for_none(
    linked: Home, provider: Provider, monkeypatch: pytest.MonkeyPatch, clock: Clock, path: str
) -> None:
    await linked.first()
    if path != DISCOVERY:
        await begin(linked)
    monkeypatch.setattr(providers, "SECONDS", 1.0)

    async def come() -> list[object]:
        return await asyncio.gather(*(log_in(linked, provider) for _ in range(6)), return_exceptions=True)

    provider.silent.add(path)
    for _ in range(2):
        said = await come()
        assert all(isinstance(each, Unavailable) for each in said), said
        assert provider.asked.count(path) == 1
    provider.released.set()
    monkeypatch.setattr(providers, "SECONDS", 10.0)
    clock.forward(providers.AWAY)
    assert not any(isinstance(each, Unavailable) for each in await come())
    assert (await log_in(linked, provider)).session is not None
    assert provider.asked.count(path) == 2


@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/keys", "/userinfo"])
async def test_an_answer_that_does_not_end_is_not_read_and_one_that_does_not_come_is_not_waited_for(
    linked: Home, provider: Provider, monkeypatch: pytest.MonkeyPatch, clock: Clock, path: str
) -> None:
    await linked.first()
    provider.thin = True
    monkeypatch.setattr(providers, "SECONDS", 0.2)
    for misbehaving in (provider.large, provider.silent):
        misbehaving.add(path)
        with pytest.raises(Unavailable, match="the provider does not answer as it should"):
            await log_in(linked, provider)
        misbehaving.clear()
        clock.forward(providers.AWAY)
    provider.released.set()
    monkeypatch.setattr(providers, "SECONDS", 10.0)
    assert (await log_in(linked, provider)).session is not None


METADATA: dict[str, Any] = {
    "another issuer": {"issuer": "https://evil.example"},
    "no issuer": {"issuer": None},
    "people go to a page without TLS": {"authorization_endpoint": "http://localhost/authorize"},
    "people go to no page": {"authorization_endpoint": "javascript:alert(1)"},
    "codes are sent without TLS": {"token_endpoint": "http://localhost/token"},
    "keys are somewhere in the network of the operator": {"jwks_uri": "https://169.254.169.254/keys"},
    "keys are on another host of loopback": {"jwks_uri": "https://127.0.0.1:1/keys"},
    "keys are in a file": {"jwks_uri": "file:///etc/passwd"},
}


@pytest.mark.parametrize("said", METADATA)
async def test_a_provider_that_leads_elsewhere_is_not_followed(linked: Home, provider: Provider, said: str) -> None:
    await linked.first()
    provider.metadata = METADATA[said]
    with pytest.raises(Unavailable, match="the provider does not answer as it should"):
        await log_in(linked, provider)


@pytest.mark.parametrize("field", ["jwks_uri", "token_endpoint"])
async def test_only_the_host_of_the_issuer_may_be_in_the_network_of_the_operator(
    linked: Home, provider: Provider, field: str
) -> None:
    await linked.first()
    provider.metadata = {field: f"{provider.issuer.replace('localhost', '127.0.0.1')}/asked"}
    with capture_logs() as written, pytest.raises(Unavailable):
        await log_in(linked, provider)
    assert "/asked" not in provider.asked
    assert [each["reason"] for each in written if "issuer" in each] == [
        "Forbidden: 127.0.0.1 may not be dialled: loopback"
    ]


async def test_a_provider_whose_certificate_nobody_signed_is_not_asked(linked: Home, provider: Provider) -> None:
    linked.ports.settings = type(linked.ports.settings)()
    with pytest.raises(Unavailable, match="the provider does not answer as it should"):
        await begin(linked)
    assert provider.asked == []


async def test_without_its_secret_a_provider_is_not_asked_for_a_token(linked: Home, provider: Provider) -> None:
    await linked.first()
    await linked.ports.values.delete(f"{KEYS}oidc_acme")
    with pytest.raises(Unavailable, match="mirage keys set oidc_acme"):
        await log_in(linked, provider)


REDIRECTS = {
    "https://mirage.example/login": True,
    "http://127.0.0.1/callback": True,
    "http://127.0.0.1:1/": True,
    "http://[::1]:65535/a/b": True,
    "https://mirage.example/login/": False,
    "https://mirage.example/login?next=https://evil.example": False,
    "https://mirage.example/login/../other": False,
    "https://mirage.example.evil.example/login": False,
    "https://mirage.example@evil.example/login": False,
    "http://mirage.example/login": False,
    "https://evil.example/": False,
    "//evil.example/": False,
    "javascript:alert(1)//127.0.0.1/": False,
    "http://localhost:80/callback": False,
    "http://127.0.0.1:80@evil.example/": False,
    "http://127.0.0.1.evil.example/": False,
    "http://127.0.0.1:8000/?code=x": False,
    "http://127.0.0.1:8000/#fragment": False,
    "http://127.0.0.1:8000/\n": False,
    "http://127.0.0.1:8000\\@evil.example/": False,
    "http://127.1/": False,
    "https://127.0.0.1/": False,
    "": False,
}


@pytest.mark.parametrize("redirect", REDIRECTS)
def test_a_provider_sends_people_nowhere_else_than_where_it_is_set(redirect: str) -> None:
    assert is_redirect(redirect, ("https://mirage.example/login",)) is REDIRECTS[redirect]


async def test_who_is_to_be_sent_elsewhere_is_not_sent_to_the_provider(linked: Home) -> None:
    with pytest.raises(Invalid, match="a provider sends people back"):
        await begin(linked, "https://evil.example/")
    with pytest.raises(NotFound):
        await begin(linked, name="evil")


async def test_logins_are_begun_no_faster_than_others(linked: Home) -> None:
    with pytest.raises(Limited):
        for _ in range(100):
            await begin(linked)


async def test_what_is_kept_of_a_login_shows_no_secret(linked: Home, provider: Provider) -> None:
    begun = await begin(linked)
    flow = await ceremonies.look(linked.ports, "log in", begun.begun, oidc.Flow)
    assert flow is not None
    shown = repr((begun, flow, r.OidcLogin(begun=begun.begun, **provider.visit(begun.url))))
    assert not [each for each in (flow.verifier, flow.nonce, flow.state, begun.begun) if each in shown]


async def test_no_secret_of_a_login_is_written_down(linked: Home, provider: Provider) -> None:
    await linked.first()
    kept: list[str] = []
    with capture_logs() as written:
        for claims in ({}, {"nonce": "another"}, {"iat": "never"}):
            provider.claims = claims
            begun = await begin(linked)
            flow = await ceremonies.look(linked.ports, "log in", begun.begun, oidc.Flow)
            answer = provider.visit(begun.url)
            assert flow is not None
            kept += [begun.begun, flow.verifier, flow.nonce, flow.state, answer["code"]]
            with contextlib.suppress(Unauthenticated):
                await finish(linked, begun.begun, answer)
        for path in ("/token", "/keys"):
            linked.ports.state.clear()
            provider.large = {path}
            with pytest.raises(Unavailable):
                await log_in(linked, provider)
    assert len(written) > 3
    assert not [each for each in (*kept, SECRET, "jo@example.org") if each in repr(written)]


def test_an_address_that_is_said_to_be_verified_in_some_other_way_is_not() -> None:
    for said, address in ((True, "jo@example.org"), ("true", "jo@example.org"), ("True", ""), ("1", ""), ("", "")):
        token = IdToken(iss="", sub="x", aud="", exp=0, iat=0, email="Jo@example.org", email_verified=said)
        assert token.address == address
