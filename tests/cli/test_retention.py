"""`mirage retention` says what it would delete, deletes that and nothing else."""

import asyncio
import json
from pathlib import Path
from typing import Any

from services.cli.hull import Hull
from services.contracts.endpoints import CREATE_SCAN, LIST_SCANS, STOP_SCAN
from services.contracts.resources import NewScan, ScanId
from services.kernel.calls import Nothing, operator
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings
from tests.cli.conftest import Mirage


def retention(mirage: Mirage, data: Path, *options: str) -> dict[str, Any]:
    code, said, _ = mirage("retention", "--data", str(data), "--format", "json", *options)
    assert code == 0
    found: dict[str, Any] = json.loads(said)
    return found


def test_old_scans_are_deleted_in_their_workspace_and_a_dry_run_says_which(mirage: Mirage, tmp_path: Path) -> None:
    async def prepare() -> tuple[str, str]:
        async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
            ids = []
            for workspace in ("default", "default", "other"):
                caller = operator(workspace_id(workspace))
                new = NewScan(targets=("example.org",), modules=("crtsh",))
                ids.append((await hull.calls.ask(CREATE_SCAN, new, caller)).id)
                if len(ids) != 2:
                    await hull.calls.ask(STOP_SCAN, ScanId(ids[-1]), caller)
        return str(ids[0]), str(ids[1])

    async def left() -> list[int]:
        async with Hull(Settings(data=str(tmp_path)), works=False) as hull:
            callers = [operator(workspace_id(workspace)) for workspace in ("default", "other")]
            return [len(await hull.calls.ask(LIST_SCANS, Nothing(), caller)) for caller in callers]

    stopped, _ = asyncio.run(prepare())
    assert retention(mirage, tmp_path)["scans"] == []
    would = retention(mirage, tmp_path, "--keep", "0", "--dry-run")
    assert ([scan["id"] for scan in would["scans"]], would["dry_run"]) == ([stopped], True)
    assert asyncio.run(left()) == [2, 1]
    assert [scan["id"] for scan in retention(mirage, tmp_path, "--keep", "0")["scans"]] == [stopped]
    assert asyncio.run(left()) == [1, 1]
