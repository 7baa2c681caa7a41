"""A session goes on with who began it; who takes a token of it ends it."""

from typing import Any

import pytest

from services.auth.domain.keys import KEY_ANNOUNCED, KEY_SIGNS, signs, successor_begins
from services.auth.domain.sessions import IDLE, SESSION
from services.auth.domain.times import SECOND
from services.auth.store import keys as key_store
from services.auth.store import revocations as revocation_store
from services.auth.store import sessions as session_store
from services.auth.usecases import keys, scripts, sessions
from services.contracts import resources as r
from services.contracts.access import ACCESS_SECONDS, of_account
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Corrupt, Denied, Invalid, NotFound, Unauthenticated
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.seal import Seal, make_key
from services.kernel.tokens import digest_of, make_token
from tests.services.auth.home import NOBODY, Clock, Home

DAY = 86_400
OVER = "this session is over"


async def test_a_session_goes_on_by_tokens_that_are_good_once(home: Home) -> None:
    session = await home.first()
    for _ in range(3):
        following = await home.refresh(session.refresh)
        assert following.session == session.session
        assert following.refresh != session.refresh
        session = following


async def test_an_answer_that_was_lost_is_asked_for_again(home: Home) -> None:
    session = await home.first()
    lost = await home.refresh(session.refresh)
    again = await home.refresh(session.refresh)
    assert again.refresh != lost.refresh
    assert (await home.refresh(again.refresh)).session == session.session


@pytest.mark.parametrize("thief_first", [True, False])
async def test_a_stolen_token_ends_the_session_whoever_is_quicker(home: Home, *, thief_first: bool) -> None:
    session = await home.first()
    stolen = session.refresh
    if thief_first:
        await home.refresh(stolen)  # the thief's
        owners = await home.refresh(session.refresh)  # the owner's, who seems to have lost an answer
        thiefs = owners.refresh
        await home.refresh(thiefs)
    else:
        following = await home.refresh(session.refresh)
        await home.refresh(following.refresh)
    with pytest.raises(Unauthenticated, match="came twice"):
        await home.refresh(stolen)
    assert await home.revoked() == [f"session:{session.session.hex}"]
    async with home.ports.sql.read() as view:
        kept = await session_store.read_session(view, session.session)
    assert kept is not None
    assert kept.ended is not None
    with pytest.raises(Unauthenticated, match=OVER):
        await home.refresh(stolen)


async def test_who_takes_a_token_that_is_replaced_is_found_out(home: Home) -> None:
    session = await home.first()
    replaced = await home.refresh(session.refresh)  # which a thief has, and does not use
    again = await home.refresh(session.refresh)
    with pytest.raises(Unauthenticated, match="came twice"):
        await home.refresh(replaced.refresh)
    with pytest.raises(Unauthenticated, match=OVER):
        await home.refresh(again.refresh)


async def test_a_token_that_is_none_ends_nothing(home: Home) -> None:
    session = await home.first()
    for token in (
        "",
        "x",
        make_token("ref"),
        make_token("pat"),
        make_token("ref", session.session.bytes),
        session.access,
    ):
        with pytest.raises(Unauthenticated):
            await home.refresh(token)
    assert (await home.refresh(session.refresh)).session == session.session


async def test_a_session_that_was_not_used_for_long_is_over(home: Home, clock: Clock) -> None:
    session = await home.first()
    clock.at += IDLE
    with pytest.raises(Unauthenticated, match=OVER):
        await home.refresh(session.refresh)
    assert await sessions.list_sessions(home.ports, home.caller(session), Nothing()) == ()


async def test_a_session_is_over_at_last_however_it_is_used(home: Home, clock: Clock) -> None:
    session, began = await home.first(), clock.at
    while clock.at + IDLE - SECOND < began + SESSION:
        clock.at += IDLE - SECOND
        session = await home.refresh(session.refresh)
    clock.at = began + SESSION
    with pytest.raises(Unauthenticated, match=OVER):
        await home.refresh(session.refresh)


