"""Questions about logging in, sessions and tokens, and their answers."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from services.contracts.permissions import Role
from services.contracts.resources.users import IN_WORDS, SHOWN, Email, Title

#: As it is typed: how short one may be is said in a sentence when it is chosen.
Password = Annotated[str, Meta(max_length=1024)]
Token = Annotated[str, Meta(max_length=100)]
#: What a person sees of where a session is used, as whoever logs in says it.
Device = Annotated[str, Meta(pattern=SHOWN, max_length=200, description=IN_WORDS)]


#: Bytes in base64url, as Web Authentication writes them in JSON.
Encoded = Annotated[str, Meta(max_length=12_000)]
CredentialId = Annotated[str, Meta(max_length=1400)]
ProviderName = Annotated[str, Meta(max_length=32)]
Redirect = Annotated[str, Meta(max_length=512)]


class Secretive(Struct, frozen=True):
    """One that says nothing of itself where it is printed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class FirstAccount(Secretive, frozen=True, kw_only=True):
    """The account that an installation begins with, made by the code that it shows to who began it."""

    code: Token
    email: Email
    name: Title
    password: Password
    device: Device = ""


class FirstCode(Secretive, frozen=True, kw_only=True):
    """What makes the first account, shown to who begins an installation; none where there is an account."""

    code: str | None


class NewAccount(Secretive, frozen=True, kw_only=True):
    """An account of who was invited by ``code``; its address is the one of the invitation."""

    code: Token
    name: Title
    password: Password
    device: Device = ""


class LogIn(Secretive, frozen=True, kw_only=True):
    """``code`` is of an authenticator, or one of the codes for when that is lost; without one, who needs it is told.

    ``workspace``: to work in, by its name; without one, that in which the account has been for longest.
    """

    email: Annotated[str, Meta(max_length=254)]
    password: Password
    code: Annotated[str, Meta(max_length=32)] = ""
    workspace: Annotated[str, Meta(max_length=200)] = ""
    device: Device = ""


class LoggedIn(Secretive, frozen=True, kw_only=True):
    """A session: ``access`` lets in until ``expires`` (UTC microseconds), ``refresh`` gets the next pair, once.

    ``workspace`` is the one in which ``access`` works, as what ``roles`` say.
    """

    session: UUID
    access: str
    expires: int
    refresh: str
    account: UUID
    email: str
    name: str
    workspace: UUID | None
    workspace_name: str
    roles: tuple[Role, ...]


class LoginStep(Struct, frozen=True, kw_only=True):
    """How far a login is: ``needs`` says what is missing to the session."""

    session: LoggedIn | None = None
    needs: Literal["code"] | None = None


class Refresh(Secretive, frozen=True, kw_only=True):
    """The next pair of tokens of a session; ``workspace`` as in a login."""

    refresh: Token
    workspace: Annotated[str, Meta(max_length=200)] = ""


class SessionView(Struct, frozen=True, kw_only=True):
    """A session that has not ended; ``current`` is the one that asks."""

    id: UUID
    device: str
    address: str
    created: int
    seen: int
    expires: int
    current: bool


class SessionRef(Struct, frozen=True):
    session: UUID


class ChangePassword(Secretive, frozen=True, kw_only=True):
    """All other sessions end. ``code`` is of the authenticator, or of recovery, where logins need one.

    Who has no password leaves ``old`` empty, and needs a new session.
    """

    old: Password
    new: Password
    code: Annotated[str, Meta(max_length=32)] = ""


class NewReset(Struct, frozen=True, kw_only=True):
    """Whom to let choose another password; ``second_factor``: and forget all else that he logs in by."""

    email: Annotated[str, Meta(max_length=254)]
    second_factor: bool = False


class MadeReset(Secretive, frozen=True, kw_only=True):
    """The code, which is shown this once and good once, until ``expires`` (UTC microseconds)."""

    code: str
    email: str
    expires: int


