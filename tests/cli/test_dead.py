"""Dead letters are counted, listed, shown, tried again and dropped; by the operator of the data folder alone."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.commands.up import http_server
from services.cli.hull import Hull
from services.kernel.letters import DOORS
from services.kernel.messages import Envelope, workspace_id
from services.kernel.settings import Settings

ROOT = Path(__file__).parents[2]
KIND = "mirage.evt.scans.finished.v1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three letters that no consumer can read."""

    async def bury() -> None:
        async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
            assert hull.runtime is not None
            broken = [
                Envelope(id=UUID(int=n), type=KIND, source="t", workspace=workspace_id("any"), time=n, data=b'{"n":1}')
                for n in (1, 2, 3)
            ]
            await hull.runtime.bus.publish(broken)

    asyncio.run(bury())
    asyncio.run(wait_dead(tmp_path))
    return tmp_path


async def wait_dead(data: Path) -> None:
    """Work until all three are given up."""
    async with Hull(Settings(data=str(data)), works=False) as hull, asyncio.timeout(20):
        assert hull.runtime is not None
        while len(await hull.runtime.bus.dead()) < 3:
            await asyncio.sleep(0.02)


def mirage(data: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "services", *words, "--data", str(data)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def listed(data: Path) -> list[dict[str, object]]:
    letters: list[dict[str, object]] = json.loads(mirage(data, "dead", "list", "--format", "json")[1])["letters"]
    return letters


def test_dead_letters_are_counted_shown_and_dropped(data: Path) -> None:
    code, said, _ = mirage(data, "doctor", "--format", "json")
    (check,) = [each for each in json.loads(said) if each["check"] == "dead letters"]
    assert (code, check["ok"]) == (1, False)
    assert check["says"].startswith("3 that could not be taken in; see: ./mirage dead list")
    letters = listed(data)
    assert {(letter["consumer"], letter["type"]) for letter in letters} == {("registry__finished", KIND)}
    first = str(letters[0]["id"])
    assert '{"n":1}' in mirage(data, "dead", "show", first[:8])[1]
    assert mirage(data, "dead", "drop", first[:8])[:2] == (0, "1 dead letter dropped.\n")
    assert first not in {letter["id"] for letter in listed(data)}
    assert mirage(data, "dead", "drop", "--all")[1] == "2 dead letters dropped.\n"
    assert mirage(data, "dead", "list")[1] == "No dead letters.\n"
    assert json.loads(mirage(data, "doctor", "--format", "json")[1])[-1]["says"] == "none"


def test_a_letter_that_is_tried_again_and_fails_is_back(data: Path) -> None:
    before = listed(data)
    assert mirage(data, "dead", "retry", "--all")[1] == "3 dead letters delivered once more.\n"
    assert listed(data) == []
    asyncio.run(wait_dead(data))
    assert {letter["id"] for letter in listed(data)} == {letter["id"] for letter in before}


@pytest.mark.parametrize("words", [("drop",), ("retry", "--all", "ab"), ("show", "xyz"), ("drop", "../..")])
def test_letters_that_are_not_named_are_refused(data: Path, words: tuple[str, ...]) -> None:
    code, _, said = mirage(data, "dead", *words)
    assert code == 2
    assert said.startswith("mirage: ")


async def test_dead_letters_of_all_workspaces_are_nobody_s_over_http(tmp_path: Path) -> None:
    async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
        assert hull.runtime is not None
        server = http_server(hull.runtime, "127.0.0.1:80", "default")
        paths = {route.path for route in server.config.app.routes}  # type: ignore[union-attr]
        assert "/api/v1/scans" in paths
        assert not paths & {f"/api{endpoint.path}" for endpoint in DOORS}