async def test_a_person_sees_and_ends_his_own_sessions_and_nobody_elses(home: Home) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "admin")
    other = (await home.log_in(device="  a phone ")).session
    assert other is not None
    shown = await sessions.list_sessions(home.ports, home.caller(jo), Nothing())
    assert [(each.id, each.device, each.current, each.address) for each in shown] == [
        (other.session, "a phone", False, "192.0.2.1"), (jo.session, "a laptop", True, "192.0.2.1"),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="you have no such session"):
        await sessions.end_session(home.ports, home.caller(mo), r.SessionRef(other.session))
    await sessions.end_session(home.ports, home.caller(jo), r.SessionRef(other.session))
    await sessions.end_session(home.ports, home.caller(jo), r.SessionRef(other.session))
    assert await home.revoked() == [f"session:{other.session.hex}"]
    await sessions.log_out(home.ports, home.caller(jo), Nothing())
    assert await sessions.list_sessions(home.ports, home.caller(jo), Nothing()) == ()
    with pytest.raises(Invalid):
        await sessions.log_out(home.ports, Caller(NOBODY.workspace, "jo", account=jo.account), Nothing())


async def test_what_lets_in_is_refused_where_the_session_ends_while_it_is_made(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    jo = await home.first()
    let_in = sessions._let_in

    async def meanwhile(*arguments: Any) -> r.LoggedIn:
        await sessions.end_session(home.ports, home.caller(jo), r.SessionRef(jo.session))
        return await let_in(*arguments)

    monkeypatch.setattr(sessions, "_let_in", meanwhile)
    given = await home.refresh(jo.refresh)
    said = await home.claims(given.access)
    assert await home.revoked(said["rev"]) == [f"session:{jo.session.hex}"]


# --- what lets in ---


async def test_an_access_token_says_who_and_what_and_for_ten_minutes(home: Home, clock: Clock) -> None:
    session = await home.first()
    said = await home.claims(session.access)
    assert (said["sub"], said["sid"], said["wsp"], said["roles"], said["rev"]) == (
        str(session.account), str(session.session), str(session.workspace), ["owner", "operator"], 0,
    )  # fmt: skip
    assert (said["iss"], said["aud"], said["exp"] - said["iat"]) == ("mirage", "mirage", ACCESS_SECONDS)
    assert abs(said["iat"] - clock.at / SECOND) < 2
    assert session.expires == said["exp"] * SECOND


async def test_a_session_works_in_the_workspace_that_is_named_and_in_no_other_ones(home: Home) -> None:
    from services.users.usecases.workspaces import create_workspace

    jo = await home.first()
    await create_workspace(home.users, home.caller(jo), r.NewWorkspace("acme"))
    await home.invited(jo, "mo@example.org", "viewer")
    there = await home.refresh(jo.refresh, "acme")
    assert (there.workspace, there.workspace_name, there.roles) == (workspace_id("acme"), "acme", ("owner", "operator"))
    assert (await home.claims(there.access))["wsp"] == str(workspace_id("acme"))
    for workspace in ("acme", "nowhere", str(workspace_id("acme"))):
        with pytest.raises(NotFound, match="you belong to no such workspace"):
            await home.log_in("mo@example.org", workspace=workspace)


async def test_who_belongs_nowhere_logs_in_and_is_nothing_there(home: Home) -> None:
    from services.users.usecases.workspaces import remove_member

    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "viewer")
    await remove_member(home.users, home.caller(jo), r.AccountRef(mo.account))
    step = await home.log_in("mo@example.org")
    assert step.session is not None
    assert (step.session.workspace, step.session.roles) == (None, ())
    assert "wsp" not in await home.claims(step.session.access)


async def test_what_is_given_after_a_change_of_roles_knows_of_it(home: Home) -> None:
    jo = await home.first()
    assert jo.workspace is not None
    await home.hear(jo.account, jo.workspace)
    (subject,) = await home.revoked()
    assert subject == f"member:{jo.account.hex}:{jo.workspace.hex}"
    after = await home.claims((await home.refresh(jo.refresh)).access)
    assert after["rev"] > 0
    assert await home.revoked(after["rev"]) == []


async def test_of_who_is_an_operator_no_more_nothing_is_good_that_was_given_anywhere(home: Home) -> None:
    jo = await home.first()
    await home.hear_of_operator(jo.account)
    assert await home.revoked() == [of_account(jo.account)]


