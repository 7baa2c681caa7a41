"""Who somebody is, and what, where: nobody makes himself more than he is, and no workspace is left without an owner."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from services.contracts import resources as r
from services.contracts.facts import OperatorChanged, RoleChanged
from services.contracts.people import plain_email, plain_title
from services.contracts.permissions import ACCOUNT, Role, permissions_of
from services.kernel.calls import ANYBODY, Caller, Nothing, operator
from services.kernel.errors import Conflict, Denied, Invalid, NotFound
from services.kernel.messages import EVERYWHERE, message_type, workspace_id
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports
from services.kernel.sql import migrations
from services.kernel.tokens import make_token
from services.users.domain import MOST_INVITATIONS, check_role, invitation_state
from services.users.service import service
from services.users.store import people as store
from services.users.usecases import invitations, operators, people, workspaces
from tests.stores import Stores

DEFAULT = workspace_id("default")
DAY = 86_400_000_000


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000_000_000

    def __call__(self) -> int:
        self.at += 1
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (people, workspaces, invitations, operators):
        monkeypatch.setattr(module, "now", made)
    return made


@pytest.fixture
async def ports(tmp_path: Path, stores: Stores, clock: Clock) -> AsyncIterator[Ports]:
    sql = stores.open(tmp_path / "users.db")
    await sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
    opened = Ports("users", sql=sql)
    opened.outbox = Outbox(sql, None, "users")  # type: ignore[arg-type]
    yield opened
    await sql.close()


#: The id of the first account, whenever it is made.
FIRST = UUID(int=11)


async def first(ports: Ports, email: str = "Jo@Example.org", account: UUID = FIRST) -> UUID:
    await people.add_profile(ports, NOBODY, r.NewProfile(account=account, email=email, name="Jo Doe"))
    return account


async def joined(ports: Ports, boss: UUID, email: str, role: str, workspace: UUID = DEFAULT) -> UUID:
    """Another account, which came by an invitation."""
    made = await invitations.invite(ports, await caller(ports, boss, workspace), r.NewInvitation(email, role))  # type: ignore[arg-type]
    account = uuid4()
    await people.add_profile(ports, NOBODY, r.NewProfile(account=account, name=email, code=made.code))
    return account


NOBODY = Caller(EVERYWHERE, "nobody", "service", service="auth")


async def caller(ports: Ports, account: UUID, workspace: UUID = DEFAULT) -> Caller:
    """An account as the gateway lets it ask."""
    found = await people.get_membership(ports, NOBODY, r.MembershipQuery(account, workspace))
    may = permissions_of(*found.roles) | {ACCOUNT, ANYBODY}
    return Caller(workspace, found.name, "person", may, account)


async def said(ports: Ports) -> list[tuple[UUID, UUID]]:
    """The workspaces and accounts of which it was said that something is another; of operators, no workspace's."""
    async with ports.sql.read() as view:
        rows = await view.fetch("SELECT type, workspace, data FROM outbox ORDER BY position")
    assert {kind for kind, *_ in rows} <= {message_type(RoleChanged), message_type(OperatorChanged)}
    return [
        (UUID(bytes=bytes(workspace)), msgspec.json.decode(bytes(data), type=RoleChanged | OperatorChanged).account)
        for _, workspace, data in rows
    ]


# --- people ---


async def test_the_first_account_owns_the_first_workspace_and_is_an_operator_and_there_is_one_first(
    ports: Ports,
) -> None:
    account = await first(ports)
    found = await people.get_membership(ports, NOBODY, r.MembershipQuery(account))
    assert found == r.Membership(
        name="Jo Doe", email="jo@example.org", workspace=DEFAULT, workspace_name="default", roles=("owner", "operator")
    )
    shown = await people.get_profile(ports, await caller(ports, account), Nothing())
    assert (shown.email, shown.name, shown.operator) == ("jo@example.org", "Jo Doe", True)
    for email in ("mo@example.org", "jo@example.org"):
        with pytest.raises(Conflict, match="this installation has accounts"):
            await first(ports, email, uuid4())


