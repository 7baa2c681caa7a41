"""Everything that people change, through all services as one process has them, is in the audit trail, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import pyotp
import pytest
from argon2 import PasswordHasher

from services.auth.usecases.passwords import Passwords
from services.catalogue import load_embedded, load_services
from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts import resources as r
from services.contracts.audit import Chain, write_line
from services.contracts.commands import Record
from services.contracts.permissions import ACCOUNT, Role, permissions_of
from services.contracts.resources.confidence import PolicyChange
from services.contracts.resources.correlation import (
    Named,
    RuleRef,
    SetFinding,
    SetRule,
    Suppress,
    SuppressionRef,
    WrittenRule,
)
from services.contracts.resources.identity import DecideHypothesis
from services.contracts.resources.reports import BundleQuery, NewReport, ReportFile, ReportRef
from services.contracts.resources.storage import RelationFacts, SaidBy
from services.correlation.domain.identity.hypotheses import hypothesis_id
from services.correlation.domain.judging import Found
from services.correlation.store import findings
from services.correlation.usecases import identity
from services.kernel.calls import ANYBODY, A, Caller, Endpoint, Nothing, Q, operator
from services.kernel.errors import Conflict, Denied, MirageError, NotFound, Unauthenticated
from services.kernel.messages import EVERYWHERE, now, workspace_id
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.trail import Trail
from services.registry import store as registry_store
from tests.services.auth.openid_provider import CLIENT, SECRET, Provider, authority_in, serve
from tests.services.auth.software_authenticator import Authenticator

DEFAULT: Final = workspace_id("default")
REDIRECT: Final = "http://127.0.0.1:49152/callback"
NOBODY: Final = Caller(EVERYWHERE, "nobody", "person", frozenset({ANYBODY}), address="192.0.2.9")
#: In every text of a question that may be anything.
CANARY: Final = "canary6f1d"
PASSWORD, ANOTHER = f"{CANARY} battery staple", f"{CANARY} another one"
DAY: Final = 86_400_000_000
RECORDS: Final = "users__record"

AUDITED: Final = {each.name: each for service in load_services() for each in service.answers if each.is_audited}
#: What is asked for by everybody every ten minutes, and changes nothing that anybody asks about: a theft alone is told.
NOT_WHEN_DONE: Final = {"refresh"}
#: What only reads, and so has no unit of work.
READS: Final = {"export", "read_report", "read_bundle"}
#: What auth asks when an account is made: it is said in the workspace that the person enters.
JOINS: Final = {"add_profile"}


class World:
    """A process with all services, and a provider; `asked` counts the questions that are to be in the trail."""

    def __init__(self, runtime: Runtime, provider: Provider) -> None:
        self.runtime = runtime
        self.provider = provider
        self.asked: Counter[str] = Counter()

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> A:
        if endpoint.is_audited:
            self.asked[endpoint.name] += 1
        if endpoint.streams:
            return [part async for part in self.runtime.calls.follow(endpoint, question, caller)]  # type: ignore[return-value]
        return await self.runtime.calls.ask(endpoint, question, caller)

    async def trail(self, workspace: UUID, caller: Caller | None = None) -> list[r.AuditEntry]:
        """The chain of a workspace, or of the installation, which is whole."""
        await self.runtime.settle(RECORDS, 10.0)
        endpoint = e.EXPORT_INSTALLATION_AUDIT if workspace == EVERYWHERE else e.EXPORT_AUDIT
        found, chain = [], Chain(workspace=workspace)
        async for part in self.runtime.calls.follow(endpoint, Nothing(), caller or operator(workspace)):
            for entry in part.entries:
                chain.add(entry)
                found.append(entry)
        chain.end()
        return found


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Collectors stand still, so that a scan is what was made of it."""
    monkeypatch.setattr(Passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    authority = authority_in(tmp_path / "authority")
    settings = Settings(data=str(tmp_path / "data"), ca_file=str(authority.file))
    async with (
        serve(Provider("Ed25519"), authority) as provider,
        Runtime(load_embedded(), settings, works=False, others=load_services()) as runtime,
    ):
        yield World(runtime, provider)


def person(logged_in: r.LoggedIn, *roles: Role, workspace: UUID = DEFAULT) -> Caller:
    may = permissions_of(*roles) | {ACCOUNT, ANYBODY}
    return Caller(workspace, logged_in.name, "person", may, logged_in.account, "", logged_in.session, "192.0.2.1")


async def do_everything(world: World) -> Caller:
    """Ask each question that changes something, all that can be of people; return the owner of the workspace."""
    owner = await make_accounts(world)
    await set_things(world, owner)
    await log_in_otherwise(world, owner)
    await run_scans(world, owner)
    await judge(world, owner)
    await stand(world, owner)
    await world.ask(e.CHANGE_PASSWORD, r.ChangePassword(old=PASSWORD, new=ANOTHER), owner)
    await world.ask(e.LOG_OUT, Nothing(), owner)
    return owner


async def make_accounts(world: World) -> Caller:
    code = (await world.ask(e.OFFER_FIRST_ACCOUNT, Nothing(), operator(EVERYWHERE))).code
    assert code is not None
    first = r.FirstAccount(code=code, email="jo@example.org", name=CANARY, password=PASSWORD, device=CANARY)
    jo = await world.ask(e.CREATE_FIRST_ACCOUNT, first, NOBODY)
    owner = person(jo, "owner", "operator")
    step = await world.ask(e.LOG_IN, r.LogIn(email="jo@example.org", password=PASSWORD, device=CANARY), NOBODY)
    assert step.session is not None
    await world.ask(e.REFRESH, r.Refresh(refresh=step.session.refresh), NOBODY)
    await world.ask(e.END_SESSION, r.SessionRef(step.session.session), owner)
    await world.ask(e.CHANGE_PROFILE, r.ChangeProfile("Jo Doe"), owner)
    invited = await world.ask(e.INVITE, r.NewInvitation("mo@example.org", "analyst"), owner)
    mo = await world.ask(e.CREATE_ACCOUNT, r.NewAccount(code=invited.code, name="Mo", password=PASSWORD), NOBODY)
    acme = await world.ask(e.CREATE_WORKSPACE, r.NewWorkspace("acme", CANARY), owner)
    there = person(jo, "owner", workspace=acme.id)
    await world.ask(e.CHANGE_WORKSPACE, r.ChangeWorkspace(CANARY), there)
    second = await world.ask(e.INVITE, r.NewInvitation("mo@example.org", "viewer"), there)
    await world.ask(e.ACCEPT_INVITATION, r.InvitationCode(second.code), person(mo, "analyst"))
    await world.ask(e.SET_ROLE, r.SetRole(mo.account, "admin"), owner)
    await world.ask(e.REMOVE_MEMBER, r.AccountRef(mo.account), owner)
    await world.ask(e.ADD_OPERATOR, r.NewOperator("mo@example.org"), owner)
    await world.ask(e.REMOVE_OPERATOR, r.AccountRef(mo.account), owner)
    withdrawn = await world.ask(e.INVITE, r.NewInvitation("so@example.org", "viewer"), owner)
    await world.ask(e.WITHDRAW_INVITATION, r.InvitationRef(withdrawn.invitation.id), owner)
    return owner


async def set_things(world: World, owner: Caller) -> None:
    made = await world.ask(e.BEGIN_AUTHENTICATOR, r.Proof(password=PASSWORD), owner)
    first = r.AuthenticatorCode(pyotp.TOTP(made.secret).now())
    recovery = await world.ask(e.CONFIRM_AUTHENTICATOR, first, owner)
    await world.ask(e.REMOVE_AUTHENTICATOR, r.AuthenticatorCode(recovery.codes[0]), owner)
    token = await world.ask(e.CREATE_TOKEN, r.NewToken(name=CANARY, permissions=("read",), expires=now() + DAY), owner)
    await world.ask(e.END_TOKEN, r.TokenRef(token.view.id), owner)
    await world.ask(e.SET_KEY, r.NewKey(name="shodan", secret=CANARY * 4), owner)
    await world.ask(e.REMOVE_KEY, r.KeyName("shodan"), owner)
    changed = r.ChangeSettings(service="collector", values={"log": "debug"}, reason=CANARY)
    await world.ask(e.CHANGE_SETTINGS, changed, owner)
    await world.ask(e.SET_MODULE, r.ModuleSettings(module="crtsh", enabled=False), owner)
    await world.ask(e.SET_QUOTAS, r.SetQuotas(workspace=DEFAULT, scans=100), owner)


async def log_in_otherwise(world: World, owner: Caller) -> None:
    """By a passkey, at a provider, and by a code of the operator."""
    authenticator = Authenticator()
    begun = await world.ask(e.BEGIN_PASSKEY, r.Proof(password=PASSWORD), owner)
    made = msgspec.convert(authenticator.create(begun.options), r.MadeCredential)
    new = r.NewPasskey(begun=begun.begun, name=CANARY, credential=made)
    passkey = await world.ask(e.ADD_PASSKEY, new, owner)
    asked = await world.ask(e.BEGIN_PASSKEY_LOGIN, Nothing(), NOBODY)
    signed = msgspec.convert(authenticator.get(asked.options), r.SignedCredential)
    login = r.PasskeyLogin(begun=asked.begun, credential=signed, device=CANARY)
    await world.ask(e.LOG_IN_BY_PASSKEY, login, NOBODY)
    await world.ask(e.REMOVE_PASSKEY, r.RemovePasskey(passkey=passkey.id, password=PASSWORD), owner)
    await log_in_at_provider(world, owner)
    reset = await world.ask(e.OFFER_RESET, r.NewReset(email="jo@example.org"), operator(EVERYWHERE))
    chosen = r.Reset(reset=reset.code, password=PASSWORD, device=CANARY)
    await world.ask(e.RESET_PASSWORD, chosen, NOBODY)


async def set_provider(world: World, **more: Any) -> None:
    acme = {"issuer": world.provider.issuer, "client_id": CLIENT, **more}
    await world.ask(e.SET_KEY, r.NewKey(name="oidc_acme", secret=SECRET), operator(EVERYWHERE))
    changed = r.ChangeSettings(service="auth", values={"providers": {"acme": acme}})
    await world.ask(e.CHANGE_SETTINGS, changed, operator(EVERYWHERE))
    auth = world.runtime.ports["auth"]
    async with asyncio.timeout(10):
        while not auth.live.now.providers or await auth.values.get("keys/oidc_acme") is None:
            await asyncio.sleep(0.01)


async def log_in_at_provider(world: World, owner: Caller) -> None:
    await set_provider(world)
    begin = r.BeginIdentity(provider="acme", redirect=REDIRECT, password=PASSWORD)
    begun = await world.ask(e.BEGIN_IDENTITY, begin, owner)
    answer = r.OidcAnswer(begun=begun.begun, **world.provider.visit(begun.url))
    linked = await world.ask(e.ADD_IDENTITY, answer, owner)
    begun = await world.ask(e.BEGIN_OIDC, r.BeginOidc(provider="acme", redirect=REDIRECT), NOBODY)
    login = r.OidcLogin(begun=begun.begun, device=CANARY, **world.provider.visit(begun.url))
    await world.ask(e.FINISH_OIDC, login, NOBODY)
    await world.ask(e.REMOVE_IDENTITY, r.RemoveIdentity(identity=linked.id, password=PASSWORD), owner)


async def run_scans(world: World, owner: Caller) -> None:
    await world.ask(e.UPLOAD, r.Upload(CANARY.encode()), owner)
    made = await world.ask(e.CREATE_SCAN, r.NewScan(targets=(f"{CANARY}.example.org",), profile="deep"), owner)
    scan = r.ScanId(made.id)
    for endpoint in (e.PAUSE_SCAN, e.RESUME_SCAN, e.STOP_SCAN, e.RETRY_SCAN):
        await world.ask(endpoint, scan, owner)
    await world.ask(e.EXPORT, r.ExportQuery(scan=made.id, format="jsonl"), owner)
    await report(world, made.id, owner)
    await world.ask(e.RETRACT, r.Retract(module="crtsh", reason=CANARY), owner)
    await world.ask(e.DELETE_SCAN, scan, owner)


async def report(world: World, scan: UUID, owner: Caller) -> None:
    *_, made = await world.ask(e.MAKE_REPORT, NewReport(scan=scan, title=CANARY), owner)  # type: ignore[misc]
    named = str(made.report.id)
    await world.ask(e.READ_REPORT, ReportFile(report=named, format="md"), owner)
    await world.ask(e.READ_BUNDLE, BundleQuery(report=named), owner)
    await world.ask(e.DELETE_REPORT, ReportRef(named), owner)


async def judge(world: World, owner: Caller) -> None:
    await world.ask(e.SET_POLICY, PolicyChange(reliability={"crtsh": 0.5}, reason=CANARY), owner)
    correlation, proposed = world.runtime.ports["correlation"], UUID(int=77)
    key = entities.crypto_key("pgp", "a" * 40)
    people = [entities.person("openpgp", f"{CANARY}{number}") for number in range(2)]
    said = (SaidBy("openpgp", 1, now(), 100, bytes(16), ()),)
    held = [RelationFacts(type="controls", source=each, target=key, said=said) for each in people]
    async with correlation.sql.begin() as tx:
        await identity.follow(correlation, tx, DEFAULT, proposed, (), held, ())
    hypothesis = hypothesis_id(people[0].id, people[1].id)
    await world.ask(
        e.DECIDE_HYPOTHESIS, DecideHypothesis(hypothesis=hypothesis, verdict="accept", reason=CANARY), owner
    )


async def stand(world: World, owner: Caller) -> None:
    """Write a rule, put findings aside, and say where one stands with one."""
    text = f"id: ours\nversion: 1\ntitle: {CANARY}\ncategory: dns\nseverity: low\ndescription: d\nheadline: h\n"
    await world.ask(e.WRITE_RULE, WrittenRule(text + "things: {host: {type: hostname}}"), owner)
    await world.ask(e.SET_RULE, SetRule(rule="ours", enabled=False), owner)
    aside = await world.ask(e.SUPPRESS, Suppress(rule="ours", reason=CANARY), owner)
    await world.ask(e.LIFT_SUPPRESSION, SuppressionRef(aside.id), owner)
    await world.ask(e.REMOVE_RULE, RuleRef("ours"), owner)
    found = Found(
        id=UUID(int=78), rule="ours", version=1, category="dns", severity="low", confidence=100, title=CANARY,
        entities=(Named(bytes(16).hex(), "hostname", "www.example.org"),), matches=1, grounds=(),
    )  # fmt: skip
    async with world.runtime.ports["correlation"].sql.begin() as tx:
        await findings.note_findings(tx, DEFAULT, UUID(int=79), [found], now())
        await findings.write_found(tx, DEFAULT, UUID(int=79), [found])
    said = SetFinding(finding=str(found.id), status="accepted", reason=CANARY)
    await world.ask(e.SET_FINDING, said, owner)


async def test_each_question_that_changes_something_has_one_entry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each but those that only read in the transaction of what it changed."""
    alone: list[str] = []
    write = Trail._end

    async def watched(trail: Trail, asked: Any) -> None:
        if asked is not None and asked.open and not asked.anonymous:
            alone.append(asked.entry("done")[0].what.partition(".")[2])
        await write(trail, asked)

    monkeypatch.setattr(Trail, "_end", watched)
    await do_everything(world)
    assert set(world.asked) | JOINS == set(AUDITED), "let the new endpoint be asked here, or say that it is not audited"
    chains = [await world.trail(workspace) for workspace in (EVERYWHERE, DEFAULT, workspace_id("acme"))]
    seen = Counter(entry.what.partition(".")[2] for chain in chains for entry in chain if entry.outcome == "done")
    asked = {name: number for name, number in world.asked.items() if name not in NOT_WHEN_DONE}
    assert seen == {**asked, "add_profile": 2}
    assert [entry for chain in chains for entry in chain if entry.outcome != "done"] == []
    assert set(alone) == READS


async def test_no_secret_and_no_text_that_somebody_wrote_is_in_an_entry(world: World, tmp_path: Path) -> None:
    await do_everything(world)
    for workspace in (EVERYWHERE, DEFAULT, workspace_id("acme")):
        for entry in await world.trail(workspace):
            # What somebody is called stands there: it says who it was.
            assert CANARY.encode() not in write_line(entry).replace(f'"name":"{CANARY}"'.encode(), b"")


async def test_an_entry_says_where_somebody_joined_and_what_came_of_it(world: World) -> None:
    owner = await do_everything(world)
    (joined,) = [each for each in await world.trail(workspace_id("acme")) if each.what == "users.accept_invitation"]
    assert (joined.name, joined.outcome, set(joined.about)) == ("Mo", "done", {"invitation"})
    made = [each for each in await world.trail(DEFAULT) if each.what == "users.add_profile"]
    assert [(each.name, each.service) for each in made] == [("jo@example.org", "auth"), ("mo@example.org", "auth")]
    ours = {each.what: each for each in await world.trail(DEFAULT)}
    assert ours["users.set_role"].about["role"] == "admin"
    assert ours["users.invite"].about["role"] == "viewer"
    told = {each.what: each for each in await world.trail(EVERYWHERE)}
    assert told["users.add_operator"].about == told["users.remove_operator"].about
    assert set(ours["scans.create_scan"].about) == {"scan", "profile"}
    assert ours["registry.set_module"].about == {"module": "crtsh", "enabled": "false"}
    assert {each.account for each in ours.values()} >= {owner.account}
    logins = [each for each in await world.trail(EVERYWHERE) if each.what == "auth.log_in"]
    assert [(each.name, each.account, each.address) for each in logins] == [
        ("jo@example.org", owner.account, "192.0.2.9")
    ]


async def test_who_fails_to_log_in_to_an_account_is_recorded_and_a_guess_at_nobody_is_not(world: World) -> None:
    await make_accounts(world)
    before = len(await world.trail(EVERYWHERE))
    for email in ("jo@example.org", "nobody@example.org"):
        with pytest.raises(Unauthenticated):
            await world.ask(e.LOG_IN, r.LogIn(email=email, password=CANARY * 2), NOBODY)
    (failed,) = (await world.trail(EVERYWHERE))[before:]
    assert (failed.what, failed.outcome, failed.name) == ("auth.log_in", "unauthenticated", "jo@example.org")


async def test_who_fails_to_show_anew_that_it_is_he_is_recorded(world: World) -> None:
    owner = await make_accounts(world)
    before = len(await world.trail(EVERYWHERE))
    wrong = CANARY * 2
    identity = r.BeginIdentity(provider="acme", redirect=REDIRECT, password=wrong)
    with pytest.raises(NotFound):
        await world.ask(e.BEGIN_IDENTITY, identity, owner)
    await set_provider(world)
    for endpoint, question in (
        (e.BEGIN_AUTHENTICATOR, r.Proof(password=wrong)),
        (e.BEGIN_PASSKEY, r.Proof(password=wrong)),
        (e.BEGIN_IDENTITY, identity),
        (e.REMOVE_PASSKEY, r.RemovePasskey(passkey=UUID(int=1), password=wrong)),
        (e.REMOVE_IDENTITY, r.RemoveIdentity(identity=UUID(int=1), password=wrong)),
        (e.CHANGE_PASSWORD, r.ChangePassword(old=wrong, new=ANOTHER)),
    ):
        with pytest.raises(Denied):
            await world.ask(endpoint, question, owner)
    failed = [(each.what, each.outcome) for each in (await world.trail(EVERYWHERE))[before:] if each.outcome != "done"]
    assert failed == [
        ("auth.begin_identity", "not_found"), ("auth.begin_authenticator", "denied"), ("auth.begin_passkey", "denied"),
        ("auth.begin_identity", "denied"), ("auth.remove_passkey", "denied"), ("auth.remove_identity", "denied"),
        ("auth.change_password", "denied"),
    ]  # fmt: skip


async def test_a_recovery_code_is_used_up_with_an_entry_or_not_at_all(world: World) -> None:
    owner = await make_accounts(world)
    secret = (await world.ask(e.BEGIN_AUTHENTICATOR, r.Proof(password=PASSWORD), owner)).secret
    recovery = await world.ask(e.CONFIRM_AUTHENTICATOR, r.AuthenticatorCode(pyotp.TOTP(secret).now()), owner)
    before = len(await world.trail(EVERYWHERE))
    removed = r.RemovePasskey(passkey=UUID(int=1), code=recovery.codes[0])
    with pytest.raises(NotFound):
        await world.ask(e.REMOVE_PASSKEY, removed, owner)
    await world.ask(e.BEGIN_PASSKEY, r.Proof(code=recovery.codes[0]), owner)
    with pytest.raises(Denied):
        await world.ask(e.BEGIN_PASSKEY, r.Proof(code=recovery.codes[0]), owner)
    said = [(each.what, each.outcome) for each in (await world.trail(EVERYWHERE))[before:]]
    assert sorted(said) == [
        ("auth.begin_passkey", "denied"), ("auth.begin_passkey", "done"), ("auth.remove_passkey", "not_found"),
    ]  # fmt: skip


async def test_a_login_of_two_steps_is_one_entry(world: World) -> None:
    owner = await make_accounts(world)
    secret = (await world.ask(e.BEGIN_AUTHENTICATOR, r.Proof(password=PASSWORD), owner)).secret
    recovery = await world.ask(e.CONFIRM_AUTHENTICATOR, r.AuthenticatorCode(pyotp.TOTP(secret).now()), owner)
    before = len(await world.trail(EVERYWHERE))
    login = r.LogIn(email="jo@example.org", password=PASSWORD)
    assert (await world.ask(e.LOG_IN, login, NOBODY)).needs == "code"
    coded = r.LogIn(email="jo@example.org", password=PASSWORD, code=recovery.codes[0])
    await world.ask(e.LOG_IN, coded, NOBODY)
    assert [each.outcome for each in (await world.trail(EVERYWHERE))[before:]] == ["done"]


async def test_a_login_at_a_provider_is_done_when_its_session_begins(world: World) -> None:
    owner = await make_accounts(world)
    await set_provider(world, domains=["example.org"])
    secret = (await world.ask(e.BEGIN_AUTHENTICATOR, r.Proof(password=PASSWORD), owner)).secret
    recovery = await world.ask(e.CONFIRM_AUTHENTICATOR, r.AuthenticatorCode(pyotp.TOTP(secret).now()), owner)
    before = len(await world.trail(EVERYWHERE))
    begun = await world.ask(e.BEGIN_OIDC, r.BeginOidc(provider="acme", redirect=REDIRECT), NOBODY)
    login = r.OidcLogin(begun=begun.begun, **world.provider.visit(begun.url))
    assert (await world.ask(e.FINISH_OIDC, login, NOBODY)).needs == "code"
    assert (await world.trail(EVERYWHERE))[before:] == []
    with pytest.raises(Unauthenticated):
        await world.ask(e.FINISH_OIDC, r.OidcLogin(begun=begun.begun, second="000000"), NOBODY)
    await world.ask(e.FINISH_OIDC, r.OidcLogin(begun=begun.begun, second=recovery.codes[0]), NOBODY)
    said = sorted((each.what, each.outcome) for each in (await world.trail(EVERYWHERE))[before:])
    assert said == [("auth.finish_oidc", "done"), ("auth.finish_oidc", "unauthenticated")]


async def test_a_refresh_token_that_came_twice_is_recorded(world: World) -> None:
    await make_accounts(world)
    step = await world.ask(e.LOG_IN, r.LogIn(email="jo@example.org", password=PASSWORD), NOBODY)
    assert step.session is not None
    second = await world.ask(e.REFRESH, r.Refresh(refresh=step.session.refresh), NOBODY)
    await world.ask(e.REFRESH, r.Refresh(refresh=second.refresh), NOBODY)
    before = len(await world.trail(EVERYWHERE))
    with pytest.raises(Unauthenticated):
        await world.ask(e.REFRESH, r.Refresh(refresh=step.session.refresh), NOBODY)
    (stolen,) = (await world.trail(EVERYWHERE))[before:]
    assert (stolen.what, stolen.outcome) == ("auth.refresh", "unauthenticated")
    assert stolen.about == {"session": str(step.session.session)}


async def test_what_a_refused_question_would_have_made_is_named_nowhere(world: World) -> None:
    owner = await make_accounts(world)
    await world.ask(e.SET_QUOTAS, r.SetQuotas(workspace=DEFAULT, scans=0), owner)
    with pytest.raises(Conflict):
        await world.ask(e.INVITE, r.NewInvitation("jo@example.org", "viewer"), owner)
    with pytest.raises(Conflict):
        await world.ask(e.CREATE_SCAN, r.NewScan(targets=("example.org",), profile="deep"), owner)
    refused = {each.what: each.about for each in await world.trail(DEFAULT) if each.outcome == "conflict"}
    assert refused == {"users.invite": {"role": "viewer"}, "scans.create_scan": {"profile": "deep"}}


async def test_who_may_not_read_a_trail_reads_none_and_nobody_that_of_another_workspace(world: World) -> None:
    owner = await make_accounts(world)
    await set_things(world, owner)
    assert len(await world.trail(DEFAULT, owner)) == len(await world.trail(DEFAULT)) > 0
    elsewhere = Caller(workspace_id("other"), "Jo", "person", permissions_of("owner"), owner.account)
    assert await world.trail(elsewhere.workspace, elsewhere) == []
    page = await world.ask(e.LIST_AUDIT, r.AuditQuery(), elsewhere)
    assert page == r.AuditPage((), None)
    first = (await world.trail(DEFAULT))[-1]
    with pytest.raises(NotFound):
        await world.ask(e.LIST_AUDIT, r.AuditQuery(before=first.sequence), elsewhere)
    for role in ("viewer", "analyst"):
        reads = Caller(DEFAULT, "Mo", "person", permissions_of(role), UUID(int=9))
        for endpoint in (e.LIST_AUDIT, e.LIST_INSTALLATION_AUDIT):
            with pytest.raises(Denied):
                await world.ask(endpoint, r.AuditQuery(), reads)
    owns = Caller(DEFAULT, "Mo", "person", permissions_of("owner"), UUID(int=9))
    with pytest.raises(Denied):
        await world.ask(e.LIST_INSTALLATION_AUDIT, r.AuditQuery(), owns)
    denied = [(each.what, each.name) for each in await world.trail(DEFAULT) if each.outcome == "denied"]
    assert denied == [("users.list_audit", "Mo")] * 2


async def test_a_change_that_fails_has_no_entry_of_its_doing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await make_accounts(world)
    before = len(await world.trail(DEFAULT))

    async def break_down(*_: Any) -> None:
        raise MirageError("it broke")

    monkeypatch.setattr(registry_store, "write_setting", break_down)
    with pytest.raises(MirageError):
        await world.ask(e.SET_MODULE, r.ModuleSettings(module="crtsh", enabled=False), owner)
    assert [each.outcome for each in (await world.trail(DEFAULT))[before:]] == ["internal"]


def test_each_service_that_is_asked_for_changes_can_say_so() -> None:
    for service in load_services():
        audited = [each for each in service.answers if each.is_audited]
        assert not audited or (Record in service.publishes and {"sql", "bus"} <= set(service.needs)), service.name