async def test_revocations_are_numbered_upwards_and_forgotten_when_they_matter_no_more(
    home: Home, clock: Clock
) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "viewer")
    assert jo.workspace is not None
    for account in (jo.account, mo.account, jo.account):
        await home.hear(account, jo.workspace)
    async with home.ports.sql.read() as view:
        numbered = await revocation_store.read_revocations(view, 0, clock.at)
    assert len(numbered) == 3
    assert [number for number, _ in numbered] == sorted({number for number, _ in numbered})
    clock.forward(ACCESS_SECONDS + 61)
    assert await home.revoked() == []
    async with home.ports.sql.begin() as tx:
        await revocation_store.forget_revocations(tx, clock.at)
        assert await revocation_store.last_revocation(tx) == numbered[-1][0]
    clock.at -= 3600 * SECOND  # a clock that is put back
    await home.hear(mo.account, jo.workspace)
    async with home.ports.sql.read() as view:
        assert await revocation_store.last_revocation(view) > numbered[-1][0]


# --- keys ---


async def test_keys_are_published_before_they_sign_and_as_long_as_their_tokens_are_good(
    home: Home, clock: Clock
) -> None:
    jo = await home.first()
    first = [key["kid"] for key in await published(home)]
    assert len(first) == 1
    clock.at += KEY_SIGNS - KEY_ANNOUNCED + 60 * SECOND
    soon = [key["kid"] for key in await published(home)]
    assert (soon[:1], len(soon)) == (first, 2)
    assert (await keys.signing_key(home.ports))[0] == first[0]
    clock.at += KEY_ANNOUNCED
    assert [key["kid"] for key in await published(home)] == soon
    assert (await keys.signing_key(home.ports))[0] == soon[1]
    assert (await home.claims(jo.access))["sub"] == str(jo.account)
    clock.at += KEY_ANNOUNCED
    assert [key["kid"] for key in await published(home)] == soon[1:]
    assert all("d" not in key for key in await published(home))


async def published(home: Home) -> list[dict[str, str]]:
    return list((await keys.publish_keys(home.ports, NOBODY, Nothing())).keys)


async def test_a_key_is_of_no_use_without_the_master_key(home: Home) -> None:
    await home.first()
    async with home.ports.sql.read() as view:
        assert '"d"' not in repr(await view.fetch("SELECT kid, sealed, published FROM signing_key"))
    del home.ports.state["keys"]
    home.ports.seal = Seal(make_key())
    with pytest.raises(Corrupt):
        await keys.signing_key(home.ports)


def test_one_key_signs_at_an_instant() -> None:
    known = [
        key_store.SigningKey("a", "", "", 0, KEY_SIGNS),
        key_store.SigningKey("b", "", "", KEY_SIGNS, 2 * KEY_SIGNS),
    ]
    assert [signs(known, at) for at in (0, KEY_SIGNS - 1, KEY_SIGNS, 2 * KEY_SIGNS)] == [
        known[0],
        known[0],
        known[1],
        None,
    ]
    assert successor_begins([], 7) == 7
    assert successor_begins(known[:1], KEY_SIGNS - KEY_ANNOUNCED) is None
    assert successor_begins(known[:1], KEY_SIGNS - KEY_ANNOUNCED + 1) == KEY_SIGNS
    assert successor_begins(known[:1], KEY_SIGNS + 5) == KEY_SIGNS + 5


# --- tokens of scripts ---


async def test_a_script_may_what_it_was_given_and_no_more_than_who_gave_it(home: Home, clock: Clock) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "analyst")
    made = await new_token(home, mo, "scans.read", "scans.run")
    assert made.token not in repr(made)
    holder = await check(home, made.token)
    assert (holder.account, holder.workspace, holder.permissions) == (
        mo.account,
        mo.workspace,
        ("scans.read", "scans.run"),
    )
    assert holder.name == "mo@example.org (nightly)"
    assert mo.workspace is not None
    from services.users.usecases.workspaces import remove_member, set_role

    await set_role(home.users, home.caller(jo), r.SetRole(mo.account, "viewer"))
    assert (await check(home, made.token)).permissions == ("scans.read",)
    await remove_member(home.users, home.caller(jo), r.AccountRef(mo.account))
    with pytest.raises(NotFound):
        await check(home, made.token)


async def new_token(home: Home, session: r.LoggedIn, *permissions: str, seconds: float = DAY) -> r.MadeToken:
    new = r.NewToken(name=" nightly ", permissions=permissions, expires=home.clock.at + int(seconds * SECOND))
    return await scripts.create_token(home.ports, home.caller(session), new)


async def check(home: Home, token: str) -> r.TokenHolder:
    return await scripts.check_token(home.ports, NOBODY, r.TokenDigest(digest_of(token)))


