"""What users answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.kernel.calls import Endpoint
from services.users.usecases import audit, invitations, operators, people, quotas, workspaces

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.GET_PROFILE: people.get_profile,
    e.CHANGE_PROFILE: people.change_profile,
    e.ADD_PROFILE: people.add_profile,
    e.GET_MEMBERSHIP: people.get_membership,
    e.LIST_WORKSPACES: workspaces.list_workspaces,
    e.CREATE_WORKSPACE: workspaces.create_workspace,
    e.CHANGE_WORKSPACE: workspaces.change_workspace,
    e.LIST_MEMBERS: workspaces.list_members,
    e.SET_ROLE: workspaces.set_role,
    e.REMOVE_MEMBER: workspaces.remove_member,
    e.LIST_OPERATORS: operators.list_operators,
    e.ADD_OPERATOR: operators.add_operator,
    e.REMOVE_OPERATOR: operators.remove_operator,
    e.INVITE: invitations.invite,
    e.LIST_INVITATIONS: invitations.list_invitations,
    e.WITHDRAW_INVITATION: invitations.withdraw_invitation,
    e.OPEN_INVITATION: invitations.open_invitation,
    e.ACCEPT_INVITATION: invitations.accept_invitation,
    e.GET_QUOTAS: quotas.get_quotas,
    e.SHOW_QUOTAS: quotas.show_quotas,
    e.SET_QUOTAS: quotas.set_quotas,
    e.LIST_AUDIT: audit.list_audit,
    e.EXPORT_AUDIT: audit.export_audit,
    e.LIST_INSTALLATION_AUDIT: audit.list_installation_audit,
    e.EXPORT_INSTALLATION_AUDIT: audit.export_installation_audit,
}
