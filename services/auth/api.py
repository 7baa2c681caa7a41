"""What auth answers."""

from collections.abc import Callable
from typing import Any, Final

from services.auth.usecases import (
    accounts,
    authenticators,
    callers,
    identities,
    keys,
    oidc,
    passkeys,
    resets,
    revocations,
    scripts,
    sessions,
    statements,
)
from services.contracts import endpoints as e
from services.kernel.calls import Endpoint

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.OFFER_FIRST_ACCOUNT: accounts.offer_first_account,
    e.CREATE_FIRST_ACCOUNT: accounts.create_first_account,
    e.CREATE_ACCOUNT: accounts.create_account,
    e.LOG_IN: accounts.log_in,
    e.CHANGE_PASSWORD: accounts.change_password,
    e.OFFER_RESET: resets.offer_reset,
    e.RESET_PASSWORD: resets.reset_password,
    e.REFRESH: sessions.refresh,
    e.LIST_SESSIONS: sessions.list_sessions,
    e.END_SESSION: sessions.end_session,
    e.LOG_OUT: sessions.log_out,
    e.SHOW_CALLER: callers.show_caller,
    e.GET_SECOND_FACTOR: authenticators.get_second_factor,
    e.BEGIN_AUTHENTICATOR: authenticators.begin_authenticator,
    e.CONFIRM_AUTHENTICATOR: authenticators.confirm_authenticator,
    e.REMOVE_AUTHENTICATOR: authenticators.remove_authenticator,
    e.BEGIN_PASSKEY: passkeys.begin_passkey,
    e.ADD_PASSKEY: passkeys.add_passkey,
    e.LIST_PASSKEYS: passkeys.list_passkeys,
    e.REMOVE_PASSKEY: passkeys.remove_passkey,
    e.BEGIN_PASSKEY_LOGIN: passkeys.begin_passkey_login,
    e.LOG_IN_BY_PASSKEY: passkeys.log_in_by_passkey,
    e.LIST_PROVIDERS: oidc.list_providers,
    e.BEGIN_OIDC: oidc.begin_oidc,
    e.FINISH_OIDC: oidc.finish_oidc,
    e.BEGIN_IDENTITY: identities.begin_identity,
    e.ADD_IDENTITY: identities.add_identity,
    e.LIST_IDENTITIES: identities.list_identities,
    e.REMOVE_IDENTITY: identities.remove_identity,
    e.CREATE_TOKEN: scripts.create_token,
    e.LIST_TOKENS: scripts.list_tokens,
    e.END_TOKEN: scripts.end_token,
    e.CHECK_TOKEN: scripts.check_token,
    e.PUBLISH_KEYS: keys.publish_keys,
    e.LIST_REVOCATIONS: revocations.list_revocations,
    e.SIGN_STATEMENT: statements.sign_statement,
    e.PUBLISH_WORKSPACE_KEYS: statements.publish_workspace_keys,
}
