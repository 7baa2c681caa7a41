"""Who may do what: the one table from which roles, the API's pages and the README are made."""

from typing import Final, Literal, get_args

from msgspec import Struct

#: What a person is in a workspace, and what an operator of the installation is beside that.
Role = Literal["viewer", "analyst", "admin", "owner", "operator"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
#: Of these, what somebody is in a workspace.
MemberRole = Literal["viewer", "analyst", "admin", "owner"]


#: What a person may about himself, logged in, and no token of his.
ACCOUNT: Final = "account"


class Permission(Struct, frozen=True):
    """``allows`` completes "may …"; ``roles`` have it."""

    name: str
    allows: str
    roles: tuple[Role, ...]


_ALL: Final = ("viewer", "analyst", "admin", "owner")
_WORKERS: Final = ("analyst", "admin", "owner")
_ADMINS: Final = ("admin", "owner")
_OWNERS: Final = ("owner",)
_OPERATORS: Final = ("operator",)

PERMISSIONS: Final = (
    Permission("scans.read", "see scans, their plans, work items and progress", _ALL),
    Permission("scans.run", "start, pause, stop and repeat scans, and keep word lists for them", _WORKERS),
    Permission("scans.authorise", "authorise active work, and let a scan into networks that are guarded", _ADMINS),
    Permission("scans.delete", "delete scans with all that they found", _ADMINS),
    Permission("results.read", "search, show, compare and export what was found", _ALL),
    Permission("results.retract", "withdraw claims, and restore them", _WORKERS),
    Permission("findings.judge", "say where one stands with findings, suppress them, and write rules", _WORKERS),
    Permission("reports.make", "make and remove reports, whose bundles the workspace signs", _WORKERS),
    Permission("evidence.read", "see, verify and replay the bytes that claims rest on", _ALL),
    Permission("modules.read", "see modules, their health, their budgets and what is set of them", _ALL),
    Permission("modules.set", "enable, disable and configure modules", _ADMINS),
    Permission("keys.read", "see which provider keys there are, never the keys", (*_ADMINS, *_OPERATORS)),
    Permission("keys.set", "set and remove provider keys", _OPERATORS),
    Permission("settings.read", "see what is set of services, and what was before", _OPERATORS),
    Permission("settings.set", "set services while they run", _OPERATORS),
    Permission("fleet.read", "see services, their instances and how they are", _OPERATORS),
    Permission("fleet.scale", "fix how many instances a service has", _OPERATORS),
    Permission("members.read", "see who belongs to the workspace, and as what", _ALL),
    Permission("members.manage", "invite and remove people, and change their roles", _ADMINS),
    Permission("owners.manage", "make somebody an owner, and an owner something else", _OWNERS),
    Permission("workspace.change", "change what the workspace is called", _ADMINS),
    Permission("operators.manage", "see, make and unmake operators of the installation", _OPERATORS),
    Permission("audit.read", "see who did what in the workspace, and take that along", _ADMINS),
    Permission("installation.audit", "see who did what outside of workspaces: logins, keys, settings", _OPERATORS),
    Permission("workspaces.create", "make a workspace, and be its owner", _OPERATORS),
    Permission("quotas.set", "see and set how much each workspace may use", _OPERATORS),
)  # fmt: skip
NAMES: Final = frozenset(permission.name for permission in PERMISSIONS)


def permissions_of(*roles: Role) -> frozenset[str]:
    """What somebody may who has these roles."""
    return frozenset(permission.name for permission in PERMISSIONS if set(permission.roles) & set(roles))
