"""`mirage render` writes what is stale; with --check it shows it and fails."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.commands import render
from services.cli.rendering import render_all
from services.kernel.http_server import HANGING_UP
from services.kernel.process import CLOSING, DRAINING

ROOT = Path(__file__).parents[3]
DOCUMENT = Path("services/contracts/asyncapi.json")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in (rendered.path for rendered in render_all(ROOT)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    monkeypatch.setattr(render, "ROOT", tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(render.command, arguments, standalone_mode=False)
    return result.return_value, result.output


def test_the_repository_is_rendered() -> None:
    assert run("--check") == (0, "")


def test_what_is_stale_is_shown_and_written(copy: Path) -> None:
    (copy / DOCUMENT).write_text((copy / DOCUMENT).read_text().replace("mirage.evt", "mirage.old"))
    code, shown = run("--check")
    assert code == 1
    assert f"--- {DOCUMENT}" in shown
    assert any(line.startswith("-") and "mirage.old" in line for line in shown.splitlines())
    assert "mirage.old" in (copy / DOCUMENT).read_text()
    assert run() == (0, f"{DOCUMENT}\n")
    assert run("--check") == (0, "")
    assert run() == (0, "")


def test_what_is_missing_is_written(copy: Path) -> None:
    (copy / DOCUMENT).unlink()
    assert run("--check")[0] == 1
    assert run() == (0, f"{DOCUMENT}\n")
    assert (copy / DOCUMENT).read_text() == (ROOT / DOCUMENT).read_text()


def test_nomad_waits_longer_than_a_process_takes_to_end() -> None:
    for path in (ROOT / "jobs").glob("*.nomad.hcl"):
        killed = [int(seconds) for seconds in re.findall(r'kill_timeout = "(\d+)s"', path.read_text())]
        assert killed, path
        assert min(killed) > DRAINING + 2 * HANGING_UP + CLOSING, path
