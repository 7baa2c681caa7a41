"""Questions about people and workspaces, and their answers."""

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from services.contracts.permissions import MemberRole, Role

#: What a terminal may obey is in nothing that people are shown of what others have said.
SHOWN: Final = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*(?!\n)$"
IN_WORDS: Final = "Printable characters: no controls, and none that turn a line around."
#: What a person or a workspace is called by others; what a workspace is called in addresses and on command lines.
Title = Annotated[str, Meta(pattern=SHOWN, min_length=1, max_length=100, description=IN_WORDS)]
Slug = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        max_length=63,
        description="Small letters, digits and hyphens between them, as acme-2.",
    ),
]
Email = Annotated[
    str, Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254, description="An address of e-mail, as jo@example.org.")
]


class Profile(Struct, frozen=True, kw_only=True):
    """A person; ``operator``: of the installation."""

    account: UUID
    email: str
    name: str
    operator: bool
    created: int


class ChangeProfile(Struct, frozen=True):
    name: Title


class WorkspaceView(Struct, frozen=True, kw_only=True):
    """A workspace, and what whoever asks is in it; the operator's command line is nothing in any."""

    id: UUID
    name: str
    title: str
    role: MemberRole | None
    created: int


class NewWorkspace(Struct, frozen=True):
    """A workspace to make, whose owner is whoever makes it; its ``name`` stays for ever."""

    name: Slug
    title: Annotated[str, Meta(max_length=100)] = ""


class ChangeWorkspace(Struct, frozen=True):
    title: Title


class Member(Struct, frozen=True, kw_only=True):
    """Who belongs to a workspace since when."""

    account: UUID
    email: str
    name: str
    role: MemberRole
    since: int


class SetRole(Struct, frozen=True):
    account: UUID
    role: MemberRole


class AccountRef(Struct, frozen=True):
    account: UUID


class OperatorView(Struct, frozen=True, kw_only=True):
    """Who is an operator of the installation since when."""

    account: UUID
    email: str
    name: str
    since: int


class NewOperator(Struct, frozen=True):
    email: Email


class NewInvitation(Struct, frozen=True):
    """Whom to invite as what, by a code that is good for so many days."""

    email: Email
    role: MemberRole
    days: Annotated[int, Meta(ge=1, le=30)] = 7


class Invitation(Struct, frozen=True, kw_only=True):
    id: UUID
    email: str
    role: MemberRole
    by: str
    created: int
    expires: int
    state: Literal["open", "accepted", "expired", "withdrawn"]


class MadeInvitation(Struct, frozen=True, kw_only=True):
    """An invitation with its code, which is shown this once."""

    invitation: Invitation
    code: str

    def __repr__(self) -> str:
        return f"MadeInvitation({self.invitation!r}, '***')"


class InvitationRef(Struct, frozen=True):
    invitation: UUID


class InvitationCode(Struct, frozen=True):
    code: Annotated[str, Meta(max_length=100)]

    def __repr__(self) -> str:
        return "InvitationCode('***')"


class Invited(Struct, frozen=True, kw_only=True):
    """What an invitation is to."""

    workspace: str
    title: str
    email: str
    role: MemberRole
    by: str
    expires: int


class NewProfile(Struct, frozen=True, kw_only=True):
    """Of an account that is being made: by an invitation's ``code``, which says the address; or, with an address, of
    the first one, which owns the workspace ``default`` and is an operator; or of one that belongs to no workspace yet,
    where whoever gives its address out ``vouched`` for it.

    ``account`` is the same whenever the same code comes again, and nobody else's.
    """

    account: UUID
    name: Title
    code: str = ""
    email: Annotated[str, Meta(max_length=254)] = ""
    vouched: bool = False

    def __repr__(self) -> str:
        return f"NewProfile({self.account})"


class MembershipQuery(Struct, frozen=True):
    """What an account is in a workspace; where none is named, in the one that it has been in for longest."""

    account: UUID
    workspace: UUID | None = None


class Membership(Struct, frozen=True, kw_only=True):
    """What somebody is, in a workspace where there is one, and of the installation."""

    name: str
    email: str
    workspace: UUID | None
    workspace_name: str
    roles: tuple[Role, ...]