async def test_an_account_that_is_made_again_is_the_same(ports: Ports) -> None:
    await first(ports)
    await first(ports, "joan@example.org")  # it was not completed: auth lets none come again that was
    shown = await people.get_profile(ports, await caller(ports, FIRST), Nothing())
    assert (shown.email, shown.operator) == ("joan@example.org", True)
    mo = uuid4()
    boss = await caller(ports, FIRST)
    code = (await invitations.invite(ports, boss, r.NewInvitation("mo@example.org", "viewer"))).code
    new = r.NewProfile(account=mo, name="Mo", code=code)
    made = [await people.add_profile(ports, NOBODY, new) for _ in range(2)]
    assert made[0] == made[1]


async def test_nobody_becomes_somebody_without_an_invitation(ports: Ports) -> None:
    await first(ports)
    for code in ("", "guess", make_token("inv"), make_token("pat")):
        with pytest.raises(NotFound, match="this invitation is not good"):
            await people.add_profile(ports, NOBODY, r.NewProfile(account=uuid4(), name="Mo", code=code))
    async with ports.sql.read() as view:
        assert await store.find_profile(view, "mo@example.org") is None


async def test_who_is_vouched_for_belongs_to_no_workspace_and_takes_over_no_address(ports: Ports) -> None:
    jo, mo = await first(ports), uuid4()
    new = r.NewProfile(account=mo, name="Mo", email="Mo@example.org", vouched=True)
    for _ in range(2):
        made = await people.add_profile(ports, NOBODY, new)
        assert (made.email, made.workspace, made.roles) == ("mo@example.org", None, ())
    for email in ("mo@example.org", "JO@example.org"):
        with pytest.raises(Conflict, match="there is an account with this address"):
            other = r.NewProfile(account=uuid4(), name="Thief", email=email, vouched=True)
            await people.add_profile(ports, NOBODY, other)
    code = (await invitations.invite(ports, await caller(ports, jo), r.NewInvitation("mo@example.org", "viewer"))).code
    entered = await invitations.accept_invitation(
        ports, Caller(EVERYWHERE, "Mo", "person", frozenset({ACCOUNT}), mo), r.InvitationCode(code)
    )
    assert (entered.name, entered.role) == ("default", "viewer")


async def test_one_address_has_one_account_and_a_code_that_is_refused_stays_good(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "viewer")
    acme = (await workspaces.create_workspace(ports, await caller(ports, jo), r.NewWorkspace("acme"))).id
    made = await invitations.invite(ports, operator(acme), r.NewInvitation("mo@example.org", "owner"))
    for name in ("Thief", "\u202e"):
        with pytest.raises(Conflict, match="there is an account with this address"):
            await people.add_profile(ports, NOBODY, r.NewProfile(account=uuid4(), name=name, code=made.code))
    entered = await invitations.accept_invitation(ports, await caller(ports, mo), r.InvitationCode(made.code))
    assert (entered.name, entered.role) == ("acme", "owner")


async def test_who_one_is_called_can_be_changed_and_is_no_trick(ports: Ports) -> None:
    asks = await caller(ports, await first(ports))
    changed = await people.change_profile(ports, asks, r.ChangeProfile("  Jo   Smith "))
    assert changed.name == "Jo Smith"
    for name in (" ", "a\u202eb", "a\u0000b", "\u200b"):
        with pytest.raises(Invalid):
            await people.change_profile(ports, asks, r.ChangeProfile(name))


async def test_the_operator_of_a_machine_has_no_account_and_sees_all_workspaces(ports: Ports) -> None:
    await first(ports)
    for ask in (
        lambda: people.get_profile(ports, operator(DEFAULT), Nothing()),
        lambda: workspaces.create_workspace(ports, operator(DEFAULT), r.NewWorkspace("acme")),
    ):
        with pytest.raises(Invalid, match="without one"):
            await ask()
    (shown,) = await workspaces.list_workspaces(ports, operator(EVERYWHERE), Nothing())
    assert (shown.name, shown.title, shown.role) == ("default", "Default", None)


