"""Keys nobody can read who should not, settings that hold only when they are sound, and both where they are watched."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from services.catalogue import load_services
from services.configuration import api, store
from services.configuration.domain import LONGEST_SECRET, hint
from services.configuration.service import service
from services.configuration.usecases.project import keys_of_environment, project_keys, project_settings, take_over_file
from services.contracts.keys import KEYS, PROJECTED
from services.contracts.resources import ChangeSettings, KeyName, NewKey, SettingsRef
from services.contracts.settings import SETTINGS as FORMS
from services.kernel.calls import Caller, Nothing, operator
from services.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from services.kernel.live import SETTINGS
from services.kernel.messages import EVERYWHERE
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.seal import Seal, make_key
from services.kernel.service import Ports
from services.kernel.settings import Settings
from services.kernel.sql import migrations
from services.kernel.values.local import LocalValues
from tests.stores import Stores

SECRET = "abcdefgh-ijklmnop-7890"
CALLER = operator(EVERYWHERE, "jo")
#: Which services have settings, as it is said.
KNOWN = ", ".join(FORMS)


class Awkward(LocalValues):
    """Values that may be away, or stand still where somebody is about to write."""

    away = False
    held: asyncio.Event | None = None
    reached: asyncio.Event
    written: list[set[str]]

    async def put_all(self, values: Mapping[str, bytes | None]) -> None:
        if self.away:
            raise Unavailable("they are away")
        if self.held is not None:
            self.reached.set()
            await self.held.wait()
        await super().put_all(values)
        self.written.append(set(values))


@pytest.fixture
async def ports(tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ports]:
    for name in keys_of_environment(dict(__import__("os").environ)):
        monkeypatch.delenv(f"MIRAGE_KEY_{name.upper()}")
    sql = stores.open(tmp_path / "configuration.db")
    await sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
    settings = Settings(data=str(tmp_path))
    values = Awkward()
    values.written = []
    opened = Ports("configuration", sql=sql, values=values, seal=Seal(make_key()), settings=settings)
    opened.outbox = Outbox(sql, None, "configuration")  # type: ignore[arg-type]
    yield opened
    await sql.close()


async def shared(ports: Ports, prefix: str) -> dict[str, bytes]:
    return {key.removeprefix(prefix): each.value for key, each in (await ports.values.read(prefix)).items()}


async def opened(ports: Ports) -> dict[str, str]:
    there = await shared(ports, KEYS)
    assert there.pop(PROJECTED.removeprefix(KEYS)) == b"1"
    return {name: ports.seal.open(name, sealed.decode()) for name, sealed in there.items()}


# --- keys ---


async def test_a_key_is_shared_sealed_before_the_answer_and_no_answer_has_it(ports: Ports) -> None:
    told = [await api.set_key(ports, CALLER, NewKey("shodan", f" {SECRET}\n"))]
    assert await opened(ports) == {"shodan": SECRET}
    told += await api.list_keys(ports, CALLER, Nothing())
    assert [(key.name, key.source, key.hint) for key in told] == [("shodan", "stored", "…7890")] * 2
    assert SECRET not in repr(told)
    assert SECRET not in repr(NewKey("shodan", SECRET))
    assert SECRET.encode() not in b"".join((await shared(ports, KEYS)).values())
    async with ports.sql.read() as view:
        assert SECRET not in repr(await view.fetch("SELECT name, sealed, hint FROM provider_key"))


async def test_a_key_can_be_replaced_and_forgotten(ports: Ports) -> None:
    await api.set_key(ports, CALLER, NewKey("shodan", SECRET))
    await api.set_key(ports, CALLER, NewKey("shodan", "another"))
    assert await opened(ports) == {"shodan": "another"}
    await api.remove_key(ports, CALLER, KeyName("shodan"))
    assert await opened(ports) == {}
    with pytest.raises(NotFound):
        await api.remove_key(ports, CALLER, KeyName("shodan"))


async def test_the_environment_wins_over_what_is_kept(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAGE_KEY_SHODAN", " from-environment\n")
    monkeypatch.setenv("MIRAGE_KEY_EMPTY", " ")
    monkeypatch.setenv("MIRAGE_KEY_BAD", "two\nlines")
    await api.set_key(ports, CALLER, NewKey("shodan", SECRET))
    await api.set_key(ports, CALLER, NewKey("github", SECRET))
    assert await opened(ports) == {"github": SECRET, "shodan": "from-environment"}
    listed = await api.list_keys(ports, CALLER, Nothing())
    assert {key.name: key.source for key in listed} == {"github": "stored", "shodan": "environment"}
    before = await shared(ports, KEYS)
    await project_keys(ports)
    assert await shared(ports, KEYS) == before, "what is shared already is not sealed anew each time"
    monkeypatch.delenv("MIRAGE_KEY_SHODAN")
    await project_keys(ports)
    assert (await opened(ports))["shodan"] == SECRET


@pytest.mark.parametrize("name", ["", "Shodan", "a b", "../x", "1a", "a" * 65, "a\n", ".projected"])
async def test_a_name_is_a_plain_word(ports: Ports, name: str) -> None:
    with pytest.raises(Invalid):
        await api.set_key(ports, CALLER, NewKey(name, SECRET))


@pytest.mark.parametrize("secret", ["", "  ", "a\nb", "a\0b", "x" * (LONGEST_SECRET + 1)])
async def test_a_secret_is_one_line_and_no_refusal_repeats_it(ports: Ports, secret: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await api.set_key(ports, CALLER, NewKey("shodan", secret))
    assert not secret.strip() or secret not in str(refusal.value)
    assert await api.list_keys(ports, CALLER, Nothing()) == ()


@pytest.mark.parametrize("secret", ["", "a", "abcdefghijklmno", "abcdefghijklmnop", SECRET])
def test_no_hint_gives_away_more_than_the_end_of_a_long_key(secret: str) -> None:
    shown = hint(secret).removeprefix("…")
    assert shown == (secret[-4:] if len(secret) >= 16 else "")


async def test_a_file_of_an_earlier_version_is_taken_over_once(ports: Ports) -> None:
    file = ports.settings.folder / "keys.json"
    file.write_text(json.dumps({"shodan": SECRET}))
    await take_over_file(ports)
    assert not file.exists()
    await project_keys(ports)
    assert await opened(ports) == {"shodan": SECRET}
    await take_over_file(ports)


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "5", '{"shodan": 1}'])
async def test_a_file_that_is_none_of_keys_stays_as_it_is(ports: Ports, content: str) -> None:
    file = ports.settings.folder / "keys.json"
    file.write_text(content)
    await take_over_file(ports)
    assert file.read_text() == content


# --- what is shared ---


async def test_what_was_lost_or_altered_where_it_is_watched_comes_back(ports: Ports) -> None:
    await api.set_key(ports, CALLER, NewKey("shodan", SECRET))
    await api.change_settings(ports, CALLER, ChangeSettings(service="collector", values={"log": "debug"}))
    await ports.values.put_all(
        {KEYS + "shodan": b"x", KEYS + "strange": b"y", PROJECTED: None, SETTINGS + "other": b"1"}
    )
    await project_keys(ports)
    await project_settings(ports)
    assert await opened(ports) == {"shodan": SECRET}
    assert await shared(ports, SETTINGS) == {"collector": b'{"log":"debug"}'}


async def test_what_cannot_be_shared_now_is_kept_and_shared_later(ports: Ports) -> None:
    assert isinstance(ports.values, Awkward)
    ports.values.away = True
    assert (await api.set_key(ports, CALLER, NewKey("shodan", SECRET))).name == "shodan"
    ports.values.away = False
    await project_keys(ports)
    assert await opened(ports) == {"shodan": SECRET}


async def test_more_keys_than_are_written_at_once_are_shared_before_it_is_said_that_all_are(ports: Ports) -> None:
    assert isinstance(ports.values, Awkward)
    secrets = {f"key{number}": f"{number:04}" * (LONGEST_SECRET // 4) for number in range(100)}
    async with ports.sql.begin() as tx:
        for name, secret in secrets.items():
            await store.write_key(tx, store.SealedKey(name, ports.seal.seal(name, secret), ""), 1)
    await project_keys(ports)
    assert await opened(ports) == secrets
    assert len(ports.values.written) > 2
    assert [PROJECTED in names for names in ports.values.written] == [False] * (len(ports.values.written) - 1) + [True]


async def test_what_was_read_before_is_not_shared_after_what_is_newer(ports: Ports) -> None:
    """One instance stands still between reading and sharing, while a key and a setting are changed by another."""
    assert isinstance(ports.values, Awkward)
    await api.set_key(ports, CALLER, NewKey("shodan", "older"))
    change = ChangeSettings(service="collector", values={"items_at_once": 1})
    await api.change_settings(ports, CALLER, change)
    await ports.values.put_all(dict.fromkeys((KEYS + "shodan", PROJECTED, SETTINGS + "collector")))
    for project, do in (
        (project_keys, partial(api.set_key, ports, CALLER, NewKey("shodan", "newer"))),
        (project_settings, partial(api.change_settings, ports, CALLER, replace(change, values={"items_at_once": 2}))),
    ):
        ports.values.held, ports.values.reached = asyncio.Event(), asyncio.Event()
        slow = asyncio.create_task(project(ports))
        await asyncio.wait_for(ports.values.reached.wait(), 10)
        quick = asyncio.create_task(do())
        held, ports.values.held = ports.values.held, None
        await asyncio.wait({quick}, timeout=0.2)  # it has to wait; where it does not, it is done by now
        held.set()
        await asyncio.gather(slow, quick)
    assert await opened(ports) == {"shodan": "newer"}
    assert await shared(ports, SETTINGS) == {"collector": b'{"items_at_once":2}'}


async def test_a_key_that_was_sealed_under_another_master_key_is_shown_as_one_that_does_not_open(ports: Ports) -> None:
    await api.set_key(ports, CALLER, NewKey("shodan", SECRET))
    ports.seal = Seal(make_key())
    await api.set_key(ports, CALLER, NewKey("github", SECRET))
    listed = await api.list_keys(ports, CALLER, Nothing())
    assert {key.name: key.opens for key in listed} == {"github": True, "shodan": False}
    await api.set_key(ports, CALLER, NewKey("shodan", SECRET))
    assert all(key.opens for key in await api.list_keys(ports, CALLER, Nothing()))


def people() -> list[Caller]:
    """A person who is an operator, a script of his, and a service that asks for the machine's."""
    person = Caller(EVERYWHERE, "jo", permissions=frozenset({"keys.set", "settings.set"}), account=UUID(int=1))
    return [person, replace(person, kind="token"), CALLER.through("discovery")]


