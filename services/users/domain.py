"""What may become of memberships and invitations. Pure."""

from typing import Final, Literal

from services.contracts.permissions import MemberRole
from services.kernel.errors import Conflict, Denied

#: Invitations to one workspace that are open at a time.
MOST_INVITATIONS: Final = 200

InvitationState = Literal["open", "accepted", "expired", "withdrawn"]


def check_role(before: MemberRole | None, after: MemberRole | None, *, owners: int, manages_owners: bool) -> None:
    """See that a member may be made something else; ``owners`` counts those of the workspace as it is now.

    Raises:
        Denied: an owner is made or unmade by one who is none.
        Conflict: nobody would be left who owns the workspace.
    """
    if "owner" in {before, after} and before != after and not manages_owners:
        raise Denied("only an owner makes somebody an owner, and an owner something else")
    if before == "owner" and after != "owner" and owners == 1:
        raise Conflict("a workspace has an owner: make somebody else one first")


def invitation_state(*, accepted: int | None, withdrawn: int | None, expires: int, at: int) -> InvitationState:
    """What an invitation is at an instant."""
    if accepted is not None:
        return "accepted"
    if withdrawn is not None:
        return "withdrawn"
    return "open" if at < expires else "expired"
