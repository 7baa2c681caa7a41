"""A passkey lets its person in, here and now, and nobody else: whatever of it is another's, or old, or not sound."""

import copy
import hashlib
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cbor2
import msgspec
import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.auth.usecases import accounts, authenticators, ceremonies, passkeys, ways
from services.contracts import resources as r
from services.contracts.settings import AuthSettings
from services.kernel.calls import Nothing
from services.kernel.errors import Conflict, Denied, Invalid, Limited, MirageError, NotFound, Unauthenticated
from services.kernel.tokens import make_token
from tests.services.auth.home import NOBODY, PASSWORD, Clock, Home, replaced
from tests.services.auth.software_authenticator import Authenticator, Json, Refused


async def begin(home: Home, session: r.LoggedIn, **proof: str) -> r.PasskeyOptions:
    said = r.Proof(**(proof or {"password": PASSWORD}))
    return await passkeys.begin_passkey(home.ports, home.caller(session), said)


async def add(home: Home, session: r.LoggedIn, begun: str, made: Json, name: str = "laptop") -> r.PasskeyView:
    new = r.NewPasskey(begun=begun, name=name, credential=msgspec.convert(made, r.MadeCredential))
    return await passkeys.add_passkey(home.ports, home.caller(session), new)


async def register(
    home: Home, session: r.LoggedIn, authenticator: Authenticator, name: str = "laptop"
) -> r.PasskeyView:
    begun = await begin(home, session)
    return await add(home, session, begun.begun, authenticator.create(begun.options), name)


async def begin_login(home: Home) -> r.PasskeyOptions:
    return await passkeys.begin_passkey_login(home.ports, NOBODY, Nothing())


async def finish(home: Home, begun: str, signed: Json, **more: str) -> r.LoginStep:
    said = r.PasskeyLogin(begun=begun, credential=msgspec.convert(signed, r.SignedCredential), **more)
    return await passkeys.log_in_by_passkey(home.ports, NOBODY, said)


async def log_in(home: Home, authenticator: Authenticator, **more: str) -> r.LoginStep:
    begun = await begin_login(home)
    return await finish(home, begun.begun, authenticator.get(begun.options), **more)


async def listed(home: Home, session: r.LoggedIn) -> list[str]:
    return [each.name for each in await passkeys.list_passkeys(home.ports, home.caller(session), Nothing())]


async def remove(home: Home, session: r.LoggedIn, passkey: r.PasskeyView, **proof: str) -> None:
    said = r.RemovePasskey(passkey=passkey.id, **proof)
    await passkeys.remove_passkey(home.ports, home.caller(session), said)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_who_has_a_passkey_logs_in_by_it_alone(home: Home, algorithm: Any) -> None:
    jo = await home.first()
    authenticator = Authenticator(algorithm)
    view = await register(home, jo, authenticator, "  my   laptop ")
    assert (view.name, view.synced, view.used) == ("my laptop", False, None)
    step = await log_in(home, authenticator, device="a browser")
    assert step.session is not None
    assert (step.session.account, step.session.roles) == (jo.account, ("owner", "operator"))
    claims = await home.claims(step.session.access)
    assert claims["sub"] == str(jo.account)
    assert (await home.refresh(step.session.refresh)).account == jo.account
    (kept,) = await passkeys.list_passkeys(home.ports, home.caller(jo), Nothing())
    assert kept.used is not None


