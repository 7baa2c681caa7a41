"""What a command finds out of a scan before it shows it: whether anybody runs it."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from services.cli.finding import is_interrupted
from services.cli.hull import Hull
from services.contracts.endpoints import CREATE_SCAN, GET_SCAN, PAUSE_SCAN
from services.contracts.resources import NewScan, Scan, ScanId, ScanRef
from services.kernel.calls import Caller
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings

ROOT = Path(__file__).parents[2]
CALLER = Caller(workspace=workspace_id("default"))


async def said(folder: Path, *words: str) -> str:
    """What a command in another process prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", *words, "--data", str(folder), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def running_scan(hull: Hull) -> Scan:
    """A scan that is to run, as one whose process died leaves it."""
    scan = await hull.calls.ask(CREATE_SCAN, NewScan(targets=("example.org",), modules=("crtsh",)), CALLER)
    async with asyncio.timeout(10):
        while scan.state != "running":
            scan = await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), CALLER)
    return scan


@pytest.mark.parametrize("words", ["scans list", "scans show last", "why-not example.org"])
async def test_a_scan_is_interrupted_while_the_owner_of_the_folder_only_looks(tmp_path: Path, words: str) -> None:
    folder = tmp_path / "data"
    async with Hull(Settings(data=str(folder)), works=False) as looking:
        await running_scan(looking)
        assert looking.runtime is not None
        printed = await said(folder, *words.split())
        assert "interrupted" in printed
        assert "running" not in printed
        if words.startswith("scans"):
            document = json.loads(await said(folder, *words.split(), "--format", "json"))
            shown = document[0] if isinstance(document, list) else document
            assert (shown["state"], shown["interrupted"]) == ("running", True)


async def test_a_scan_is_not_interrupted_while_somebody_works_or_when_it_is_not_to_run(tmp_path: Path) -> None:
    async with Hull(Settings(data=str(tmp_path / "data")), works=False) as looking:
        scan = await running_scan(looking)
        assert is_interrupted(scan, worked=False)
        assert not is_interrupted(scan, worked=True)
        assert not is_interrupted(await looking.calls.ask(PAUSE_SCAN, ScanId(scan.id), CALLER), worked=False)