# --- workspaces ---


async def test_who_makes_a_workspace_owns_it_and_nobody_else_sees_it(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "admin")
    made = await workspaces.create_workspace(ports, await caller(ports, jo), r.NewWorkspace("acme", "Acme, Inc."))
    assert (made.id, made.role, made.title) == (workspace_id("acme"), "owner", "Acme, Inc.")
    with pytest.raises(Conflict, match="there is a workspace acme"):
        await workspaces.create_workspace(ports, await caller(ports, mo), r.NewWorkspace("acme"))
    assert [each.name for each in await workspaces.list_workspaces(ports, await caller(ports, jo), Nothing())] == [
        "default", "acme",
    ]  # fmt: skip
    assert [each.name for each in await workspaces.list_workspaces(ports, await caller(ports, mo), Nothing())] == [
        "default"
    ]
    with pytest.raises(NotFound, match="you belong to no such workspace"):
        await people.get_membership(ports, NOBODY, r.MembershipQuery(mo, made.id))
    with pytest.raises(NotFound, match="you belong to no such workspace"):
        await people.get_membership(ports, NOBODY, r.MembershipQuery(mo, uuid4()))


async def test_a_workspace_can_be_called_something_else(ports: Ports) -> None:
    asks = await caller(ports, await first(ports))
    changed = await workspaces.change_workspace(ports, asks, r.ChangeWorkspace("Ours"))
    assert (changed.name, changed.title, changed.role) == ("default", "Ours", "owner")
    with pytest.raises(NotFound):
        await workspaces.change_workspace(ports, operator(uuid4()), r.ChangeWorkspace("Ours"))


# --- members ---


async def test_a_role_is_changed_and_said_so_at_once(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "viewer")
    before = await said(ports)
    asks = await caller(ports, jo)
    assert (await workspaces.set_role(ports, asks, r.SetRole(mo, "analyst"))).role == "analyst"
    await workspaces.set_role(ports, asks, r.SetRole(mo, "analyst"))
    assert (await said(ports))[len(before) :] == [(DEFAULT, mo)]
    assert (await people.get_membership(ports, NOBODY, r.MembershipQuery(mo))).roles == ("analyst",)
    await workspaces.remove_member(ports, asks, r.AccountRef(mo))
    assert (await said(ports))[len(before) :] == [(DEFAULT, mo)] * 2
    assert (await people.get_membership(ports, NOBODY, r.MembershipQuery(mo))).workspace is None
    with pytest.raises(NotFound):
        await workspaces.set_role(ports, asks, r.SetRole(mo, "analyst"))
    with pytest.raises(NotFound):
        await workspaces.remove_member(ports, asks, r.AccountRef(mo))


async def test_only_owners_make_and_unmake_owners(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "admin")
    admin = await caller(ports, mo)
    for ask in (
        lambda: workspaces.set_role(ports, admin, r.SetRole(mo, "owner")),
        lambda: workspaces.set_role(ports, admin, r.SetRole(jo, "viewer")),
        lambda: workspaces.remove_member(ports, admin, r.AccountRef(jo)),
        lambda: invitations.invite(ports, admin, r.NewInvitation("so@example.org", "owner")),
    ):
        with pytest.raises(Denied, match="only an owner"):
            await ask()
    await workspaces.set_role(ports, await caller(ports, jo), r.SetRole(mo, "owner"))
    assert "owner" in (await people.get_membership(ports, NOBODY, r.MembershipQuery(mo))).roles


