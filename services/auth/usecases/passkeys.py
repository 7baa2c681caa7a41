"""Passkeys (Web Authentication Level 3, https://www.w3.org/TR/webauthn-3/): both factors at once, where a person is
verified by his authenticator.

Nobody names an account to log in by one: the authenticator knows which it has, so nothing here says who has an account.
"""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID, uuid4

import msgspec
import structlog
from msgspec import Struct

from services.auth.domain.providers import relying_party
from services.auth.store import accounts as account_store
from services.auth.store import passkeys as kept
from services.auth.store.passkeys import Passkey
from services.auth.usecases.ceremonies import LASTS, begin, take
from services.auth.usecases.proofs import proven
from services.auth.usecases.sessions import open_session
from services.auth.usecases.throttle import slow_down
from services.auth.usecases.ways import one_more, see_room, take_away
from services.contracts.people import plain_title
from services.contracts.resources import (
    LoginStep,
    MadeCredential,
    NewPasskey,
    PasskeyLogin,
    PasskeyOptions,
    PasskeyView,
    Proof,
    RemovePasskey,
    SignedCredential,
)
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Invalid, Unauthenticated
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_made, say_who

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.registration.verify_registration_response import VerifiedRegistration

T = TypeVar("T")

#: Of attestations where none is asked for, and bytes of the id of a credential (7.1 there).
FORMATS: Final = {"none", "packed"}
LONGEST_ID: Final = 1023
_CHALLENGE: Final = 32
#: The same whatever is wrong, and whether anybody has such a passkey.
_WRONG: Final = "that passkey lets nobody in: begin the login again"

_log = structlog.get_logger(__name__)


class Begun(Struct, frozen=True):
    """``account``: whose passkey is made; nobody's where somebody logs in, who is not known yet."""

    challenge: bytes
    account: UUID | None = None


class Page(Struct, frozen=True):
    """What a browser says of the page that asked for a passkey (CollectedClientData)."""

    origin: str


async def begin_passkey(ports: Ports, caller: Caller, question: Proof) -> PasskeyOptions:
    """What an authenticator needs to make a passkey of who asks, once he has shown that it is he.

    Raises:
        Denied: he has not.
        Conflict: he has as many as one may have.
    """
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    async with proven(ports, caller, question) as (unit, account):
        await see_room(unit.tx, account.account, "passkey")
        known = await kept.list_passkeys(unit.tx, account.account)
    begun = Begun(secrets.token_bytes(_CHALLENGE), account.account)
    options = generate_registration_options(
        rp_id=relying_party(ports.live.now.origins), rp_name="Mirage", user_id=account.account.bytes,
        user_name=account.email, user_display_name=caller.name, challenge=begun.challenge, timeout=int(LASTS * 1000),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each.credential) for each in known],
    )  # fmt: skip
    return PasskeyOptions(begun=await begin(ports, "make passkey", begun), options=options_to_json_dict(options))


async def add_passkey(ports: Ports, caller: Caller, question: NewPasskey) -> PasskeyView:
    """Keep a passkey that was made by the options that its person was given.

    Raises:
        Invalid: it was not, or not for here (which pages are of here is said), or without verifying the person.
        Conflict: it is known already.
    """
    name = plain_title(question.name)
    begun = await take(ports, "make passkey", question.begun, Begun)
    if begun is None or begun.account != caller.person:
        raise Invalid("making a passkey takes ten minutes at most, and is begun by who makes it: begin again")
    if elsewhere := _is_elsewhere(ports, question.credential.response.client_data):
        raise Invalid(elsewhere)
    made = _read(lambda: _verify_made(ports, question.credential, begun.challenge))
    if made is None:
        raise Invalid("that is no passkey that was made here, now, and by somebody who was verified: begin again")
    passkey = Passkey(
        id=uuid4(), account=caller.person, credential=made.credential_id, public_key=made.credential_public_key,
        counter=made.sign_count, name=name, synced=made.credential_backed_up, created=now(),
    )  # fmt: skip
    say_made(passkey=passkey.id)
    async with one_more(ports, caller.person, "passkey") as tx:
        if not await kept.add_passkey(tx, passkey):
            raise Conflict("this passkey is known already")
    return _view(passkey)


async def list_passkeys(ports: Ports, caller: Caller, question: Nothing) -> tuple[PasskeyView, ...]:
    async with ports.sql.read() as view:
        return tuple(_view(each) for each in await kept.list_passkeys(view, caller.person))


async def remove_passkey(ports: Ports, caller: Caller, question: RemovePasskey) -> Nothing:
    """Have a passkey let nobody in any more; its person has shown that it is he.

    Raises:
        Denied: he has not.
        NotFound: he has no such passkey.
        Conflict: he could not log in any more.
    """
    await take_away(ports, caller, question, "passkey", question.passkey)
    return Nothing()


