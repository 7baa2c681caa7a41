"""What a command finds of what it is told: whether anybody runs a scan, and whose an address is."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.finding import find_person, is_interrupted
from services.cli.hull import Hull
from services.contracts.endpoints import CREATE_SCAN, GET_SCAN, PAUSE_SCAN
from services.contracts.resources import NewScan, OperatorView, Scan, ScanId, ScanRef
from services.kernel.calls import operator
from services.kernel.errors import NotFound
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings
from tests.cli.conftest import Mirage

CALLER = operator(workspace_id("default"))


async def running_scan(hull: Hull) -> Scan:
    """A scan that is to run, as one whose process died leaves it."""
    scan = await hull.calls.ask(CREATE_SCAN, NewScan(targets=("example.org",), modules=("crtsh",)), CALLER)
    async with asyncio.timeout(10):
        while scan.state != "running":
            scan = await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), CALLER)
    return scan


@pytest.mark.parametrize("words", ["scans list", "scans show last", "why-not example.org"])
async def test_a_scan_is_interrupted_while_the_owner_of_the_folder_only_looks(
    mirage: Mirage, tmp_path: Path, words: str
) -> None:
    folder = tmp_path / "data"

    async def said(*more: str) -> str:
        """What a command prints that has an event loop of its own, as in another process."""
        code, printed, _ = await asyncio.to_thread(mirage, *words.split(), *more, "--data", str(folder))
        assert code == 0
        return printed

    async with Hull(Settings(data=str(folder)), works=False) as looking:
        await running_scan(looking)
        assert looking.runtime is not None
        printed = await said()
        assert "interrupted" in printed
        assert "running" not in printed
        if words.startswith("scans"):
            document = json.loads(await said("--format", "json"))
            shown = document[0] if isinstance(document, list) else document
            assert (shown["state"], shown["interrupted"]) == ("running", True)


async def test_a_scan_is_not_interrupted_while_somebody_works_or_when_it_is_not_to_run(tmp_path: Path) -> None:
    async with Hull(Settings(data=str(tmp_path / "data")), works=False) as looking:
        scan = await running_scan(looking)
        assert is_interrupted(scan, worked=False)
        assert not is_interrupted(scan, worked=True)
        assert not is_interrupted(await looking.calls.ask(PAUSE_SCAN, ScanId(scan.id), CALLER), worked=False)


def test_somebody_is_found_by_his_whole_address_however_it_is_written() -> None:
    jo = OperatorView(account=UUID(int=1), email="jo@example.org", name="Jo", since=1)
    assert find_person(" Jo@Example.ORG ", [jo], "is no operator") is jo
    for email in ("jo", "jo@example.or", "mo@example.org"):
        with pytest.raises(NotFound, match=f"{email} is no operator"):
            find_person(email, [jo], "is no operator")
