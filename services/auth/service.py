from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import OperatorChanged, RoleChanged
from services.contracts.progress import Heartbeat
from services.contracts.settings import AuthSettings
from services.kernel.service import Service

service: Final = Service(
    name="auth",
    summary="Knows that somebody is who he says: passwords, passkeys, providers, sessions, tokens and their end.",
    needs=("sql", "bus", "cache", "seal", "egress", "values"),
    publishes=(Heartbeat, Record),
    consumes=(RoleChanged, OperatorChanged),
    answers=(
        *(e.OFFER_FIRST_ACCOUNT, e.CREATE_FIRST_ACCOUNT, e.CREATE_ACCOUNT, e.LOG_IN, e.CHANGE_PASSWORD),
        *(e.OFFER_RESET, e.RESET_PASSWORD),
        *(e.REFRESH, e.LIST_SESSIONS, e.END_SESSION, e.LOG_OUT, e.SHOW_CALLER),
        *(e.GET_SECOND_FACTOR, e.BEGIN_AUTHENTICATOR, e.CONFIRM_AUTHENTICATOR, e.REMOVE_AUTHENTICATOR),
        *(e.BEGIN_PASSKEY, e.ADD_PASSKEY, e.LIST_PASSKEYS, e.REMOVE_PASSKEY),
        *(e.BEGIN_PASSKEY_LOGIN, e.LOG_IN_BY_PASSKEY, e.LIST_PROVIDERS, e.BEGIN_OIDC, e.FINISH_OIDC),
        *(e.BEGIN_IDENTITY, e.ADD_IDENTITY, e.LIST_IDENTITIES, e.REMOVE_IDENTITY),
        *(e.CREATE_TOKEN, e.LIST_TOKENS, e.END_TOKEN, e.CHECK_TOKEN, e.PUBLISH_KEYS, e.LIST_REVOCATIONS),
        *(e.SIGN_STATEMENT, e.PUBLISH_WORKSPACE_KEYS),
    ),
    asks=(e.ADD_PROFILE, e.GET_MEMBERSHIP),
    doors="services.auth.api:DOORS",
    consumers="services.auth.consumers:CONSUMERS",
    tasks="services.auth.consumers:TASKS",
    migrations="services.auth.migrations",
    live=AuthSettings,
    instances=(1, 2),
)
