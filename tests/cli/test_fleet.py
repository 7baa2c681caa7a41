"""The commands of a fleet: what they refuse, and how they show what they have seen."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from services.catalogue import load_service
from services.cli.fleet.deployment import Deployment
from services.cli.fleet.secrets import keep_secrets
from services.cli.fleet.standing import Standing, Store, write
from services.contracts.endpoints import OFFER_FIRST_ACCOUNT
from services.contracts.resources import FirstCode
from services.contracts.resources.discovery import ConsumerView, FleetView, InstanceView, ServiceView
from services.kernel import runtime
from services.kernel.calls import Caller, LocalCalls, Nothing
from services.kernel.settings import Settings
from tests.cli.conftest import Mirage
from tests.cli.fields import documented

WELL = InstanceView(id="scans-1", address="127.0.0.1:1", host="here", version="1", condition="well", without=())
POOR = InstanceView(
    id="scans-2", address="127.0.0.1:2", host="here", version="1", condition="degraded", without=("search: it is away",)
)
SCANS = ServiceView(
    name="scans", wanted=2, running=2, instances=(WELL, POOR), deployment="successful", problems=(),
    consumers=(ConsumerView(name="scans__take", waiting=40, in_flight=2),),
)  # fmt: skip
NATS = Store(name="nats", running=True, node="mirage", problems=())
AGENTS = {"consul": True, "nomad-server": True}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")


def standing(**changes: object) -> Standing:
    known = {"agents": AGENTS, "stores": (NATS,), "fleet": FleetView(services=(SCANS,))}
    return Standing(**{**known, **changes})


def with_service(**changes: object) -> FleetView:
    return FleetView(services=(structs.replace(SCANS, **changes),))


@pytest.mark.parametrize(
    ("unwell", "problem"),
    [
        (standing(agents={**AGENTS, "nomad-server": False}), "nomad-server does not run"),
        (standing(stores=(structs.replace(NATS, running=False),)), "nats: it does not run"),
        (standing(stores=(structs.replace(NATS, problems=("it ended",)),)), "nats: it ended"),
        (standing(fleet=with_service(wanted=3)), "scans: search: it is away"),
        (standing(fleet=with_service(wanted=0)), "scans: search: it is away"),
        (standing(fleet=with_service(problems=("a node is full",))), "scans: a node is full, search: it is away"),
        (standing(fleet=with_service(instances=())), "scans: it has not 2 instances that are well"),
    ],
)
def test_a_fleet_is_well_when_each_part_of_it_is(unwell: Standing, problem: str) -> None:
    assert standing().well
    assert not unwell.well
    assert [*unwell.problems()] == [problem]


def test_how_a_fleet_is_is_shown_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    write(standing(), "table")
    out = capsys.readouterr().out
    assert "Agents: all run" in out
    (first, second) = (line for line in out.splitlines() if "127.0.0.1" in line)
    assert [word in first for word in ("scans", "2 of 2", "127.0.0.1:1", "here", "well", "42")] == [True] * 6
    assert ("degraded" in second, "search: it is away" in second, "scans" in second) == (True, True, False)
    unwell = standing(
        agents={**AGENTS, "consul": False},
        stores=(Store(name="nats", running=False, node="", problems=("it ended",)),),
        fleet=with_service(instances=(), deployment="failed", problems=("no node",)),
    )
    write(unwell, "table")
    out = capsys.readouterr().out
    for said in ("Agents: consul do not run", "down", "it ended", "none is known", "no node; deployment failed"):
        assert said in out


def test_how_a_fleet_is_is_told_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    write(standing(), "json")
    told = json.loads(capsys.readouterr().out)
    assert told["agents"] == AGENTS
    assert told["fleet"]["services"][0]["consumers"] == [{"name": "scans__take", "waiting": 40, "in_flight": 2}]
    assert set(fields_of({**told, "agents": True})) == documented()["fleet status"]


def fields_of(document: object, path: str = "") -> Iterator[str]:
    """Where its values are; a list is what its first member is."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from fields_of(value, f"{path}.{name}" if path else name)
    elif isinstance(document, list) and document and isinstance(document[0], dict):
        yield from fields_of(document[0], path)
    else:
        yield path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "nobody"), "there is no service nobody; there are scans, "),
        (("migrate", "scans", "nobody"), "there is no service nobody; there are scans, "),
        (("migrate", "scans"), "there is no database server of scans to bring forward (MIRAGE_SQL)"),
        (("fleet", "scale", "scans", "many"), "many"),
        (("serve", "scans", "--listen", "nowhere"), "nowhere is not ADDRESS:PORT"),
        (("serve", "scans", "--listen", "127.0.0.1:0"), "knows no keys of others (MIRAGE_PEERS)"),
        (("fleet", "up", "--listen", "nowhere"), "nowhere is not ADDRESS:PORT"),
        (("fleet", "scale", "scans", "2"), "there is no fleet in "),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    mirage: Mirage,
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
) -> None:
    data = ("--data", str(tmp_path / "fleet")) if words[0] == "fleet" else ()
    code, out, err = mirage(*words, *data)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("words", ["scale nobody 2", "restart nobody", "logs nobody"])