async def test_a_passkey_is_both_factors(home: Home, clock: Clock) -> None:
    jo = await home.first()
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    begun = await authenticators.begin_authenticator(home.ports, home.caller(jo), r.Proof(password=PASSWORD))
    code = pyotp.TOTP(begun.secret).generate_otp(clock.at // 1_000_000 // 30)
    await authenticators.confirm_authenticator(home.ports, home.caller(jo), r.AuthenticatorCode(code))
    assert (await home.log_in()).needs == "code"
    assert (await log_in(home, authenticator)).session is not None


async def test_somebody_has_several_and_each_is_removed_for_itself(home: Home) -> None:
    jo = await home.first()
    one, other = Authenticator(), Authenticator("EdDSA")
    other.synced = True
    first = await register(home, jo, one, "laptop")
    assert (await register(home, jo, other, "telephone")).synced
    assert await listed(home, jo) == ["telephone", "laptop"]
    await remove(home, jo, first, password=PASSWORD)
    assert await listed(home, jo) == ["telephone"]
    with pytest.raises(Unauthenticated):
        await log_in(home, one)
    assert (await log_in(home, other)).session is not None
    with pytest.raises(NotFound):
        await remove(home, jo, first, password=PASSWORD)


async def test_an_authenticator_that_has_one_makes_no_second_one_for_the_same_account(home: Home) -> None:
    jo = await home.first()
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    with pytest.raises(Refused, match="has one already"):
        await register(home, jo, authenticator)


async def test_nobody_adds_or_removes_one_without_showing_anew_that_it_is_he(home: Home, clock: Clock) -> None:
    jo = await home.first()
    kept = await register(home, jo, Authenticator())
    clock.forward(86_400)
    for proof in ({"password": "wrong horse battery"}, {"password": ""}, {"code": "000000"}):
        with pytest.raises(Denied):
            await begin(home, jo, **proof)
        with pytest.raises(Denied):
            await remove(home, jo, kept, **proof)
    assert await listed(home, jo) == ["laptop"]


async def test_a_code_of_the_authenticator_shows_it_too_and_once(home: Home, clock: Clock) -> None:
    jo = await home.first()
    begun = await authenticators.begin_authenticator(home.ports, home.caller(jo), r.Proof(password=PASSWORD))
    totp = pyotp.TOTP(begun.secret)
    said = r.AuthenticatorCode(totp.generate_otp(clock.at // 1_000_000 // 30))
    await authenticators.confirm_authenticator(home.ports, home.caller(jo), said)
    clock.forward(300)
    code = totp.generate_otp(clock.at // 1_000_000 // 30)
    await begin(home, jo, code=code)
    with pytest.raises(Denied):
        await begin(home, jo, code=code)


async def test_a_password_is_not_guessed_there(home: Home) -> None:
    jo = await home.first()
    with pytest.raises(Limited):
        for _ in range(50):
            with pytest.raises(Denied):
                await begin(home, jo, password="wrong horse battery")


async def refusal(trying: Any) -> str:
    with pytest.raises(MirageError) as refused:
        await trying
    return f"{type(refused.value).__name__}: {refused.value}"


def altered(said: Json, field: str, value: Any) -> Json:
    """What an authenticator said, with something else in its response, or beside it."""
    other = copy.deepcopy(said)
    (other["response"] if field in other["response"] else other)[field] = value
    return other


def flipped(text: str) -> str:
    """Other bytes of the same length."""
    return ("B" if text[0] == "A" else "A") + text[1:]


#: What is done to an authenticator before it signs.
LIES: dict[str, Callable[[Authenticator], None]] = {
    "another origin": lambda it: setattr(it, "origin", "http://localhost:3000"),
    "a page without TLS": lambda it: setattr(it, "origin", "http://localhost:8080.evil.example"),
    "another host": lambda it: setattr(it, "rp", "evil.example"),
    "nobody was verified": lambda it: setattr(it, "verifies", False),
    "in a frame of another page": lambda it: setattr(it, "frame", True),
}
#: What is done to what it signed.
ALTERED: dict[str, Callable[[Json], Json]] = {
    "another signature": lambda it: altered(it, "signature", flipped(it["response"]["signature"])),
    "no signature": lambda it: altered(it, "signature", ""),
    "another account": lambda it: altered(it, "userHandle", "AAAAAAAAAAAAAAAAAAAAAA"),
    "no account": lambda it: altered(it, "userHandle", None),
    "another credential": lambda it: altered(altered(it, "id", "AAAA"), "rawId", "AAAA"),
    "two credentials": lambda it: altered(it, "id", "AAAA"),
    "other data": lambda it: altered(it, "authenticatorData", flipped(it["response"]["authenticatorData"])),
    "no data": lambda it: altered(it, "authenticatorData", ""),
    "other client data": lambda it: altered(it, "clientDataJSON", "e30"),
    "no client data": lambda it: altered(it, "clientDataJSON", "/////"),
    "an origin that is no text": lambda it: altered(it, "clientDataJSON", urlsafe_b64encode(b'{"origin": 5}').decode()),
}


@pytest.mark.parametrize("lie", LIES)
async def test_what_is_made_or_signed_elsewhere_or_by_nobody_is_refused(home: Home, lie: str) -> None:
    jo = await home.first()
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    options = await begin_login(home)
    other = Authenticator()
    begun = await begin(home, jo)
    LIES[lie](authenticator)
    LIES[lie](other)
    if lie == "a page without TLS":
        authenticator._check_rp = other._check_rp = lambda rp: rp  # type: ignore[method-assign]
    elsewhere = f"not of '{other.origin}'" if other.origin != Authenticator().origin else ""
    with pytest.raises(Unauthenticated, match=elsewhere or "that passkey lets nobody in"):
        await finish(home, options.begun, authenticator.get(options.options))
    with pytest.raises(Invalid, match=elsewhere or "that is no passkey that was made here"):
        await add(home, jo, begun.begun, other.create(begun.options))
    assert await listed(home, jo) == ["laptop"]


@pytest.mark.parametrize("change", ALTERED)
async def test_whatever_is_altered_is_told_as_a_passkey_is_that_nobody_has(home: Home, change: str) -> None:
    jo = await home.first()
    authenticator, stranger = Authenticator(), Authenticator()
    await register(home, jo, authenticator)
    options = await begin_login(home)
    stranger.create((await begin(home, jo)).options)
    unknown = await refusal(finish(home, (await begin_login(home)).begun, stranger.get(options.options)))
    said = ALTERED[change](authenticator.get(options.options))
    assert await refusal(finish(home, options.begun, said)) == unknown
    assert unknown == "Unauthenticated: that passkey lets nobody in: begin the login again"
    assert (await log_in(home, authenticator)).session is not None


async def test_a_challenge_is_good_once_for_a_while_and_for_what_it_was_given(home: Home, clock: Clock) -> None:
    jo = await home.first()
    authenticator = Authenticator(counts=False)
    await register(home, jo, authenticator)
    options, other = await begin_login(home), await begin_login(home)
    assert options.options["challenge"] != other.options["challenge"]
    signed = authenticator.get(options.options)
    with pytest.raises(Unauthenticated):
        await finish(home, other.begun, signed)
    assert (await finish(home, options.begun, signed)).session is not None
    with pytest.raises(Unauthenticated):
        await finish(home, options.begun, signed)
    making = await begin(home, jo)
    with pytest.raises(Unauthenticated):
        await finish(
            home, making.begun, authenticator.get({**options.options, "challenge": making.options["challenge"]})
        )
    late = await begin_login(home)
    clock.forward(ceremonies.LASTS + 1)
    for begun in (late.begun, make_token("beg"), make_token("ref"), ""):
        with pytest.raises(Unauthenticated):
            await finish(home, begun, authenticator.get(late.options))


async def test_what_is_made_is_kept_once_and_for_who_began(home: Home) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "viewer")
    authenticator = Authenticator()
    begun = await begin(home, jo)
    made = authenticator.create(begun.options)
    with pytest.raises(Invalid, match="begin again"):
        await add(home, mo, begun.begun, made)
    begun = await begin(home, jo)
    made = Authenticator().create(begun.options)
    await add(home, jo, begun.begun, made)
    with pytest.raises(Invalid, match="begin again"):
        await add(home, jo, begun.begun, made)
    assert (await listed(home, jo), await listed(home, mo)) == (["laptop"], [])


async def test_a_credential_that_is_known_is_nobody_elses(home: Home) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "viewer")
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    begun = await begin(home, mo)
    copied = Authenticator().create(begun.options, authenticator.credentials[0].id)
    with pytest.raises(Conflict, match="is known already"):
        await add(home, mo, begun.begun, copied)
    step = await log_in(home, authenticator)
    assert step.session is not None
    assert step.session.account == jo.account


async def test_a_passkey_of_one_account_does_not_sign_for_another(home: Home) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "viewer")
    his, hers = Authenticator(), Authenticator()
    await register(home, jo, his)
    await register(home, mo, hers)
    options = await begin_login(home)
    signed = hers.get(options.options)
    for field in ("id", "rawId"):
        signed = altered(signed, field, his.get(options.options)["rawId"])
    with pytest.raises(Unauthenticated):
        await finish(
            home, options.begun, altered(signed, "userHandle", his.get(options.options)["response"]["userHandle"])
        )
    with pytest.raises(NotFound):
        (kept,) = await passkeys.list_passkeys(home.ports, home.caller(jo), Nothing())
        await remove(home, mo, kept, password=PASSWORD)


async def test_a_counter_that_goes_back_is_of_a_copy(home: Home) -> None:
    jo = await home.first()
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    copied = copy.copy(authenticator)
    copied.credentials = [msgspec.structs.replace(each) for each in authenticator.credentials]
    for _ in range(2):
        assert (await log_in(home, authenticator)).session is not None
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await log_in(home, copied)
    assert (await log_in(home, authenticator)).session is not None
    authenticator.counts, authenticator.credentials[0].count = False, 0
    with pytest.raises(Unauthenticated):
        await log_in(home, authenticator)


async def test_one_that_does_not_count_stays_good(home: Home) -> None:
    authenticator = Authenticator(counts=False)
    await register(home, await home.first(), authenticator)
    for _ in range(3):
        assert (await log_in(home, authenticator)).session is not None


def with_attestation(made: Json, **fields: Any) -> Json:
    """What an authenticator made, with something else in its attestation object."""
    said = made["response"]["attestationObject"]
    attestation = cbor2.loads(urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    encoded = urlsafe_b64encode(cbor2.dumps({**attestation, **fields})).rstrip(b"=").decode()
    return altered(made, "attestationObject", encoded)


def attested_as_u2f(made: Json) -> Json:
    """What an authenticator made, with a sound attestation by a certificate of its maker (fido-u2f, 8.6 there)."""
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "maker")])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, at - timedelta(1), at + timedelta(1))
    der = certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    data = bytearray(urlsafe_b64decode(made["response"]["authenticatorData"] + "=="))
    data[37:53] = bytes(16)
    public = cbor2.loads(bytes(data[87:]))
    client_data = urlsafe_b64decode(made["response"]["clientDataJSON"] + "==")
    signed = b"\0" + data[:32] + hashlib.sha256(client_data).digest() + data[55:87] + b"\4" + public[-2] + public[-3]
    statement = {"x5c": [der], "sig": key.sign(bytes(signed), ec.ECDSA(hashes.SHA256()))}
    return with_attestation(made, fmt="fido-u2f", attStmt=statement, authData=bytes(data))


