"""`jobs/provision` on a plain Debian, again and again: it makes a fleet, and then it changes nothing.

The machine has our network, so the fleet takes ports that are free; whatever else it has is its own.
"""

import asyncio
import fcntl
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.cli.fleet import leftovers
from services.cli.fleet.deployment import Deployment
from services.cli.fleet.ports import HOST, free_ports
from services.kernel.scheduler.nomad import Nomad
from tests.fleet.running import eventually
from tests.servers import machine
from tests.servers.machine import FETCHED, Machine
from tests.servers.plugin import require
from tests.servers.running import CACHE, ROOT

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1500)]

VAGRANTFILE: Final = (ROOT / "Vagrantfile").read_text("utf-8")
(ARGUMENTS,) = re.findall(r'path: "jobs/provision",\s+args: \[(.*?)\]', VAGRANTFILE)
SOURCE, DATA, *OPTIONS = re.findall(r'"(.*?)"', ARGUMENTS)
(SUITE,) = re.findall(r'"debian/(\w+)64"', VAGRANTFILE)
#: What is not handed to the machine, as by the Vagrantfile.
EXCLUDED: Final = shutil.ignore_patterns(".?*", "__pycache__")
#: What the machine has from outside: what is built once, and what apt has fetched.
MOUNTS: Final = {CACHE: "/var/cache/mirage-servers", FETCHED / "archives": "/var/cache/apt/archives"}
#: Where `jobs/provision` keeps what Python needs.
VENV: Final = "/var/lib/mirage-venv"
#: Seconds for the first time, when packages are fetched and installed, and for the second.
INSTALLING, AGAIN = 900.0, 300.0


@pytest.fixture
def debian() -> Iterator[Path]:
    """The root of a machine that has never run, with this repository in it."""
    for program in ("nats", "consul", "nomad", "mongodb"):  # to build them again would take 12 minutes
        require(program)
    if said := machine.missing(SUITE):
        pytest.skip(said)
    FETCHED.mkdir(parents=True, exist_ok=True)
    root = FETCHED / "root"
    with (FETCHED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        machine.make(root, SUITE)
        shutil.copytree(ROOT, within(root, SOURCE), symlinks=True, ignore=EXCLUDED)
        yield root
        leftovers.unmount(within(root, DATA))  # cgroups are not its own
        shutil.rmtree(root)


async def test_a_machine_is_provisioned_once_and_then_changed_no_more_nor_when_it_was_switched_off(
    debian: Path,
) -> None:
    listen = f"{HOST}:{free_ports(1)[0]}"
    provision = (f"{SOURCE}/jobs/provision", SOURCE, DATA, *OPTIONS, "--listen", listen, "--free-ports")
    fleet = ("env", f"MIRAGE_VENV={VENV}", f"{SOURCE}/mirage", "fleet")
    with machine.started(debian, MOUNTS) as running:
        running.run(*provision, seconds=INSTALLING)
        running.run(*fleet, "status", "--data", DATA)  # fails unless all is well
        before = await jobs(debian)
        assert {name.removeprefix("mirage-") for name in before} >= {"gateway", "scans", "postgresql", "nats"}

        running.run("touch", "/provisioned")
        running.run(*provision, seconds=AGAIN)
        assert await jobs(debian) == before
        assert changed(running) == []

    with machine.started(debian, MOUNTS) as running:
        running.run(*provision, seconds=AGAIN)
        await eventually(lambda: asyncio.to_thread(running.run, *fleet, "status", "--data", DATA))
        assert changed(running) == []
        assert {name: version for name, (version, _) in (await jobs(debian)).items()} == {
            name: version for name, (version, _) in before.items()
        }

        running.run(*fleet, "down", "--data", DATA)
        assert set(running.run("sh", "-c", "cat /proc/[0-9]*/comm").split()) == {"sh", "sleep"}


def within(root: Path, path: str) -> Path:
    return root / path.removeprefix("/")


async def jobs(root: Path) -> dict[str, tuple[int, list[tuple[str, int | None]]]]:
    """Of each job its version, and its instances: which, and since when."""
    nomad = Nomad(Deployment(within(root, DATA)).agents.nomad)
    try:
        seen = [await nomad.status(line.id) for line in await nomad.jobs()]
    finally:
        await nomad.close()
    return {
        job.id: (job.version, sorted((each.id, each.tasks[0].started) for each in job.allocations if each.runs))
        for job in seen
    }


def changed(running: Machine) -> list[str]:
    """Files that are newer than the first provisioning, but for those of what runs."""
    left_out = [f"-path {place} -prune -o" for place in ("/proc", "/sys", "/dev", "/run", "/tmp", DATA)]
    return running.run("sh", "-c", f"find / {' '.join(left_out)} -type f -newer /provisioned -print").split()