def test_a_service_that_there_is_not_is_no_part_of_a_fleet(mirage: Mirage, tmp_path: Path, words: str) -> None:
    keep_secrets(tmp_path, ["scans"])
    code, out, err = mirage("fleet", *words.split(), "--data", str(tmp_path))
    assert (code, out) == (2, "")
    assert "there is no service nobody; there are scans, " in err


def test_a_port_that_is_taken_is_said_before_anything_is_begun(mirage: Mirage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = mirage("serve", "scans", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert code == 2
    assert "is taken" in err


def test_the_databases_of_all_that_are_named_are_brought_forward(
    mirage: Mirage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brought: list[tuple[str, str]] = []

    async def note(service: object, settings: Settings) -> None:
        brought.append((service.name, settings.sql))

    monkeypatch.setenv("MIRAGE_SQL", "postgresql://127.0.0.1:1/any")
    monkeypatch.setattr(runtime, "migrate", note)
    assert mirage("migrate", "scans", "storage") == (0, "", "")
    assert brought == [(name, "postgresql://127.0.0.1:1/any") for name in ("scans", "storage")]


@pytest.mark.parametrize("words", [("status",), ("down",), ("restart", "scans"), ("scale", "scans", "2")])
def test_where_no_fleet_is_none_is_looked_for_or_made(mirage: Mirage, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, out, err = mirage("fleet", *words, "--data", str(tmp_path / "fleet"))
    assert (code, out) == (2, "")
    assert "there is no fleet in" in err
    assert not (tmp_path / "fleet").exists()


def test_what_of_a_fleet_does_not_run_is_said_by_its_status(
    mirage: Mirage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from services.cli.fleet import deployment
    from services.cli.fleet.ports import Ports

    made = deployment.Deployment
    free = Ports.free()
    monkeypatch.setattr(deployment, "Deployment", lambda folder, **given: made(folder, **{**given, "ports": free}))
    monkeypatch.setattr(deployment, "load_services", lambda: [load_service("scans")])
    keep_secrets(tmp_path / "fleet", [])
    code, out, _ = mirage("fleet", "status", "--data", str(tmp_path / "fleet"))
    assert code == 1
    assert "do not run" in out


@asynccontextmanager
async def offering(_: Deployment) -> AsyncIterator[LocalCalls]:
    """A fleet in which nobody has an account yet."""

    async def offer(_: object, caller: Caller, question: Nothing) -> FirstCode:
        assert caller.kind == "operator"
        return FirstCode(code="mirage_one_x")

    calls = LocalCalls()
    calls.serve(None, {OFFER_FIRST_ACCOUNT: offer})
    yield calls


def test_free_ports_are_the_gateways_too(mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Deployment] = []

    async def up(self: Deployment, _: object) -> None:
        keep_secrets(self.folder, [])
        begun.append(self)

    monkeypatch.setattr(Deployment, "up", up)
    monkeypatch.setattr(Deployment, "calls", offering)
    code, _, err = mirage("fleet", "up", "--free-ports", "--data", str(tmp_path / "fleet"))
    assert code == 0
    (fleet,) = begun
    port = int(fleet.public.rpartition(":")[2])
    assert fleet.public not in {Settings().public, ""}
    assert port not in structs.astuple(fleet.agents.ports)
    assert f"./mirage login --first --server http://localhost:{port}\nIts code: mirage_one_x" in err
    given = mirage("fleet", "up", "--free-ports", "--listen", "10.0.0.5:81", "--data", str(tmp_path / "other"))
    assert "Mirage is up: http://10.0.0.5:81/api/docs" in given[2]


def test_what_the_system_refuses_is_a_sentence(mirage: Mirage, tmp_path: Path) -> None:
    keep_secrets(tmp_path / "fleet", [])
    (tmp_path / "fleet/lock").mkdir()
    code, out, err = mirage("fleet", "down", "--data", str(tmp_path / "fleet"))
    assert (code, out) == (1, "")
    assert err == f"mirage: {tmp_path}/fleet/lock: Is a directory\n"


def test_what_services_are_told_is_read_from_the_options(
    mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, str | None]] = []

    async def up(self: Deployment, _: object) -> None:
        keep_secrets(self.folder, [])
        begun.append(dict(self._changes))

    monkeypatch.setattr(Deployment, "up", up)
    monkeypatch.setattr(Deployment, "calls", offering)
    sets = ("--set", "proxy", "--set", "log=debug", "--set", "user_agent=a=b", "--set", "no_proxy=")
    assert mirage("fleet", "up", *sets, "--data", str(tmp_path / "fleet"))[0] == 0
    assert begun == [{"proxy": None, "log": "debug", "user_agent": "a=b", "no_proxy": ""}]
