"""A version that does not get ready is taken back by itself, though its migration has been done; scans go on."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from services.cli.rendering.jobs import job_name
from services.kernel.scheduler.nomad import Nomad
from services.kernel.service import Service
from tests.fleet.conftest import Undisturbed
from tests.fleet.running import SCANNING, Fleet, eventually, instances
from tests.proof.processes import ROOT, Lab, ended, excluding

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

MIGRATIONS = "services/scans/migrations"
#: What the new version adds to the schema, and its number.
STEP = 1 + max(int(file.name[:4]) for file in (ROOT / MIGRATIONS).glob("*.sql"))
MIGRATION = "ALTER TABLE item ADD COLUMN colour TEXT NOT NULL DEFAULT 'none';\n"
#: Where the new version has its fault: it says that it waits for something, for ever.
SOUND = '        """See `Runtime.ready`; raises what is missing."""\n'
BROKEN = SOUND + '        raise Unavailable("this version waits for something that never comes")\n'
#: Seconds that it is given to get ready; the job itself gives minutes.
DEADLINE = 25
SLOWLY = 4.0


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The next version of Mirage, whose jobs give it less patience."""
    folder = tmp_path / "next"
    for name in ("services", "templates", "jobs", "consul", "tests/servers/java"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mirage", "requirements.lock", "requirements-fleet.lock"):
        shutil.copy2(ROOT / name, folder / name)
    for job in (folder / "jobs").glob("*.hcl"):
        text = re.sub(r'(healthy_deadline +=) "2m"', rf'\1 "{DEADLINE}s"', job.read_text("utf-8"))
        job.write_text(re.sub(r'(progress_deadline +=) "5m"', rf'\1 "{DEADLINE + 20}s"', text), "utf-8")
    (folder / MIGRATIONS / f"{STEP:04}_colour.sql").write_text(MIGRATION)
    process = folder / "services/kernel/process.py"
    text = process.read_text("utf-8")
    assert text.count(SOUND) == 1
    process.write_text(text.replace(SOUND, BROKEN))
    return folder


async def test_a_broken_version_with_a_migration_is_taken_back_and_a_scan_goes_on(
    fleet: Fleet, lab: Lab, how: tuple[str, ...], undisturbed: Undisturbed, code: Path
) -> None:
    nomad = fleet.nomad()
    (scans,) = (service for service in fleet.deployment.services if service.name == "scans")
    try:
        async with fleet.unscaled():
            before = set(await instances(nomad, "scans"))
            for host in lab.truth()["names"]:
                lab.fault(host["name"], "slow", seconds=SLOWLY)
            with ended(fleet.start("scan", lab.target, "--quiet", *how)) as process:
                await eventually(lambda: is_running(fleet))
                await bring_out(nomad, fleet, scans, code)
                await eventually(lambda: says_what_it_waits_for(fleet))
                assert process.poll() is None, "the scan ended too soon for this"
                await eventually(lambda: is_taken_back(nomad), seconds=300)
                assert set(await instances(nomad, "scans")) == before, "the version that works was not left alone"
                lab.heal()
                assert await asyncio.to_thread(process.wait, SCANNING) == 0, fleet.said("scan").read_text()
        assert fleet.last()["state"] == "finished"
        assert fleet.canonical() == undisturbed.claims
        assert await schema(fleet) >= {STEP}
        await begins_on_the_newer_schema(nomad, fleet, lab)
    finally:
        lab.heal()
        await nomad.close()


async def test_a_broken_version_is_no_success_of_fleet_up_and_what_ends_then_begins_as_before(
    fleet: Fleet, code: Path
) -> None:
    nomad = fleet.nomad()
    names = [service.name for service in fleet.deployment.services]
    try:
        async with fleet.unscaled():
            before = {name: set(await instances(nomad, name)) for name in names}
            runs = await revisions(fleet)
            said = await asyncio.to_thread(fleet.up, code=code, status=1)
            assert [name for name in names if f"{name} was taken back" not in said] == []
            await eventually(fleet.well)
            assert {name: set(await instances(nomad, name)) for name in names} == before
            (scans,) = before["scans"]
            os.kill(killed := fleet.process_of(scans), signal.SIGKILL)

            async def begun() -> bool:
                return fleet.process_of(scans) != killed and await fleet.well()

            await eventually(begun)
            assert await revisions(fleet) == runs
            await asyncio.to_thread(fleet.up)
            assert {name: set(await instances(nomad, name)) for name in names} == before
    finally:
        await nomad.close()


async def revisions(fleet: Fleet) -> set[str]:
    """What the instances say that they are."""
    standing = await asyncio.to_thread(fleet.standing)
    return {each["version"] for service in standing["fleet"]["services"] for each in service["instances"]}


async def is_running(fleet: Fleet) -> bool:
    last = await asyncio.to_thread(fleet.last)
    return last["state"] == "running" and last["items"]["done"] > 0


async def bring_out(nomad: Nomad, fleet: Fleet, service: Service, code: Path) -> None:
    """Register the job as `fleet up` does."""
    text = (code / f"jobs/{service.name}.nomad.hcl").read_text("utf-8")
    environment = {**lab_environment(fleet), "MIRAGE_VENV": sys.prefix}
    given = {"mirage": str(code / "mirage"), "environment": environment, "revision": "next"}
    await nomad.register(await nomad.parse(text, given), keep_counts=True)


def lab_environment(fleet: Fleet) -> dict[str, str]:
    return {**fleet.lab.environment, "MIRAGE_RESOLVERS": fleet.lab.resolver}


async def says_what_it_waits_for(fleet: Fleet) -> bool:
    standing = await asyncio.to_thread(fleet.standing)
    (scans,) = (each for each in standing["fleet"]["services"] if each["name"] == "scans")
    said = [text for instance in scans["instances"] for text in instance["without"]]
    return any("never comes" in text for text in said)


async def is_taken_back(nomad: Nomad) -> bool:
    """Whether the version before the last runs again, as a version of its own."""
    status = await nomad.status(job_name("scans"))
    running = [each for each in status.allocations if each.runs]
    return status.settled and all(each.version == status.version for each in running)


async def schema(fleet: Fleet) -> set[int]:
    connection = await asyncpg.connect(fleet.setting("scans", "sql"))
    try:
        return {row["version"] for row in await connection.fetch("SELECT version FROM schema_version")}
    finally:
        await connection.close()


async def begins_on_the_newer_schema(nomad: Nomad, fleet: Fleet, lab: Lab) -> None:
    """All that it does works there, from its start on."""
    await asyncio.to_thread(fleet.fleet, "restart", "scans", seconds=300)
    await eventually(fleet.well)
    scan = ("scan", lab.target, "--quiet", "--module", "crtsh", *excluding("openpgp"))
    await asyncio.to_thread(fleet.ask, *scan, seconds=SCANNING)
    assert fleet.last()["state"] == "finished"
