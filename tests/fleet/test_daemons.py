"""A daemon is known again by its file, and nothing else is taken for it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.json import encode

from services.cli.fleet import daemons
from services.cli.fleet.daemons import Daemon, Process, until

SLEEP = [sys.executable, "-c", "import time; print('said', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal,time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(600)",
]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon("sleeper", tmp_path / "sleeper.process", tmp_path / "logs" / "sleeper.log")
    yield made
    made.kill()


def test_a_daemon_that_runs_is_left_alone(daemon: Daemon) -> None:
    daemon.start(SLEEP, os.environ)
    first = daemon.process
    assert first is not None
    daemon.start(SLEEP, os.environ)
    assert daemon.process == first
    assert until(lambda: daemon.last_words() == "said", 10)


def test_a_daemon_outlives_who_started_it(tmp_path: Path, daemon: Daemon) -> None:
    script = f"""
import os
from pathlib import Path
from services.cli.fleet import daemons
from services.cli.fleet.daemons import Daemon
Daemon("sleeper", Path({str(daemon.note)!r}), Path({str(daemon.log)!r})).start({SLEEP!r}, os.environ)
"""
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script], check=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert daemon.process is not None


def test_a_daemon_that_died_is_known_to_be_dead_and_starts_again(daemon: Daemon) -> None:
    daemon.start(SLEEP, os.environ)
    first = daemon.process
    daemon.kill()
    assert daemon.process is None
    daemon.start(SLEEP, os.environ)
    assert daemon.process not in {None, first}


@pytest.mark.parametrize("other", [{"began": 1}, {"boot": "another"}])
def test_another_process_with_its_id_is_not_taken_for_it(daemon: Daemon, other: dict[str, object]) -> None:
    ours = Process.of(os.getpid())
    assert ours is not None
    daemon.note.write_bytes(encode(ours))
    assert daemon.process == ours
    daemon.note.write_bytes(encode(structs.replace(ours, **other)))
    assert daemon.process is None
    daemon.stop(1)
    daemon.note.write_bytes(b"{")
    assert daemon.process is None


def test_one_that_does_not_listen_is_ended_all_the_same(daemon: Daemon) -> None:
    daemon.start(DEAF, os.environ)
    assert until(lambda: daemon.last_words() == "x", 10)
    daemon.stop(0.1)
    assert daemon.process is None
    assert not daemon.note.exists()


def test_what_it_says_is_for_its_user_alone_and_goes_on_where_it_was(daemon: Daemon) -> None:
    daemon.log.parent.mkdir()
    daemon.log.write_text("before\n")
    daemon.log.chmod(0o644)
    daemon.start(SLEEP, {})
    assert until(lambda: daemon.log.read_text() == "before\nsaid\n", 10)
    assert daemon.log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_long_is_put_aside_at_the_next_start(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "LONG", 10)
    daemon.log.parent.mkdir()
    aside = daemon.log.with_name(f"{daemon.log.name}.1")
    aside.write_text("older")
    daemon.log.write_text("more than ten signs")
    daemon.start(SLEEP, {})
    assert until(lambda: daemon.log.read_text() == "said\n", 10)
    assert aside.read_text() == "more than ten signs"