MADE: dict[str, Callable[[Json], Json]] = {
    "an attestation that nobody asked for": attested_as_u2f,
    "a statement where there is none": lambda it: with_attestation(it, attStmt={"sig": b"x"}),
    "no data": lambda it: with_attestation(it, authData=b""),
    "data without a key": lambda it: with_attestation(it, authData=bytes(37)),
    "nothing that is CBOR": lambda it: altered(it, "attestationObject", "/////"),
    "a list": lambda it: altered(it, "attestationObject", "gA"),
    "what was signed for a login": lambda it: altered(it, "clientDataJSON", LOGIN),
}
LOGIN: Final = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiQUEiLCJvcmlnaW4iOiJodHRwOi8vbG9jYWxob3N0OjgwODAifQ"


@pytest.mark.parametrize("change", MADE)
async def test_what_is_not_sound_is_not_kept(home: Home, change: str) -> None:
    jo = await home.first()
    begun = await begin(home, jo)
    with pytest.raises(Invalid, match="that is no passkey that was made here"):
        await add(home, jo, begun.begun, MADE[change](Authenticator().create(begun.options)))
    begun = await begin(home, jo)
    with pytest.raises(Invalid, match="that is no passkey that was made here"):
        await add(home, jo, begun.begun, Authenticator().create(begun.options, bytes(1024)))
    assert await listed(home, jo) == []


