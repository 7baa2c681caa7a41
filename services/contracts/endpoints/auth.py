"""What auth is asked."""

from typing import Final

from services.contracts import resources as r
from services.contracts.permissions import ACCOUNT
from services.kernel.calls import ANYBODY, Endpoint, Nothing

OFFER_FIRST_ACCOUNT: Final = Endpoint(
    service="auth", name="offer_first_account", method="POST", path="/v1/accounts/first/code", within=False,
    takes=Nothing, answers=r.FirstCode, summary="Make the code of the first account.", idempotent=False,
)  # fmt: skip
CREATE_FIRST_ACCOUNT: Final = Endpoint(
    service="auth", name="create_first_account", method="POST", path="/v1/accounts/first", needs=ANYBODY, within=False,
    takes=r.FirstAccount, answers=r.LoggedIn, summary="Make the first account of an installation, by its code.",
    idempotent=False,
)  # fmt: skip
CREATE_ACCOUNT: Final = Endpoint(
    service="auth", name="create_account", method="POST", path="/v1/accounts", needs=ANYBODY, within=False,
    takes=r.NewAccount, answers=r.LoggedIn, summary="Make an account for who was invited.", idempotent=False,
)  # fmt: skip
LOG_IN: Final = Endpoint(
    service="auth", name="log_in", method="POST", path="/v1/sessions", needs=ANYBODY, within=False,
    takes=r.LogIn, answers=r.LoginStep, summary="Log in with a password.", idempotent=False,
)  # fmt: skip
REFRESH: Final = Endpoint(
    service="auth", name="refresh", method="POST", path="/v1/sessions/refresh", needs=ANYBODY, within=False,
    takes=r.Refresh, answers=r.LoggedIn, summary="Get the next pair of tokens of a session.", idempotent=False,
)  # fmt: skip
LIST_SESSIONS: Final = Endpoint(
    service="auth", name="list_sessions", method="GET", path="/v1/sessions", needs=ACCOUNT, within=False,
    takes=Nothing, answers=tuple[r.SessionView, ...], summary="List your sessions, the one used last first.",
)  # fmt: skip
END_SESSION: Final = Endpoint(
    service="auth", name="end_session", method="DELETE", path="/v1/sessions/{session}", needs=ACCOUNT, within=False,
    takes=r.SessionRef, answers=Nothing, summary="End one of your sessions.",
)  # fmt: skip
LOG_OUT: Final = Endpoint(
    service="auth", name="log_out", method="DELETE", path="/v1/session", needs=ACCOUNT, within=False,
    takes=Nothing, answers=Nothing, summary="End this session.",
)  # fmt: skip
SHOW_CALLER: Final = Endpoint(
    service="auth", name="show_caller", method="GET", path="/v1/caller", needs=ANYBODY, within=False,
    takes=Nothing, answers=r.CallerView, summary="Show who asks, where, what he may, and until when.",
)  # fmt: skip
CHANGE_PASSWORD: Final = Endpoint(
    service="auth", name="change_password", method="PUT", path="/v1/password", needs=ACCOUNT, within=False,
    takes=r.ChangePassword, answers=Nothing, summary="Change your password; your other sessions end.",
    idempotent=False,
)  # fmt: skip
OFFER_RESET: Final = Endpoint(
    service="auth", name="offer_reset", method="POST", path="/v1/accounts/resets", within=False,
    takes=r.NewReset, answers=r.MadeReset, summary="Make a code for who lost a password or second factor.",
    idempotent=False,
)  # fmt: skip
RESET_PASSWORD: Final = Endpoint(
    service="auth", name="reset_password", method="POST", path="/v1/accounts/reset", needs=ANYBODY, within=False,
    takes=r.Reset, answers=r.LoginStep, summary="Choose another password, by a code of the operator.",
    idempotent=False,
)  # fmt: skip
GET_SECOND_FACTOR: Final = Endpoint(
    service="auth", name="get_second_factor", method="GET", path="/v1/authenticator", needs=ACCOUNT, within=False,
    takes=Nothing, answers=r.SecondFactor, summary="Say whether your logins need a code, and what is left for that.",
)  # fmt: skip
BEGIN_AUTHENTICATOR: Final = Endpoint(
    service="auth", name="begin_authenticator", method="POST", path="/v1/authenticator", needs=ACCOUNT, within=False,
    takes=r.Proof, answers=r.Authenticator, summary="Begin to set an authenticator up (TOTP).", idempotent=False,
)  # fmt: skip
CONFIRM_AUTHENTICATOR: Final = Endpoint(
    service="auth", name="confirm_authenticator", method="PUT", path="/v1/authenticator", needs=ACCOUNT, within=False,
    takes=r.AuthenticatorCode, answers=r.RecoveryCodes, summary="Have logins need a code from now on.",
    idempotent=False,
)  # fmt: skip
REMOVE_AUTHENTICATOR: Final = Endpoint(
    service="auth", name="remove_authenticator", method="POST", path="/v1/authenticator/remove", needs=ACCOUNT,
    takes=r.AuthenticatorCode, answers=Nothing, summary="Have logins need no code any more.", within=False,
    idempotent=False,
)  # fmt: skip
BEGIN_PASSKEY: Final = Endpoint(
    service="auth", name="begin_passkey", method="POST", path="/v1/passkeys/begin", needs=ACCOUNT, within=False,
    takes=r.Proof, answers=r.PasskeyOptions, summary="Begin to make a passkey.", idempotent=False,
)  # fmt: skip
ADD_PASSKEY: Final = Endpoint(
    service="auth", name="add_passkey", method="POST", path="/v1/passkeys", needs=ACCOUNT, within=False,
    takes=r.NewPasskey, answers=r.PasskeyView, summary="Keep a passkey that was made, to log in by it.",
    idempotent=False,
)  # fmt: skip
LIST_PASSKEYS: Final = Endpoint(
    service="auth", name="list_passkeys", method="GET", path="/v1/passkeys", needs=ACCOUNT, within=False,
    takes=Nothing, answers=tuple[r.PasskeyView, ...], summary="List your passkeys, the newest first.",
)  # fmt: skip
REMOVE_PASSKEY: Final = Endpoint(
    service="auth", name="remove_passkey", method="POST", path="/v1/passkeys/{passkey}/remove", needs=ACCOUNT,
    takes=r.RemovePasskey, answers=Nothing, summary="Have a passkey let nobody in any more.", within=False,
    idempotent=False,
)  # fmt: skip
BEGIN_PASSKEY_LOGIN: Final = Endpoint(
    service="auth", name="begin_passkey_login", method="POST", path="/v1/passkeys/login/begin", needs=ANYBODY,
    takes=Nothing, answers=r.PasskeyOptions, summary="Begin to log in by a passkey.", within=False, idempotent=False,
    audited=False,
)  # fmt: skip
LOG_IN_BY_PASSKEY: Final = Endpoint(
    service="auth", name="log_in_by_passkey", method="POST", path="/v1/passkeys/login", needs=ANYBODY, within=False,
    takes=r.PasskeyLogin, answers=r.LoginStep, summary="Log in by a passkey, which is both factors.",
    idempotent=False,
)  # fmt: skip
LIST_PROVIDERS: Final = Endpoint(
    service="auth", name="list_providers", method="GET", path="/v1/oidc", needs=ANYBODY, within=False,
    takes=Nothing, answers=tuple[r.ProviderView, ...], summary="List the OpenID providers at which you may log in.",
)  # fmt: skip
BEGIN_OIDC: Final = Endpoint(
    service="auth", name="begin_oidc", method="POST", path="/v1/oidc/{provider}/begin", needs=ANYBODY, within=False,
    takes=r.BeginOidc, answers=r.OidcBegun, summary="Begin to log in at an OpenID provider.", idempotent=False,
    audited=False,
)  # fmt: skip
FINISH_OIDC: Final = Endpoint(
    service="auth", name="finish_oidc", method="POST", path="/v1/oidc/finish", needs=ANYBODY, within=False,
    takes=r.OidcLogin, answers=r.LoginStep, summary="Log in by what an OpenID provider sent back.",
    idempotent=False,
)  # fmt: skip
BEGIN_IDENTITY: Final = Endpoint(
    service="auth", name="begin_identity", method="POST", path="/v1/identities/{provider}/begin", needs=ACCOUNT,
    takes=r.BeginIdentity, answers=r.OidcBegun, summary="Begin to link who you are at an OpenID provider.",
    within=False, idempotent=False,
)  # fmt: skip
ADD_IDENTITY: Final = Endpoint(
    service="auth", name="add_identity", method="POST", path="/v1/identities", needs=ACCOUNT, within=False,
    takes=r.OidcAnswer, answers=r.IdentityView, summary="Link who you are at an OpenID provider, to log in by it.",
    idempotent=False,
)  # fmt: skip
LIST_IDENTITIES: Final = Endpoint(
    service="auth", name="list_identities", method="GET", path="/v1/identities", needs=ACCOUNT, within=False,
    takes=Nothing, answers=tuple[r.IdentityView, ...], summary="List who you are at OpenID providers.",
)  # fmt: skip
REMOVE_IDENTITY: Final = Endpoint(
    service="auth", name="remove_identity", method="POST", path="/v1/identities/{identity}/remove", needs=ACCOUNT,
    takes=r.RemoveIdentity, answers=Nothing, summary="Have an OpenID provider let you in no more.", within=False,
    idempotent=False,
)  # fmt: skip
CREATE_TOKEN: Final = Endpoint(
    service="auth", name="create_token", method="POST", path="/v1/tokens", needs=ACCOUNT,
    takes=r.NewToken, answers=r.MadeToken, summary="Make a token for a script in this workspace.", idempotent=False,
)  # fmt: skip
LIST_TOKENS: Final = Endpoint(
    service="auth", name="list_tokens", method="GET", path="/v1/tokens", needs=ACCOUNT,
    takes=Nothing, answers=tuple[r.TokenView, ...], summary="List your tokens in this workspace.",
)  # fmt: skip
END_TOKEN: Final = Endpoint(
    service="auth", name="end_token", method="DELETE", path="/v1/tokens/{token}", needs=ACCOUNT,
    takes=r.TokenRef, answers=Nothing, summary="Have a token of yours let nobody in any more.",
)  # fmt: skip
PUBLISH_KEYS: Final = Endpoint(
    service="auth", name="publish_keys", method="GET", path="/v1/jwks", needs=ANYBODY, within=False,
    takes=Nothing, answers=r.PublishedKeys, summary="The public keys by which access tokens are verified.",
)  # fmt: skip
CHECK_TOKEN: Final = Endpoint(
    service="auth", name="check_token", method="POST", path="/v1/tokens/check", within=False,
    takes=r.TokenDigest, answers=r.TokenHolder, summary="Say whose a token is, and what it may do.",
    audited=False,
)  # fmt: skip
LIST_REVOCATIONS: Final = Endpoint(
    service="auth", name="list_revocations", method="GET", path="/v1/revocations", within=False,
    takes=r.RevocationsQuery, answers=r.Revocations, summary="Say what is good no more.",
)  # fmt: skip
SIGN_STATEMENT: Final = Endpoint(
    service="auth", name="sign_statement", method="POST", path="/v1/statements",
    takes=r.NewStatement, answers=r.SignedStatement, summary="Sign a statement by the key of this workspace.",
    audited=False,  # who asks says for whom
)  # fmt: skip
PUBLISH_WORKSPACE_KEYS: Final = Endpoint(
    service="auth", name="publish_workspace_keys", method="GET", path="/v1/workspaces/{workspace}/keys",
    needs="scans.read", takes=r.WorkspaceRef, answers=r.PublishedKeys,
    summary="The public keys by which what this workspace signed is verified.",
)  # fmt: skip
