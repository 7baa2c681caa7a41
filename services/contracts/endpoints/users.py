"""What users is asked."""

from typing import Final

from services.contracts import resources as r
from services.contracts.permissions import ACCOUNT
from services.kernel.calls import ANYBODY, Endpoint, Nothing

GET_PROFILE: Final = Endpoint(
    service="users", name="get_profile", method="GET", path="/v1/profile", needs=ACCOUNT, within=False,
    takes=Nothing, answers=r.Profile, summary="Show who you are.",
)  # fmt: skip
CHANGE_PROFILE: Final = Endpoint(
    service="users", name="change_profile", method="PUT", path="/v1/profile", needs=ACCOUNT, within=False,
    takes=r.ChangeProfile, answers=r.Profile, summary="Change what you are called.",
)  # fmt: skip
LIST_WORKSPACES: Final = Endpoint(
    service="users", name="list_workspaces", method="GET", path="/v1/workspaces", needs=ACCOUNT, within=False,
    takes=Nothing, answers=tuple[r.WorkspaceView, ...], summary="List the workspaces that you belong to.",
)  # fmt: skip
CREATE_WORKSPACE: Final = Endpoint(
    service="users", name="create_workspace", method="POST", path="/v1/workspaces", needs="workspaces.create",
    takes=r.NewWorkspace, answers=r.WorkspaceView, summary="Make a workspace that you own.", within=False,
    idempotent=False,
)  # fmt: skip
CHANGE_WORKSPACE: Final = Endpoint(
    service="users", name="change_workspace", method="PUT", path="/v1/workspace", needs="workspace.change",
    takes=r.ChangeWorkspace, answers=r.WorkspaceView, summary="Change what this workspace is called.",
)  # fmt: skip
LIST_MEMBERS: Final = Endpoint(
    service="users", name="list_members", method="GET", path="/v1/members", needs="members.read",
    takes=Nothing, answers=tuple[r.Member, ...], summary="List who belongs to this workspace.",
)  # fmt: skip
SET_ROLE: Final = Endpoint(
    service="users", name="set_role", method="PUT", path="/v1/members/{account}", needs="members.manage",
    takes=r.SetRole, answers=r.Member, summary="Change what a member is in this workspace.",
)  # fmt: skip
REMOVE_MEMBER: Final = Endpoint(
    service="users", name="remove_member", method="DELETE", path="/v1/members/{account}", needs="members.read",
    takes=r.AccountRef, answers=Nothing, summary="Take a member out of this workspace, or leave it.",
    idempotent=False,
)  # fmt: skip
LIST_OPERATORS: Final = Endpoint(
    service="users", name="list_operators", method="GET", path="/v1/operators", needs="operators.manage", within=False,
    takes=Nothing, answers=tuple[r.OperatorView, ...], summary="List the operators of this installation.",
)  # fmt: skip
ADD_OPERATOR: Final = Endpoint(
    service="users", name="add_operator", method="POST", path="/v1/operators", needs="operators.manage", within=False,
    takes=r.NewOperator, answers=r.OperatorView, summary="Make a person an operator of this installation.",
)  # fmt: skip
REMOVE_OPERATOR: Final = Endpoint(
    service="users", name="remove_operator", method="DELETE", path="/v1/operators/{account}",
    needs="operators.manage", within=False, takes=r.AccountRef, answers=Nothing, idempotent=False,
    summary="Have a person be no operator any more.",
)  # fmt: skip
INVITE: Final = Endpoint(
    service="users", name="invite", method="POST", path="/v1/invitations", needs="members.manage",
    takes=r.NewInvitation, answers=r.MadeInvitation, summary="Invite somebody to this workspace.", idempotent=False,
)  # fmt: skip
LIST_INVITATIONS: Final = Endpoint(
    service="users", name="list_invitations", method="GET", path="/v1/invitations", needs="members.manage",
    takes=Nothing, answers=tuple[r.Invitation, ...], summary="List invitations to this workspace, the newest first.",
)  # fmt: skip
WITHDRAW_INVITATION: Final = Endpoint(
    service="users", name="withdraw_invitation", method="DELETE", path="/v1/invitations/{invitation}",
    needs="members.manage", takes=r.InvitationRef, answers=r.Invitation, summary="Have an invitation be good no more.",
)  # fmt: skip
OPEN_INVITATION: Final = Endpoint(
    service="users", name="open_invitation", method="POST", path="/v1/invitations/open", needs=ANYBODY, within=False,
    takes=r.InvitationCode, answers=r.Invited, summary="Show to what a code invites.",
    audited=False,
)  # fmt: skip
ACCEPT_INVITATION: Final = Endpoint(
    service="users", name="accept_invitation", method="POST", path="/v1/invitations/accept", needs=ACCOUNT,
    takes=r.InvitationCode, answers=r.WorkspaceView, summary="Enter the workspace that you are invited to.",
    within=False,
)  # fmt: skip
ADD_PROFILE: Final = Endpoint(
    service="users", name="add_profile", method="POST", path="/v1/profiles", within=False,
    takes=r.NewProfile, answers=r.Membership, summary="Let an account that is being made be somebody.",
    audited_for=("auth",),
)  # fmt: skip
GET_MEMBERSHIP: Final = Endpoint(
    service="users", name="get_membership", method="GET", path="/v1/memberships/{account}", within=False,
    takes=r.MembershipQuery, answers=r.Membership, summary="Say what an account is in a workspace.",
)  # fmt: skip
GET_QUOTAS: Final = Endpoint(
    service="users", name="get_quotas", method="GET", path="/v1/quotas", needs="scans.read",
    takes=Nothing, answers=r.Quotas, summary="How much this workspace may use.",
)  # fmt: skip
SHOW_QUOTAS: Final = Endpoint(
    service="users", name="show_quotas", method="GET", path="/v1/workspaces/{workspace}/quotas", needs="quotas.set",
    takes=r.WorkspaceRef, answers=r.WorkspaceQuotas, summary="How much a workspace may use, and why.", within=False,
)  # fmt: skip
SET_QUOTAS: Final = Endpoint(
    service="users", name="set_quotas", method="PUT", path="/v1/workspaces/{workspace}/quotas", needs="quotas.set",
    takes=r.SetQuotas, answers=r.WorkspaceQuotas, summary="Set how much a workspace may use.", within=False,
)  # fmt: skip
LIST_AUDIT: Final = Endpoint(
    service="users", name="list_audit", method="GET", path="/v1/audit", needs="audit.read",
    takes=r.AuditQuery, answers=r.AuditPage, summary="Search who did what in this workspace, the newest first.",
)  # fmt: skip
EXPORT_AUDIT: Final = Endpoint(
    service="users", name="export_audit", method="GET", path="/v1/audit/entries", needs="audit.read",
    takes=Nothing, answers=r.AuditEntries, summary="All of the audit trail of this workspace, in order.", streams=True,
)  # fmt: skip
LIST_INSTALLATION_AUDIT: Final = Endpoint(
    service="users", name="list_installation_audit", method="GET", path="/v1/installation/audit",
    needs="installation.audit", within=False,
    takes=r.AuditQuery, answers=r.AuditPage,
    summary="Search who did what that is in no workspace, the newest first: accounts, logins, keys, settings.",
)  # fmt: skip
EXPORT_INSTALLATION_AUDIT: Final = Endpoint(
    service="users", name="export_installation_audit", method="GET", path="/v1/installation/audit/entries",
    needs="installation.audit", within=False,
    takes=Nothing, answers=r.AuditEntries, summary="All of the audit trail of the installation, in order.",
    streams=True,
)  # fmt: skip