async def test_beginning_a_login_says_the_same_whoever_is_known(home: Home) -> None:
    def said(options: r.PasskeyOptions) -> tuple[set[str], Json]:
        return set(msgspec.to_builtins(options)), {**options.options, "challenge": ""}

    before = said(await begin_login(home))
    await register(home, await home.first(), Authenticator())
    assert said(await begin_login(home)) == before


async def test_logins_are_begun_no_faster_than_others(home: Home) -> None:
    with pytest.raises(Limited):
        for _ in range(100):
            await begin_login(home)
    await passkeys.begin_passkey_login(home.ports, replaced(NOBODY, "203.0.113.5"), Nothing())


async def test_passkeys_are_good_where_the_installation_is_reached(home: Home) -> None:
    home.ports.live.now = AuthSettings(origins=("https://mirage.example", "https://pages.mirage.example:8443"))
    jo = await home.first()
    authenticator = Authenticator(origin="https://pages.mirage.example:8443")
    await register(home, jo, authenticator)
    authenticator.origin = "https://mirage.example"
    assert (await log_in(home, authenticator)).session is not None
    authenticator.origin = "https://other.mirage.example"
    with pytest.raises(Unauthenticated):
        await log_in(home, authenticator)


@pytest.mark.parametrize(
    "origins",
    [(), ("https://mirage.example", "https://evil.example"), ("http://mirage.example",), ("https://mirage.example/",),
     ("https://pages.mirage.example", "https://mirage.example"), ("https://mirage.example", "https://xmirage.example")],
)  # fmt: skip
def test_origins_that_cannot_share_passkeys_are_not_set(origins: tuple[str, ...]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"origins": origins}, AuthSettings)


async def test_nobody_has_more_than_there_may_be(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "MOST", 2)
    jo = await home.first()
    begun = await begin(home, jo)
    for _ in range(2):
        await register(home, jo, Authenticator())
    with pytest.raises(Conflict, match="you have 2 passkeys"):
        await begin(home, jo)
    with pytest.raises(Conflict, match="you have 2 passkeys"):
        await add(home, jo, begun.begun, Authenticator().create(begun.options))


def test_whoever_does_not_log_in_loads_nothing_for_it() -> None:
    heavy = {"webauthn", "cbor2", "OpenSSL", "joserfc", "argon2", "pyotp"}
    code = f"import services.auth.api, services.auth.consumers, sys; assert not {heavy} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_password_that_changes_leaves_passkeys_as_they_are(home: Home) -> None:
    jo = await home.first()
    authenticator = Authenticator()
    await register(home, jo, authenticator)
    changed = r.ChangePassword(old=PASSWORD, new="another horse battery")
    await accounts.change_password(home.ports, home.caller(jo), changed)
    assert (await log_in(home, authenticator)).session is not None
