"""One line per event, harmless wherever it is read, and never a reason for anything to fail."""

import io
import json
import logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.kernel import observe
from services.kernel.observe import LogFile, configure_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, configured = root.handlers[:], structlog.get_config()
    yield
    structlog.configure(**configured)
    root.handlers[:] = handlers


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_level_and_time() -> None:
    out = io.StringIO()
    configure_logs("info", out)
    structlog.get_logger("x").warning("source is slow\nindeed", source="crtsh")
    [line] = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "source is slow\nindeed", "source": "crtsh", "level": "warning"}


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    configure_logs("warning", out)
    log = structlog.get_logger()
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_a_traceback_is_within_its_line() -> None:
    out = io.StringIO()
    configure_logs("info", out)
    try:
        int("inside")
    except ValueError:
        structlog.get_logger().exception("failed")
    [line] = lines(out)
    assert "ValueError: invalid literal" in line["exception"]


def test_a_terminal_gets_plain_lines_and_nothing_that_it_would_obey() -> None:
    out = Terminal()
    configure_logs("info", out)
    structlog.get_logger().info("asked\x1b]0;owned\x07", reason="\x1b[2Jgone\r", source="crtsh")
    written = out.getvalue()
    assert "source=crtsh" in written
    assert all(character.isprintable() or character == "\n" for character in written)
    assert written.count("\n") == 1


def test_what_libraries_log_takes_the_same_form() -> None:
    out = io.StringIO()
    configure_logs("info", out)
    log = logging.getLogger("uvicorn.error")
    log.info("not this")
    try:
        int("away")
    except ValueError:
        log.exception("cannot listen at %s", "there")
    [line] = lines(out)
    assert (line["event"], line["logger"], line["level"]) == ("cannot listen at there", "uvicorn.error", "error")
    assert "ValueError: invalid literal" in line["exception"]


def test_the_log_file_is_made_at_the_first_line_for_its_user_alone(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "mirage.log")
    configure_logs("info", file)
    assert not (tmp_path / "mirage.log").exists()
    structlog.get_logger().info("hello", name="\ud800")
    file.close()
    assert stat.S_IMODE((tmp_path / "mirage.log").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "mirage.log").read_text())["event"] == "hello"


def test_a_log_file_that_is_large_begins_anew_and_one_older_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "LARGEST", 50)
    file = LogFile(tmp_path / "mirage.log")
    for word in ("first", "second", "third"):
        file.write(f"{word} {'x' * 50}\n")
        file.flush()
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirage.log", "mirage.log.1"]
    assert (tmp_path / "mirage.log").read_text().startswith("third")
    assert (tmp_path / "mirage.log.1").read_text().startswith("second")


@pytest.mark.parametrize("place", ["missing/mirage.log", ".", "/dev/full"])
def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, place: str) -> None:
    if place == "/dev/full" and not Path(place).exists():
        pytest.skip("no such device here")
    file = LogFile(tmp_path / place)
    configure_logs("info", file)
    for _ in range(3):
        structlog.get_logger().info("lost")
    file.close()


def test_without_a_stream_it_is_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure_logs("info")
    structlog.get_logger().info("here")
    assert [line["event"] for line in lines(out)] == ["here"]
