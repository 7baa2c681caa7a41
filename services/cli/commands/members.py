"""`mirage members`: who belongs to a workspace, and who is invited to it."""

import click

from services.cli.finding import find_id, find_person
from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, instant, moment, write_json, write_table
from services.contracts.endpoints import (
    INVITE,
    LIST_INVITATIONS,
    LIST_MEMBERS,
    REMOVE_MEMBER,
    SET_ROLE,
    WITHDRAW_INVITATION,
)
from services.contracts.permissions import MemberRole
from services.contracts.resources import AccountRef, InvitationRef, Member, NewInvitation, SetRole
from services.kernel.calls import Nothing

ROLES = click.Choice(["viewer", "analyst", "admin", "owner"])


@click.group("members", cls=GroupOnData)
def command() -> None:
    """List, invite, change and remove the people of a workspace at a server."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_members(session: Session, form: str) -> int:
    """List who belongs to this workspace, as what."""
    found = session.ask(LIST_MEMBERS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    write_table(
        ("email", "name", "is", "since (UTC)"),
        ((clean(each.email), clean(each.name), each.role, moment(each.since)) for each in found),
        none="No members.",
    )
    return 0


@command.command("invite")
@click.argument("email")
@click.option("--as", "role", type=ROLES, default="viewer", show_default=True)
@click.option("--days", type=int, default=7, show_default=True, help="How long the invitation is good.")
@format_option("text", "json")
@data_options
def invite(session: Session, email: str, role: MemberRole, days: int, form: str) -> int:
    """Invite EMAIL to this workspace; the code is shown this once, for you to send."""
    made = session.ask(INVITE, NewInvitation(email, role, days))
    if form == "json":
        write_json(made)
        return 0
    click.echo(made.code)
    until = instant(made.invitation.expires)
    click.echo(f"Good for {email} until {until}: mirage login --invited, or mirage workspaces enter", err=True)
    return 0


@command.command("invitations")
@format_option("table", "json")
@data_options
def invitations(session: Session, form: str) -> int:
    """List invitations to this workspace, the newest first."""
    found = session.ask(LIST_INVITATIONS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    write_table(
        ("id", "email", "as", "by", "until (UTC)", "state"),
        (
            (str(each.id), clean(each.email), each.role, clean(each.by), moment(each.expires), each.state)
            for each in found
        ),
        none="No invitations.",
    )
    return 0


@command.command("withdraw")
@click.argument("invitation", metavar="ID")
@data_options
def withdraw(session: Session, invitation: str) -> int:
    """Have an invitation be good no more; a unique beginning of its ID is enough."""

    async def work() -> int:
        async with session.open() as hull:
            listed = await hull.calls.ask(LIST_INVITATIONS, Nothing(), session.caller)
            named = find_id(invitation, (each.id for each in listed), "invitation")
            found = await hull.calls.ask(WITHDRAW_INVITATION, InvitationRef(named), session.caller)
        click.echo(f"The invitation of {found.email} is {found.state}", err=True)
        return 0

    return run_async(work())


@command.command("set")
@click.argument("email")
@click.argument("role", type=ROLES)
@data_options
def set_role(session: Session, email: str, role: MemberRole) -> int:
    """Make the member EMAIL a ROLE of this workspace, at once."""

    async def work() -> int:
        async with session.open() as hull:
            member = await _find(hull, session, email)
            changed = await hull.calls.ask(SET_ROLE, SetRole(member.account, role), session.caller)
        click.echo(f"{changed.email} is {changed.role}", err=True)
        return 0

    return run_async(work())


@command.command("remove")
@click.argument("email")
@data_options
def remove(session: Session, email: str) -> int:
    """Take the member EMAIL out of this workspace, at once; your own address to leave it."""

    async def work() -> int:
        async with session.open() as hull:
            member = await _find(hull, session, email)
            await hull.calls.ask(REMOVE_MEMBER, AccountRef(member.account), session.caller)
        click.echo(f"{member.email} belongs to this workspace no more", err=True)
        return 0

    return run_async(work())


async def _find(hull: Hull, session: Session, email: str) -> Member:
    members = await hull.calls.ask(LIST_MEMBERS, Nothing(), session.caller)
    return find_person(email, members, "does not belong to this workspace")