class Reset(Secretive, frozen=True, kw_only=True):
    """Another password, by the code ``reset``; ``code`` is of the authenticator, as in a login."""

    reset: Token
    password: Password
    code: Annotated[str, Meta(max_length=32)] = ""
    device: Device = ""


class Authenticator(Secretive, frozen=True, kw_only=True):
    """What an authenticator is to be told, as a text and as what a QR code says; it counts once a code of it came."""

    secret: str
    uri: str


class AuthenticatorCode(Secretive, frozen=True):
    code: Annotated[str, Meta(max_length=32)]


class RecoveryCodes(Secretive, frozen=True):
    """Each is good once, instead of a code of the authenticator; shown this once."""

    codes: tuple[str, ...]


class SecondFactor(Struct, frozen=True, kw_only=True):
    """Whether logins need a code of an ``authenticator``, and how many ``recovery_codes`` are left instead of one."""

    authenticator: bool
    recovery_codes: int


class Proof(Secretive, frozen=True, kw_only=True):
    """That it is still he who asks: ``code`` of his authenticator, or of recovery, where his logins need one.

    Of who has no authenticator it is his password, of who has neither a new session. What is not needed is not looked
    at, so that one text may stand for both.
    """

    password: Password = ""
    code: Annotated[str, Meta(max_length=32)] = ""


class PasskeyOptions(Secretive, frozen=True, kw_only=True):
    """What `navigator.credentials` is given, in the JSON form of Web Authentication, and what names this beginning.

    ``options`` is for `PublicKeyCredential.parseCreationOptionsFromJSON`, or `parseRequestOptionsFromJSON` of a login.
    ``begun`` is good once, for some minutes, and for nobody else than who began.
    """

    begun: str
    options: dict[str, Any]


