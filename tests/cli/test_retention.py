"""`mirage retention` says what it would delete, deletes that and nothing else."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.cli.hull import Hull
from services.contracts.endpoints import CREATE_SCAN, LIST_SCANS, STOP_SCAN
from services.contracts.resources import NewScan, ScanId
from services.kernel.calls import Caller, Nothing
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings

ROOT = Path(__file__).parents[2]


def retention(data: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "services", "retention", "--data", str(data), "--format", "json", *options],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_old_scans_are_deleted_in_their_workspace_and_a_dry_run_says_which(tmp_path: Path) -> None:
    async def prepare() -> tuple[str, str]:
        async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
            ids = []
            for workspace in ("default", "default", "other"):
                caller = Caller(workspace=workspace_id(workspace))
                new = NewScan(targets=("example.org",), modules=("crtsh",))
                ids.append((await hull.calls.ask(CREATE_SCAN, new, caller)).id)
                if len(ids) != 2:
                    await hull.calls.ask(STOP_SCAN, ScanId(ids[-1]), caller)
        return str(ids[0]), str(ids[1])

    async def left() -> list[int]:
        async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
            callers = [Caller(workspace=workspace_id(workspace)) for workspace in ("default", "other")]
            return [len(await hull.calls.ask(LIST_SCANS, Nothing(), caller)) for caller in callers]

    stopped, _ = asyncio.run(prepare())
    assert retention(tmp_path)["scans"] == []
    would = retention(tmp_path, "--keep", "0", "--dry-run")
    assert ([scan["id"] for scan in would["scans"]], would["dry_run"]) == ([stopped], True)
    assert asyncio.run(left()) == [2, 1]
    assert [scan["id"] for scan in retention(tmp_path, "--keep", "0")["scans"]] == [stopped]
    assert asyncio.run(left()) == [1, 1]
