from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import OperatorChanged, RoleChanged
from services.contracts.settings import UsersSettings
from services.kernel.service import Service

service: Final = Service(
    name="users",
    summary="Knows people, their workspaces, whom they invite, how much each may use, and who did what.",
    needs=("sql", "bus"),
    publishes=(RoleChanged, OperatorChanged, Record),
    consumes=(Record,),
    answers=(
        *(e.GET_PROFILE, e.CHANGE_PROFILE, e.ADD_PROFILE, e.GET_MEMBERSHIP),
        *(e.LIST_WORKSPACES, e.CREATE_WORKSPACE, e.CHANGE_WORKSPACE, e.LIST_MEMBERS, e.SET_ROLE, e.REMOVE_MEMBER),
        *(e.LIST_OPERATORS, e.ADD_OPERATOR, e.REMOVE_OPERATOR),
        *(e.INVITE, e.LIST_INVITATIONS, e.WITHDRAW_INVITATION, e.OPEN_INVITATION, e.ACCEPT_INVITATION),
        *(e.GET_QUOTAS, e.SHOW_QUOTAS, e.SET_QUOTAS),
        *(e.LIST_AUDIT, e.EXPORT_AUDIT, e.LIST_INSTALLATION_AUDIT, e.EXPORT_INSTALLATION_AUDIT),
    ),
    asks=(e.GET_SETTINGS,),
    doors="services.users.api:DOORS",
    consumers="services.users.consumers:CONSUMERS",
    migrations="services.users.migrations",
    instances=(1, 2),
    live=UsersSettings,
)