async def test_a_workspace_keeps_an_owner(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "admin")
    for asks in (await caller(ports, jo), operator(DEFAULT)):
        with pytest.raises(Conflict, match="a workspace has an owner"):
            await workspaces.set_role(ports, asks, r.SetRole(jo, "admin"))
        with pytest.raises(Conflict, match="a workspace has an owner"):
            await workspaces.remove_member(ports, asks, r.AccountRef(jo))
    await workspaces.set_role(ports, await caller(ports, jo), r.SetRole(mo, "owner"))
    await workspaces.remove_member(ports, await caller(ports, jo), r.AccountRef(jo))
    assert [each.account for each in await workspaces.list_members(ports, operator(DEFAULT), Nothing())] == [mo]


async def test_everybody_may_leave_and_only_who_may_takes_others_out(ports: Ports) -> None:
    jo = await first(ports)
    mo, so = [await joined(ports, jo, f"{name}@example.org", "analyst") for name in ("mo", "so")]
    with pytest.raises(Denied, match=r"members\.manage"):
        await workspaces.remove_member(ports, await caller(ports, mo), r.AccountRef(so))
    await workspaces.remove_member(ports, await caller(ports, mo), r.AccountRef(mo))
    members = await workspaces.list_members(ports, await caller(ports, so), Nothing())
    assert [(each.email, each.role) for each in members] == [("jo@example.org", "owner"), ("so@example.org", "analyst")]


# --- operators ---


async def test_an_operator_is_made_and_unmade_at_once_and_enters_no_workspace_by_it(ports: Ports) -> None:
    boss = await first(ports)
    mo = await joined(ports, boss, "mo@example.org", "viewer")
    await people.add_profile(ports, NOBODY, r.NewProfile(account=FIRST, email="jo@example.org", name="Jo Doe"))
    jo = await caller(ports, boss)
    for _ in range(2):  # who is one stays one
        made = await operators.add_operator(ports, jo, r.NewOperator("Mo@Example.org"))
        assert (made.account, made.email) == (mo, "mo@example.org")
    assert (await people.get_membership(ports, NOBODY, r.MembershipQuery(mo))).roles == ("viewer", "operator")
    assert [each.email for each in await operators.list_operators(ports, jo, Nothing())] == [
        "jo@example.org",
        "mo@example.org",
    ]
    assert [each.role for each in await workspaces.list_members(ports, jo, Nothing())] == ["owner", "viewer"]
    await operators.remove_operator(ports, jo, r.AccountRef(mo))
    assert (await people.get_membership(ports, NOBODY, r.MembershipQuery(mo))).roles == ("viewer",)
    assert [each for each in await said(ports) if each[0] == EVERYWHERE] == [(EVERYWHERE, mo)] * 2
    with pytest.raises(NotFound, match="no such operator"):
        await operators.remove_operator(ports, jo, r.AccountRef(mo))


async def test_people_leave_an_operator_and_the_machines_own_need_not(ports: Ports) -> None:
    jo = await caller(ports, await first(ports))
    with pytest.raises(Conflict, match="make somebody else one first"):
        await operators.remove_operator(ports, jo, r.AccountRef(FIRST))
    await operators.remove_operator(ports, operator(EVERYWHERE), r.AccountRef(FIRST))
    assert await operators.list_operators(ports, operator(EVERYWHERE), Nothing()) == ()
    with pytest.raises(NotFound, match="nobody has an account"):
        await operators.add_operator(ports, operator(EVERYWHERE), r.NewOperator("nobody@example.org"))


async def test_a_script_that_may_only_read_takes_not_even_its_maker_out(ports: Ports) -> None:
    boss = await first(ports)
    mo = await joined(ports, boss, "mo@example.org", "viewer")
    script = Caller(DEFAULT, "Mo", "token", permissions_of("viewer"), mo)
    with pytest.raises(Denied, match="but for leaving"):
        await workspaces.remove_member(ports, script, r.AccountRef(mo))
    await workspaces.remove_member(ports, await caller(ports, mo), r.AccountRef(mo))


