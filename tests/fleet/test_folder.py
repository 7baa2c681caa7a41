"""A fleet's folder: one process at work on it, and what its operator's other tools need."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cli.fleet import programs
from services.cli.fleet.folder import ENVIRONMENT, at_work, write_environment
from services.cli.fleet.ports import Ports
from services.kernel.errors import Conflict
from tests.servers.running import Server as Running


def test_one_process_is_at_work_on_a_fleet_and_another_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with (
        at_work(folder),
        pytest.raises(Conflict, match="is being brought up or down by another process"),
        at_work(folder),
    ):
        pytest.fail("two were at work on it")
    with at_work(folder):
        assert folder.stat().st_mode & 0o777 == 0o711


def test_who_died_at_work_is_in_nobodys_way(tmp_path: Path) -> None:
    dying = f"""
import os, pathlib
from services.cli.fleet.folder import at_work
with at_work(pathlib.Path({str(tmp_path)!r})):
    os._exit(7)
"""
    environ = {**os.environ, "PYTHONPATH": str(programs.ROOT)}
    assert subprocess.run([sys.executable, "-c", dying], env=environ, check=False).returncode == 7
    with at_work(tmp_path):
        pass


def test_a_shell_that_reads_the_environment_finds_the_fleet(tmp_path: Path) -> None:
    write_environment(tmp_path, Ports(nats=4333, nomad=4777, consul=8777), "it's $HOME; a secret", {})
    assert (tmp_path / ENVIRONMENT).stat().st_mode & 0o077 == 0
    names = "$NOMAD_ADDR $CONSUL_HTTP_ADDR $NATS_URL $NATS_USER $NATS_PASSWORD"
    shell = ["sh", "-c", f'. {tmp_path}/{ENVIRONMENT} && echo "{names}"']
    shown = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert shown.stdout == (
        "http://127.0.0.1:4777 http://127.0.0.1:8777 nats://127.0.0.1:4333 mirage it's $HOME; a secret\n"
    )


@pytest.mark.server
def test_nomads_own_program_gives_a_job_what_fleet_up_gives_it(
    shared_server: Callable[[str], Running], tmp_path: Path
) -> None:
    given = {
        "mirage": '/srv/it\'s "here"/${mirage}',
        "environment": {"MIRAGE_LOG": "${debug}", "MIRAGE_RESOLVERS": "192.0.2.1,192.0.2.2"},
        "revision": "123456789012",
    }
    write_environment(tmp_path, Ports(nomad=shared_server("nomad").port), "secret", given)
    made = made_of(tmp_path, "scans")
    (task,) = (each for group in made["TaskGroups"] for each in group["Tasks"] if each["Name"] == "scans")
    assert made["Meta"] == {"revision": given["revision"], "settings": ""}
    assert task["Config"]["command"] == given["mirage"]
    assert given["environment"].items() <= task["Env"].items()
    assert made_of(tmp_path, "infra/redis")["ID"] == "mirage-redis"  # which has no such variables


def made_of(folder: Path, job: str) -> dict[str, Any]:
    """What ``nomad job run`` makes of the file of a job, in a shell that has read the environment."""
    command = f"{programs.find('nomad')} job run -output {programs.ROOT}/jobs/{job}.nomad.hcl"
    shell = ["sh", "-c", f". {folder}/{ENVIRONMENT} && {command}"]
    shown = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    made: dict[str, Any] = json.loads(shown.stdout)["Job"]
    return made