async def begin_passkey_login(ports: Ports, caller: Caller, question: Nothing) -> PasskeyOptions:
    """What an authenticator signs to let somebody in: the same for everybody, whoever is known."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement

    await slow_down(ports, caller.address)
    begun = Begun(secrets.token_bytes(_CHALLENGE))
    options = generate_authentication_options(
        rp_id=relying_party(ports.live.now.origins), challenge=begun.challenge, timeout=int(LASTS * 1000),
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return PasskeyOptions(begun=await begin(ports, "use passkey", begun), options=options_to_json_dict(options))


async def log_in_by_passkey(ports: Ports, caller: Caller, question: PasskeyLogin) -> LoginStep:
    """Begin a session for whose passkey signed the challenge; that is both factors, so no code is asked for.

    Raises:
        Unauthenticated: it did not; what is wrong is not said, but where the page is of elsewhere.
        Limited: there were too many tries.
    """
    await slow_down(ports, caller.address)
    begun = await take(ports, "use passkey", question.begun, Begun)
    if elsewhere := _is_elsewhere(ports, question.credential.response.client_data):
        raise Unauthenticated(elsewhere)
    credential = _read(lambda: _credential_id(question.credential))
    if begun is None or credential is None:
        raise Unauthenticated(_WRONG)
    async with ports.sql.read() as view:
        known = await kept.find_passkey(view, credential)
        account = await account_store.read_account(view, known.account) if known is not None else None
    if known is None or account is None:
        raise Unauthenticated(_WRONG)
    say_who(account.account, account.email)
    signed = _read(lambda: _verify_signed(ports, question.credential, begun.challenge, known))
    if signed is None:
        raise Unauthenticated(_WRONG)
    async with ports.sql.begin() as tx:
        went_on = await kept.use_passkey(tx, known.id, signed.new_sign_count, now())
    if not went_on:
        # Web Authentication 7.2, step 22: two authenticators may have its key.
        _log.warning("a passkey was removed, or counted back: it may have been copied", passkey=str(known.id))
        raise Unauthenticated(_WRONG)
    return LoginStep(session=await open_session(ports, caller, account, question.device, question.workspace))


def _is_elsewhere(ports: Ports, client_data: str) -> str:
    """What to say of a page whose origin none of ours is: often the operator has not said yet where people log in."""
    from webauthn.helpers import base64url_to_bytes

    origins: tuple[str, ...] = ports.live.now.origins
    page = _read(lambda: msgspec.json.decode(base64url_to_bytes(client_data), type=Page))
    if page is None or page.origin in origins:
        return ""
    return f"passkeys are for pages of {', '.join(origins)} (origins, set of auth), not of {page.origin[:200]!a}"


def _verify_made(ports: Ports, made: MadeCredential, challenge: bytes) -> "VerifiedRegistration":
    """Raises whatever the library does about what is not sound."""
    from webauthn import verify_registration_response
    from webauthn.helpers import base64url_to_bytes, parse_attestation_object

    origins: tuple[str, ...] = ports.live.now.origins
    _refuse_frames(made.response.client_data)
    if parse_attestation_object(base64url_to_bytes(made.response.attestation)).fmt not in FORMATS:
        raise ValueError("it says where it comes from, which nobody asked")
    verified = verify_registration_response(
        credential=_as_json(made), expected_challenge=challenge, expected_rp_id=relying_party(origins),
        expected_origin=list(origins), require_user_verification=True,
    )  # fmt: skip
    if len(verified.credential_id) > LONGEST_ID:
        raise ValueError("its id is too long")
    return verified


def _verify_signed(ports: Ports, said: SignedCredential, challenge: bytes, known: Passkey) -> "VerifiedAuthentication":
    """As above; the counter is left to the database, which compares it once the signature is known to be good."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes

    origins: tuple[str, ...] = ports.live.now.origins
    _refuse_frames(said.response.client_data)
    if base64url_to_bytes(said.response.user_handle or "") != known.account.bytes:
        raise ValueError("it was made for another account")
    return verify_authentication_response(
        credential=_as_json(said), expected_challenge=challenge, expected_rp_id=relying_party(origins),
        expected_origin=list(origins), credential_public_key=known.public_key, credential_current_sign_count=0,
        require_user_verification=True,
    )  # fmt: skip


def _refuse_frames(client_data: str) -> None:
    """Raise ValueError for what was made within a page of somebody else's (13.4.2 there: crossOrigin)."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json

    if parse_client_data_json(base64url_to_bytes(client_data)).cross_origin:
        raise ValueError("it was made in a frame of another page")


def _credential_id(said: SignedCredential) -> bytes:
    from webauthn.helpers import base64url_to_bytes

    return base64url_to_bytes(said.raw_id)


def _as_json(said: MadeCredential | SignedCredential) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(said)
    return found


def _read(read: Callable[[], T]) -> T | None:
    """What is read of bytes that anybody may have made; None where it is not sound."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  the library lets out whatever hostile CBOR breaks in it
        _log.info("a passkey was refused", reason=f"{type(error).__name__}: {error}"[:200])
        return None


def _view(passkey: Passkey) -> PasskeyView:
    return PasskeyView(
        id=passkey.id, name=passkey.name, synced=passkey.synced, created=passkey.created, used=passkey.used
    )
