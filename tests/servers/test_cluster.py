"""What a cluster runs ends with it, and with the test run, however that ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.fleet import leftovers
from services.cli.fleet.daemons import Process
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from tests.servers.cluster import Cluster
from tests.servers.plugin import require
from tests.servers.running import ROOT

pytestmark = pytest.mark.server

#: One task that nothing but its cgroup tells of, and one with a child in a session of its own.
JOB = """
job "stubborn" {
  group "g" {
    task "bare" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "cd / && exec env -i /bin/sleep 600"]
      }
    }
    task "parent" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "setsid sleep 601 & trap '' TERM INT; while true; do sleep 1; done"]
      }
    }
  }
}
"""

CHILD = """
import os, sys, time
from pathlib import Path
from tests.servers.running import KINDS, make
folder = Path(sys.argv[1])
os.mkfifo(folder / "fifo")
held = os.open(folder / "fifo", os.O_RDWR | os.O_CLOEXEC)
cluster = make(KINDS["nomad"], folder / "nomad", folder / "fifo")
cluster.start()
print(cluster.port, flush=True)
time.sleep(600)
"""


async def run_job(url: str, folder: Path) -> set[int]:
    """Run the job; return the processes of the cluster then."""
    nomad = Nomad(Server.parse(url))
    try:
        await nomad.register(await nomad.parse(JOB))
        async with asyncio.timeout(60):
            async for status in nomad.watch("stubborn"):
                if any(each.runs for each in status.allocations):
                    break
    finally:
        await nomad.close()
    return leftovers.processes(folder)


def told_of(pids: set[int]) -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() for pid in pids]


def mounts(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {folder}/" in line]


async def test_ending_a_cluster_ends_what_it_runs(own_server: Callable[[str], Cluster]) -> None:
    cluster = own_server("nomad")
    began = await run_job(cluster.url, cluster.folder)
    assert {"/bin/sleep 600", "sleep 601"} <= set(told_of(began))
    if os.geteuid() == 0:
        assert mounts(cluster.folder)
    await asyncio.to_thread(cluster.kill)
    assert leftovers.processes(cluster.folder) == set()
    assert [pid for pid in began if Process.of(pid) is not None] == []
    assert mounts(cluster.folder) == []


async def test_stopping_the_agents_alone_leaves_what_they_run(own_server: Callable[[str], Cluster]) -> None:
    cluster = own_server("nomad")
    await run_job(cluster.url, cluster.folder)
    await asyncio.to_thread(cluster.stop)
    assert "/bin/sleep 600" in told_of(leftovers.processes(cluster.folder))


async def test_a_test_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    require("nomad")
    child = subprocess.Popen(  # noqa: ASYNC220  it is there at once
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "nomad"
    assert child.stdout is not None
    with child.stdout:
        port = await asyncio.to_thread(child.stdout.readline)
        assert await run_job(f"nomad://127.0.0.1:{port.strip()}", folder)
        child.send_signal(signal.SIGKILL)
        child.wait()
    end = time.monotonic() + 30
    while folder.exists() and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert not folder.exists()
    assert leftovers.processes(folder) == set()
    assert mounts(folder) == []
