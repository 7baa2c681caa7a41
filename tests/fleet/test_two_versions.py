"""Collectors of two versions beside each other: each runs what it has, and a scan claims what it does with one."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tests.fleet.conftest import Undisturbed
from tests.fleet.running import PATIENCE, SCANNING, Fleet, eventually
from tests.proof.processes import ROOT, Lab, environment

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]

#: How a module says its version, and who says a claim.
_VERSION = re.compile(r"(?m)^    version=(\d+),$")
_BY = re.compile(r" (\w+)@(\d+)$")


@pytest.fixture
def newer(tmp_path: Path) -> tuple[Path, set[str]]:
    """A version of Mirage in which every second module is newer, and the names of these."""
    folder, changed = tmp_path / "next", set()
    shutil.copytree(ROOT / "services", folder / "services", ignore=shutil.ignore_patterns("__pycache__"))
    for file in sorted((folder / "services/collector/modules").glob("*.py"))[::2]:
        text, count = _VERSION.subn(lambda found: f"    version={int(found[1]) + 1},", file.read_text("utf-8"))
        if count == 1:
            file.write_text(text, "utf-8")
            changed.add(file.stem)
    assert len(changed) > 10
    return folder, changed


async def test_a_scan_by_collectors_of_two_versions_claims_each_fact_once_as_it_does_by_those_of_one(
    fleet: Fleet, lab: Lab, how: tuple[str, ...], undisturbed: Undisturbed, newer: tuple[Path, set[str]]
) -> None:
    folder, changed = newer
    before = {name: version for name, version in await versions(fleet) if name in changed}
    with another_collector(fleet, folder, folder.parent / "said"):
        await eventually(lambda: there_are(fleet, 2))
        # What it announced comes by the bus: a scan that is planned before that is left to those of the older version.
        await eventually(lambda: are_known(fleet, {name: version + 1 for name, version in before.items()}))
        await asyncio.to_thread(fleet.ask, "scan", lab.target, "--quiet", *how, seconds=SCANNING)
        assert (await asyncio.to_thread(fleet.last))["state"] == "finished"
        claims = await asyncio.to_thread(fleet.canonical)
        expected = sorted(
            _BY.sub(lambda by: f" {by[1]}@{int(by[2]) + (by[1] in changed)}", claim) for claim in undisturbed.claims
        )
        lacking, added = set(expected) - set(claims), set(claims) - set(expected)
        assert not lacking | added, "\n".join([*(f"- {each}" for each in lacking), *(f"+ {each}" for each in added)])
        assert sorted(claims) == expected
        ran = await run_by(fleet)
    assert ran.keys() & changed, "nothing was left to the newer one"
    assert ran.keys() - changed, "nothing was left to both"
    assert {name: versions for name, versions in ran.items() if name in changed} == {
        name: {before[name] + 1} for name in ran.keys() & changed
    }
    await eventually(fleet.well)


@contextmanager
def another_collector(fleet: Fleet, folder: Path, said: Path) -> Iterator[None]:
    """One more, of the code in ``folder``, which ends in order."""
    settings = {f"MIRAGE_{name.upper()}": value for name, value in fleet.settings("collector").items()}
    known = environment(**fleet.lab.environment, **settings, MIRAGE_RESOLVERS=fleet.lab.resolver)
    command = [sys.executable, "-P", "-m", "services", "serve", "collector"]
    with said.open("wb") as log:
        process = subprocess.Popen(
            command, env={**known, "PYTHONPATH": str(folder), "MIRAGE_LISTEN": "127.0.0.1:0"}, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
        assert process.poll() is None, said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, said.read_text()


async def there_are(fleet: Fleet, count: int) -> bool:
    standing = await asyncio.to_thread(fleet.standing)
    (collector,) = (each for each in standing["fleet"]["services"] if each["name"] == "collector")
    return sum(each["condition"] == "well" for each in collector["instances"]) == count


async def are_known(fleet: Fleet, expected: dict[str, int]) -> bool:
    return expected.items() <= dict(await versions(fleet)).items()


async def versions(fleet: Fleet) -> list[tuple[str, int]]:
    """The modules that the registry has, with their versions."""
    shown = json.loads(await asyncio.to_thread(fleet.ask, "modules", "list", "--format", "json"))
    return [(each["declared"]["id"], each["declared"]["version"]) for each in shown]


async def run_by(fleet: Fleet) -> dict[str, set[int]]:
    """The versions of each module that ran items of the last scan."""
    scan = UUID((await asyncio.to_thread(fleet.last))["id"]).bytes
    connection = await asyncpg.connect(fleet.setting("collector", "sql"))
    try:
        rows = await connection.fetch("SELECT DISTINCT module, version FROM work WHERE scan = $1", scan)
    finally:
        await connection.close()
    found: dict[str, set[int]] = {}
    for module, version in rows:
        found.setdefault(module, set()).add(version)
    return found