@pytest.mark.parametrize("caller", people(), ids=["person", "token", "service"])
async def test_how_people_log_in_is_set_by_the_operator_of_the_machine_alone(ports: Ports, caller: Caller) -> None:
    providers = {"providers": {"evil": {"issuer": "https://evil.example", "client_id": "x"}}}
    for values in (providers, {"origins": ["https://evil.example"]}, {"providers": None}):
        with pytest.raises(Denied, match="on the machine itself"):
            await api.change_settings(ports, caller, ChangeSettings(service="auth", values=values))
    with pytest.raises(Denied, match="on the machine itself"):
        await api.set_key(ports, caller, NewKey("oidc_acme", SECRET))
    await api.set_key(ports, CALLER, NewKey("oidc_acme", SECRET))
    with pytest.raises(Denied, match="on the machine itself"):
        await api.remove_key(ports, caller, KeyName("oidc_acme"))
    await api.change_settings(ports, CALLER, ChangeSettings(service="auth", values=providers))
    await api.change_settings(ports, caller, ChangeSettings(service="collector", values={"log": "debug"}))
    await api.set_key(ports, caller, NewKey("shodan", SECRET))
    await api.remove_key(ports, caller, KeyName("shodan"))


# --- settings ---


async def test_a_change_names_what_changes_and_null_goes_back_to_the_default(ports: Ports) -> None:
    async def change(**values: object) -> dict[str, object]:
        changed = await api.change_settings(ports, CALLER, ChangeSettings(service="collector", values=values))
        return changed.values

    assert await change(log="debug") == {"log": "debug", "resolvers": [], "items_at_once": 0}
    assert await change(resolvers=["192.0.2.1"]) == {"log": "debug", "resolvers": ["192.0.2.1"], "items_at_once": 0}
    assert await shared(ports, SETTINGS) == {"collector": b'{"log":"debug","resolvers":["192.0.2.1"]}'}
    assert await change(log=None) == {"log": "info", "resolvers": ["192.0.2.1"], "items_at_once": 0}
    assert await change(resolvers=None) == {"log": "info", "resolvers": [], "items_at_once": 0}