@pytest.mark.parametrize(
    ("permissions", "seconds", "error"),
    [
        (("scans.delete",), DAY, Denied), (("scans.read", "members.manage"), DAY, Denied), (("account",), DAY, Invalid),
        (("anybody",), DAY, Invalid), (("",), DAY, Invalid), (("scans.read",), -1, Invalid),
        (("scans.read",), 367 * DAY, Invalid),
    ],
)  # fmt: skip
async def test_nobody_gives_a_script_more_than_he_has_or_for_longer_than_a_year(
    home: Home, permissions: tuple[str, ...], seconds: float, error: type[Exception]
) -> None:
    mo = await home.invited(await home.first(), "mo@example.org", "analyst")
    with pytest.raises(error):
        await new_token(home, mo, *permissions, seconds=seconds)


async def test_a_token_is_called_what_can_be_read(home: Home) -> None:
    jo = await home.first()
    for name in ("  ", "a\x1b]0;b\x07"):
        with pytest.raises(Invalid, match="printable"):
            await scripts.create_token(
                home.ports,
                home.caller(jo),
                r.NewToken(name=name, permissions=("read",), expires=home.clock.at + DAY * SECOND),
            )


@pytest.mark.parametrize("how", ["ended", "expired"])
async def test_a_token_that_has_ended_lets_nobody_in(home: Home, clock: Clock, how: str) -> None:
    jo = await home.first()
    mo = await home.invited(jo, "mo@example.org", "admin")
    made = await new_token(home, jo, "scans.read")
    if how == "expired":
        clock.at = made.view.expires
    else:
        with pytest.raises(NotFound):
            await scripts.end_token(home.ports, home.caller(mo), r.TokenRef(made.view.id))
        await scripts.end_token(home.ports, home.caller(jo), r.TokenRef(made.view.id))
        assert f"token:{made.view.id.hex}" in await home.revoked()
    with pytest.raises(NotFound, match="this token lets nobody in"):
        await check(home, made.token)
    assert await scripts.list_tokens(home.ports, home.caller(jo), Nothing()) == ()


async def test_tokens_of_who_has_left_let_nobody_in_when_he_is_invited_again(home: Home) -> None:
    jo = await home.first()
    assert jo.workspace is not None
    old = await new_token(home, jo, "scans.read")
    await home.hear(jo.account, jo.workspace)
    assert (await check(home, old.token)).account == jo.account, "who is something else keeps it"
    await home.hear(jo.account, EVERYWHERE, member=False)
    assert (await check(home, old.token)).account == jo.account, "he has left another workspace"
    await home.hear(jo.account, jo.workspace, member=False)
    with pytest.raises(NotFound, match="this token lets nobody in"):
        await check(home, old.token)
    assert (await check(home, (await new_token(home, jo, "scans.read")).token)).account == jo.account


async def test_a_person_sees_his_own_tokens_in_a_workspace_and_when_they_were_used(home: Home) -> None:
    from services.users.usecases.workspaces import create_workspace

    jo = await home.first()
    made = await new_token(home, jo, "scans.read")
    assert [each.used for each in await scripts.list_tokens(home.ports, home.caller(jo), Nothing())] == [None]
    for _ in range(2):
        await check(home, made.token)
    (shown,) = await scripts.list_tokens(home.ports, home.caller(jo), Nothing())
    assert (shown.id, shown.name, shown.permissions) == (made.view.id, "nightly", ("scans.read",))
    assert shown.used is not None
    await create_workspace(home.users, home.caller(jo), r.NewWorkspace("acme"))
    there = await home.refresh(jo.refresh, "acme")
    assert await scripts.list_tokens(home.ports, home.caller(there), Nothing()) == ()
    mo = await home.invited(there, "mo@example.org", "viewer")
    assert await scripts.list_tokens(home.ports, home.caller(mo), Nothing()) == ()
    with pytest.raises(NotFound):
        await scripts.end_token(home.ports, home.caller(there), r.TokenRef(made.view.id))


async def test_no_token_is_kept(home: Home) -> None:
    jo = await home.first()
    made = await new_token(home, jo, "scans.read")
    async with home.ports.sql.read() as view:
        kept = repr(
            [
                await view.fetch("SELECT family, refresh, former FROM session"),
                await view.fetch("SELECT digest, name FROM api_token"),
                await view.fetch("SELECT password, email FROM account"),
            ]
        )
    assert not [each for each in (made.token, jo.refresh, jo.access) if each in kept]