@pytest.mark.parametrize("goes", ["removed", "viewer", "analyst"])
async def test_whom_somebody_has_invited_who_may_invite_nobody_any_more_stays_out(ports: Ports, goes: str) -> None:
    boss = await first(ports)
    mo = await joined(ports, boss, "mo@example.org", "admin")
    made = await invitations.invite(ports, await caller(ports, mo), r.NewInvitation("so@example.org", "admin"))
    ours = await invitations.invite(ports, await caller(ports, boss), r.NewInvitation("lo@example.org", "viewer"))
    jo = await caller(ports, boss)
    await workspaces.set_role(ports, jo, r.SetRole(mo, "owner"))
    assert {each.state for each in await invitations.list_invitations(ports, jo, Nothing())} >= {"open"}
    if goes == "removed":
        await workspaces.remove_member(ports, jo, r.AccountRef(mo))
    else:
        await workspaces.set_role(ports, jo, r.SetRole(mo, goes))  # type: ignore[arg-type]
    states = {each.email: each.state for each in await invitations.list_invitations(ports, jo, Nothing())}
    assert (states["so@example.org"], states["lo@example.org"]) == ("withdrawn", "open")
    with pytest.raises(NotFound):
        await invitations.open_invitation(ports, NOBODY, r.InvitationCode(made.code))
    assert (await invitations.open_invitation(ports, NOBODY, r.InvitationCode(ours.code))).email == "lo@example.org"


async def test_what_is_done_in_one_workspace_touches_no_other(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "viewer")
    acme = (await workspaces.create_workspace(ports, await caller(ports, jo), r.NewWorkspace("acme"))).id
    open_here = await invitations.invite(ports, await caller(ports, jo), r.NewInvitation("so@example.org", "viewer"))
    there = await caller(ports, jo, acme)
    assert [each.account for each in await workspaces.list_members(ports, there, Nothing())] == [jo]
    assert await invitations.list_invitations(ports, there, Nothing()) == ()
    with pytest.raises(NotFound):
        await workspaces.set_role(ports, there, r.SetRole(mo, "admin"))
    with pytest.raises(NotFound):
        await workspaces.remove_member(ports, there, r.AccountRef(mo))
    with pytest.raises(NotFound):
        await invitations.withdraw_invitation(ports, there, r.InvitationRef(open_here.invitation.id))
    assert (await invitations.open_invitation(ports, NOBODY, r.InvitationCode(open_here.code))).role == "viewer"


# --- invitations ---


async def test_an_invitation_lets_one_person_in_once(ports: Ports) -> None:
    jo = await first(ports)
    mo = await joined(ports, jo, "mo@example.org", "viewer")
    acme = (await workspaces.create_workspace(ports, await caller(ports, jo), r.NewWorkspace("acme", "Acme"))).id
    boss = await caller(ports, jo, acme)
    made = await invitations.invite(ports, boss, r.NewInvitation("Mo@example.org", "analyst"))
    assert made.code not in repr(made)
    invited = await invitations.open_invitation(ports, NOBODY, r.InvitationCode(made.code))
    assert (invited.workspace, invited.title, invited.email, invited.role, invited.by) == (
        "acme", "Acme", "mo@example.org", "analyst", "Jo Doe",
    )  # fmt: skip
    with pytest.raises(NotFound):  # who is somebody else
        await invitations.accept_invitation(ports, await caller(ports, jo), r.InvitationCode(made.code))
    entered = await invitations.accept_invitation(ports, await caller(ports, mo), r.InvitationCode(made.code))
    assert (entered.name, entered.role) == ("acme", "analyst")
    assert await said(ports) == []  # who enters holds nothing that would have to be taken back
    for ask in (invitations.open_invitation, invitations.accept_invitation):
        with pytest.raises(NotFound, match="this invitation is not good"):
            await ask(ports, await caller(ports, mo), r.InvitationCode(made.code))
    assert [each.state for each in await invitations.list_invitations(ports, boss, Nothing())] == ["accepted"]
    with pytest.raises(Conflict, match="belongs to this workspace"):
        await invitations.invite(ports, boss, r.NewInvitation("mo@example.org", "viewer"))