@pytest.mark.parametrize(
    ("service_name", "values", "says"),
    [
        ("collector", {"log": "loud"}, "log: invalid enum value 'loud'"),
        ("collector", {"resolvers": ["example.org"]}, "resolvers[0]: an address, with a port or without"),
        ("collector", {"resolver": []}, "there is no field resolver (there are log, resolvers, items_at_once)"),
        ("configuration", {"resolvers": []}, "there is no field resolvers (there are log)"),
        ("discovery", {"scale": {"collector": {"least": -1, "most": 2}}}, "least"),
        (
            "discovery",
            {"scale": {"collector": {"least": 3, "most": 2}}},
            "at least 3 and at most 2 instances",
        ),
        ("discovery", {"scale": {"collector": {"least": 1, "most": 900}}}, "collector has 1 to 8 instances"),
        ("discovery", {"scale": {"collector": {"least": 0, "most": 2}}}, "collector has 1 to 8 instances"),
        ("discovery", {"scale": {"colector": {"least": 1, "most": 2}}}, "'colector' is no service that is scaled"),
        ("discovery", {"scale": {"discovery": {"least": 1, "most": 2}}}, "'discovery' is no service that is scaled"),
        ("discovery", {"lingers": 0}, "lingers"),
        ("../x", {"log": "info"}, f"'../x' has no settings; {KNOWN} have"),
        ("scans", {"log": "info"}, f"'scans' has no settings; {KNOWN} have"),
    ],
)
async def test_a_bad_value_is_refused_with_the_reason_and_what_held_goes_on_to_hold(
    ports: Ports, service_name: str, values: dict[str, object], says: str
) -> None:
    await api.change_settings(ports, CALLER, ChangeSettings(service="collector", values={"log": "debug"}))
    with pytest.raises(Invalid) as refused:
        await api.change_settings(ports, CALLER, ChangeSettings(service=service_name, values=values))
    assert says in str(refused.value)
    assert (await api.get_settings(ports, CALLER, SettingsRef("collector"))).values["log"] == "debug"
    assert await shared(ports, SETTINGS) == {"collector": b'{"log":"debug"}'}


