"""Dead letters are counted, listed, shown, tried again and dropped; by the operator of the data folder alone."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.commands.up import application
from services.cli.hull import Hull
from services.gateway.usecases.identities import Identities
from services.kernel import inbox
from services.kernel.folder import is_data
from services.kernel.inbox import Inbox
from services.kernel.letters import DOORS
from services.kernel.messages import Envelope, workspace_id
from services.kernel.settings import Settings
from tests.cli.conftest import Mirage

KIND = "mirage.evt.collector.superseded.v1"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three letters that no consumer can read."""
    folder = tmp_path_factory.mktemp("filled") / "data"

    async def bury() -> None:
        async with Hull(Settings(data=str(folder)), works=False) as hull:
            assert hull.runtime is not None
            broken = [
                Envelope(id=UUID(int=n), type=KIND, source="t", workspace=workspace_id("any"), time=n, data=b'{"n":1}')
                for n in (1, 2, 3)
            ]
            await hull.runtime.bus.publish(broken)
            await all_are_given_up(hull)

    asyncio.run(bury())
    return folder


@pytest.fixture
def data(tmp_path: Path, filled: Path) -> Path:
    """A copy of that folder."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    for place in filled.rglob("*"):
        if is_data(name := place.relative_to(filled).as_posix()):
            (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(place, folder / name)
    return folder


async def all_are_given_up(hull: Hull) -> None:
    """Work until all three are."""
    assert hull.runtime is not None
    async with asyncio.timeout(20):
        while len(await hull.runtime.bus.dead()) < 3:
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module", autouse=True)
def tries_follow_soon() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "RETRY_AFTER", 0.001)
        yield


def listed(mirage: Mirage, data: Path) -> list[dict[str, object]]:
    code, said, _ = mirage("dead", "list", "--format", "json", "--data", str(data))
    assert code == 0
    letters: list[dict[str, object]] = json.loads(said)["letters"]
    return letters


def test_dead_letters_are_counted_shown_and_dropped(mirage: Mirage, data: Path) -> None:
    at = ("--data", str(data))
    code, said, _ = mirage("doctor", "--format", "json", *at)
    (check,) = [each for each in json.loads(said) if each["check"] == "dead letters"]
    assert (code, check["ok"]) == (1, False)
    assert check["says"].startswith("3 that could not be taken in; see: ./mirage dead list")
    letters = listed(mirage, data)
    assert {(letter["consumer"], letter["type"]) for letter in letters} == {("scans__superseded", KIND)}
    first = str(letters[0]["id"])
    assert '{"n":1}' in mirage("dead", "show", first[:8], *at)[1]
    assert mirage("dead", "drop", first[:8], *at)[:2] == (0, "1 dead letter dropped.\n")
    assert first not in {letter["id"] for letter in listed(mirage, data)}
    assert mirage("dead", "drop", "--all", *at)[1] == "2 dead letters dropped.\n"
    assert mirage("dead", "list", *at)[1:] == ("", "No dead letters.\n")
    assert json.loads(mirage("doctor", "--format", "json", *at)[1])[-1]["says"] == "none"


def test_a_letter_that_is_tried_again_and_fails_is_back(
    mirage: Mirage, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rest(_: Inbox) -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        async with Hull(Settings(data=str(data)), works=False) as hull:
            await all_are_given_up(hull)

    before = listed(mirage, data)
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "run", rest)  # or they may be back before anybody looks
        assert mirage("dead", "retry", "--all", "--data", str(data))[1] == "3 dead letters delivered once more.\n"
        assert listed(mirage, data) == []
    asyncio.run(work())
    assert {letter["id"] for letter in listed(mirage, data)} == {letter["id"] for letter in before}


@pytest.mark.parametrize("words", [("drop",), ("retry", "--all", "ab"), ("show", "xyz"), ("drop", "../..")])
def test_letters_that_are_not_named_are_refused(mirage: Mirage, data: Path, words: tuple[str, ...]) -> None:
    code, _, said = mirage("dead", *words, "--data", str(data))
    assert code == 2
    assert said.startswith("mirage: ")


async def test_dead_letters_of_all_workspaces_are_nobody_s_over_http(tmp_path: Path) -> None:
    async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
        assert hull.runtime is not None
        app = application(hull.runtime, "127.0.0.1:80", Identities(hull.runtime.calls))
        paths = {route.path for route in app.routes}
        assert "/api/v1/scans" in paths
        assert not paths & {f"/api{endpoint.path}" for endpoint in DOORS}