async def test_of_several_invitations_of_a_person_the_last_one_is_good_until_he_comes_or_goes(ports: Ports) -> None:
    jo = await first(ports)
    boss = await caller(ports, jo)
    codes = [
        (await invitations.invite(ports, boss, r.NewInvitation("mo@example.org", role))).code  # type: ignore[arg-type]
        for role in ("admin", "viewer")
    ]
    with pytest.raises(NotFound):
        await invitations.open_invitation(ports, NOBODY, r.InvitationCode(codes[0]))
    mo = uuid4()
    await people.add_profile(ports, NOBODY, r.NewProfile(account=mo, name="Mo", code=codes[1]))
    left = store.InvitationRow(DEFAULT, uuid4(), b"x" * 32, "mo@example.org", "admin", "jo", 1, 2**60)
    async with ports.sql.begin() as tx:
        await store.add_invitation(tx, left)
    await workspaces.remove_member(ports, boss, r.AccountRef(mo))
    assert "open" not in [each.state for each in await invitations.list_invitations(ports, boss, Nothing())]


async def test_an_invitation_that_has_expired_or_was_withdrawn_is_not_good(ports: Ports, clock: Clock) -> None:
    jo = await first(ports)
    boss = await caller(ports, jo)
    withdrawn = await invitations.invite(ports, boss, r.NewInvitation("mo@example.org", "viewer", 1))
    expired = await invitations.invite(ports, boss, r.NewInvitation("so@example.org", "viewer", 1))
    shown = await invitations.withdraw_invitation(ports, boss, r.InvitationRef(withdrawn.invitation.id))
    assert shown.state == "withdrawn"
    clock.at += DAY
    states = {each.email: each.state for each in await invitations.list_invitations(ports, boss, Nothing())}
    assert states == {"mo@example.org": "withdrawn", "so@example.org": "expired"}
    for code in (withdrawn.code, expired.code):
        with pytest.raises(NotFound):
            await invitations.open_invitation(ports, NOBODY, r.InvitationCode(code))
        with pytest.raises(NotFound):
            await people.add_profile(ports, NOBODY, r.NewProfile(account=uuid4(), name="Mo", code=code))


async def test_no_code_is_kept_and_open_invitations_have_a_bound(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = await caller(ports, await first(ports))
    monkeypatch.setattr(invitations, "MOST_INVITATIONS", 2)
    codes = [
        (await invitations.invite(ports, boss, r.NewInvitation(f"{n}@example.org", "viewer"))).code for n in range(2)
    ]
    with pytest.raises(Conflict, match="2 invitations are open"):
        await invitations.invite(ports, boss, r.NewInvitation("mo@example.org", "viewer"))
    async with ports.sql.read() as view:
        kept = repr(await view.fetch("SELECT id, digest, email, invited_by FROM invitation"))
    assert not [code for code in codes if code in kept]
    assert MOST_INVITATIONS > 100


# --- what decides ---


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin", "owner"])
def test_an_invitation_is_good_until_it_is_used_withdrawn_or_over(role: Role) -> None:
    assert invitation_state(accepted=None, withdrawn=None, expires=10, at=9) == "open"
    assert invitation_state(accepted=None, withdrawn=None, expires=10, at=10) == "expired"
    assert invitation_state(accepted=3, withdrawn=None, expires=10, at=20) == "accepted"
    assert invitation_state(accepted=None, withdrawn=3, expires=10, at=20) == "withdrawn"
    check_role(None, role, owners=1, manages_owners=True)  # type: ignore[arg-type]


def test_names_are_compared_as_they_are_meant() -> None:
    assert plain_email(" Jo@EXAMPLE.org ") == "jo@example.org"
    assert plain_title(" Müller \n & Co ") == "Müller & Co"