async def test_what_a_newer_version_was_told_stays_and_is_in_no_changes_way(ports: Ports) -> None:
    async def change(**values: object) -> None:
        await api.change_settings(ports, CALLER, ChangeSettings(service="collector", values=values))

    async with ports.sql.begin() as tx:
        await store.write_change(tx, store.Change("collector", 1, {"log": "debug", "speed": 3}, "jo", "", 1))
    await change(log="error")
    assert await shared(ports, SETTINGS) == {"collector": b'{"speed":3,"log":"error"}'}
    with pytest.raises(Invalid, match="there is no field speed"):
        await change(speed=4)
    await change(speed=None)
    assert await shared(ports, SETTINGS) == {"collector": b'{"log":"error"}'}


async def test_every_change_is_kept_with_who_made_it_and_why(ports: Ports) -> None:
    for number, level in enumerate(("debug", "info", "error")):
        change = ChangeSettings(service="configuration", values={"log": level}, reason=f"reason {number}")
        await api.change_settings(ports, CALLER, change)
    listed = await api.list_settings_changes(ports, CALLER, SettingsRef("configuration"))
    assert [(each.version, each.values["log"], each.by, each.reason) for each in listed] == [
        (3, "error", "jo", "reason 2"),
        (2, "info", "jo", "reason 1"),
        (1, "debug", "jo", "reason 0"),
    ]
    current = {each.service: each for each in await api.list_settings(ports, CALLER, Nothing())}
    assert current["configuration"] == listed[0]
    assert current["collector"].version == 0


async def test_a_change_that_was_made_from_what_holds_no_more_is_refused(ports: Ports) -> None:
    first = await api.change_settings(ports, CALLER, ChangeSettings(service="collector", values={"log": "debug"}))
    for version in (0, 2):
        late = ChangeSettings(service="collector", values={"log": "error"}, version=version)
        with pytest.raises(Conflict, match=f"collector is at version 1 of its settings, not {version}"):
            await api.change_settings(ports, CALLER, late)
    assert await api.get_settings(ports, CALLER, SettingsRef("collector")) == first
    in_time = ChangeSettings(service="collector", values={"log": "error"}, version=1)
    assert (await api.change_settings(ports, CALLER, in_time)).version == 2


@pytest.mark.parametrize("ask", [api.get_settings, api.list_settings_changes])
async def test_who_has_no_settings_is_asked_for_none(ports: Ports, ask: Callable[..., Any]) -> None:
    with pytest.raises(Invalid, match=f"'storage' has no settings; {KNOWN} have"):
        await ask(ports, CALLER, SettingsRef("storage"))


async def test_settings_of_who_has_none_any_more_are_neither_listed_nor_shared(ports: Ports) -> None:
    async with ports.sql.begin() as tx:
        await store.write_change(tx, store.Change("scans", 1, {"log": "debug"}, "jo", "", 1))
    await project_settings(ports)
    assert await shared(ports, SETTINGS) == {}
    assert [each.service for each in await api.list_settings(ports, CALLER, Nothing())] == list(FORMS)


def test_those_have_settings_that_take_them_over() -> None:
    assert {service.name: service.live for service in load_services() if service.live} == FORMS


def test_the_defaults_of_all_settings_are_sound() -> None:
    for form in FORMS.values():
        assert msgspec.convert(msgspec.to_builtins(form()), form) == form()