class MadeResponse(Struct, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    attestation: Encoded = field(name="attestationObject")


class MadeCredential(Struct, frozen=True, kw_only=True):
    """A credential that was made, as its `toJSON` says (RegistrationResponseJSON); the rest is not looked at."""

    id: CredentialId
    raw_id: CredentialId = field(name="rawId")
    type: Literal["public-key"]
    response: MadeResponse


class SignedResponse(Struct, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    authenticator: Encoded = field(name="authenticatorData")
    signature: Encoded
    user_handle: CredentialId | None = field(name="userHandle", default=None)


class SignedCredential(Struct, frozen=True, kw_only=True):
    """What a credential signed, as its `toJSON` says (AuthenticationResponseJSON)."""

    id: CredentialId
    raw_id: CredentialId = field(name="rawId")
    type: Literal["public-key"]
    response: SignedResponse


class NewPasskey(Struct, frozen=True, kw_only=True):
    """A passkey, called ``name`` by its person; ``begun`` is of the options that it was made by."""

    begun: Token
    name: Title
    credential: MadeCredential

    def __repr__(self) -> str:
        return f"NewPasskey({self.name!r})"


class PasskeyView(Struct, frozen=True, kw_only=True):
    """``synced``: whether it is kept beyond the device that made it."""

    id: UUID
    name: str
    synced: bool
    created: int
    used: int | None


class RemovePasskey(Proof, frozen=True, kw_only=True):
    passkey: UUID


class PasskeyLogin(Secretive, frozen=True, kw_only=True):
    """``begun`` is of the options that the credential signed; ``workspace`` and ``device`` as in a login."""

    begun: Token
    credential: SignedCredential
    workspace: Annotated[str, Meta(max_length=200)] = ""
    device: Device = ""


class ProviderView(Struct, frozen=True):
    """A provider at which people may log in, and what it is called by them."""

    name: str
    title: str


class BeginOidc(Struct, frozen=True, kw_only=True):
    """``redirect``: where the provider is to send the person back: one that is set, or ``http://127.0.0.1:PORT/…``."""

    provider: ProviderName
    redirect: Redirect


class OidcBegun(Secretive, frozen=True, kw_only=True):
    """The person goes to ``url``; ``begun`` is kept by who began, and by nobody else: it is what ends the login."""

    begun: str
    url: str


class OidcAnswer(Secretive, frozen=True, kw_only=True):
    """What the provider sent back with the person; ``iss`` where it said that (RFC 9207)."""

    begun: Token
    state: Annotated[str, Meta(max_length=200)] = ""
    code: Annotated[str, Meta(max_length=4096)] = ""
    iss: Annotated[str, Meta(max_length=500)] = ""


class OidcLogin(OidcAnswer, frozen=True, kw_only=True):
    """``second``: of an authenticator, asked for by a first answer; nothing else is needed then but ``begun``.

    ``invitation``: the code of one, by which who has no account gets one. ``workspace``, ``device``: as in a login.
    """

    second: Annotated[str, Meta(max_length=32)] = ""
    invitation: Token = ""
    workspace: Annotated[str, Meta(max_length=200)] = ""
    device: Device = ""


class BeginIdentity(Proof, frozen=True, kw_only=True):
    """As `BeginOidc`, of who is logged in, to log in by that provider later."""

    provider: ProviderName
    redirect: Redirect


class IdentityView(Struct, frozen=True, kw_only=True):
    """Somebody at a provider, as whom he is let in here; ``email`` is what the provider called him at first."""

    id: UUID
    provider: str
    email: str
    created: int
    used: int | None


class RemoveIdentity(Proof, frozen=True, kw_only=True):
    identity: UUID


class CallerView(Struct, frozen=True, kw_only=True):
    """Who asks, by what he showed: the session of a *person*, a script's *token*, or nothing (*nobody*).

    ``token`` is what a script's is called, ``until`` when the session or token ends at the latest (UTC microseconds).
    The *operator* of a data folder is let in by who he is there.
    """

    kind: Literal["person", "token", "operator", "nobody"]
    name: str = ""
    email: str = ""
    account: UUID | None = None
    workspace: UUID | None = None
    workspace_name: str = ""
    roles: tuple[Role, ...] = ()
    permissions: tuple[str, ...] = ()
    token: str = ""
    until: int | None = None


class NewToken(Struct, frozen=True, kw_only=True):
    """A token for a script, which may do what ``permissions`` names and whoever makes it may, until ``expires``.

    ``all`` stands for all that he may, ``read`` for what of it only reads.
    """

    name: Title
    permissions: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    expires: int


class TokenView(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    permissions: tuple[str, ...]
    created: int
    expires: int
    used: int | None


class MadeToken(Struct, frozen=True, kw_only=True):
    """A token, which is shown this once."""

    view: TokenView
    token: str

    def __repr__(self) -> str:
        return f"MadeToken({self.view!r}, '***')"


class TokenRef(Struct, frozen=True):
    token: UUID


class TokenDigest(Struct, frozen=True):
    digest: bytes


class TokenHolder(Struct, frozen=True, kw_only=True):
    """Whose a token is, and what it may do now; what was revoked up to ``revoked`` is heeded."""

    id: UUID
    account: UUID
    name: str
    workspace: UUID
    permissions: tuple[str, ...]
    expires: int
    revoked: int


class PublishedKeys(Struct, frozen=True):
    """The public keys by which access tokens are verified (RFC 7517)."""

    keys: tuple[dict[str, Any], ...]


class NewStatement(Struct, frozen=True):
    """What a service wants to have signed by the key of the workspace in which it asks; it says nobody's secret."""

    payload: Annotated[bytes, Meta(max_length=262_144)]


class SignedStatement(Struct, frozen=True):
    """A JSON Web Signature (RFC 7515) in its compact form."""

    signed: str


class WorkspaceRef(Struct, frozen=True):
    workspace: UUID


class RevocationsQuery(Struct, frozen=True):
    after: int = 0


class Revocation(Struct, frozen=True):
    """Whatever is about ``subject`` and was given when fewer than ``number`` revocations were known is good no more."""

    number: int
    subject: str


class Revocations(Struct, frozen=True):
    """What was revoked after a number, as far as it can still matter, and the number of the last one."""

    last: int
    revoked: tuple[Revocation, ...]
