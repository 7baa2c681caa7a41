"""Who authorised active work is typed, shown and verified."""

import base64
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from services.cli.authorising import read_window
from services.kernel.errors import Invalid
from tests.cli.conftest import Mirage
from tests.proof.processes import ROOT

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone(timedelta(hours=2)))


def micros(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1_000_000)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "window"),
    [
        (None, (None, None)),
        ("/", (None, None)),
        ("2026-12-01/2026-12-31", (micros(2026, 11, 30, 22), micros(2026, 12, 31, 22))),
        ("/2026-12-31", (None, micros(2026, 12, 31, 22))),
        ("2026-12-01T08:00Z/", (micros(2026, 12, 1, 8), None)),
        ("2026-12-01T08:00/2026-12-01T18:00+00:00", (micros(2026, 12, 1, 6), micros(2026, 12, 1, 18))),
    ],
)
def test_a_window_is_days_or_times_on_either_side(text: str | None, window: tuple[int | None, int | None]) -> None:
    assert read_window(text, NOW) == window


@pytest.mark.parametrize("text", ["", "2026-12-01", "soon/", "/2026-13-01", "a/b/c"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_window(text, NOW)


def test_an_authorisation_is_shown_with_its_scan_and_verified(mirage: Mirage, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    why = ("--authorised", "the owner, by mail", "--profile", "deep")
    code, out, err = mirage("scan", "+41446681800", "--module", "phone", "--quiet", *why, *data)
    assert code == 0, err
    assert "Authorised: the owner, by mail (operator; no active work; " in out
    code, out, err = mirage("scans", "authorisation", "last", *data)
    assert code == 0, err
    assert "Why: the owner, by mail" in out
    assert "The signature holds" in out
    code, out, _ = mirage("scans", "authorisation", "last", "--format", "json", *data)
    assert json.loads(out)["verified"] is True

    # Whoever writes into the database without the workspace's key is found out.
    with closing(sqlite3.connect(tmp_path / "data" / "scans.db")) as store, store:
        ((signed,),) = store.execute("SELECT signed FROM authorisation")
        head, payload, signature = signed.split(".")
        said = base64.urlsafe_b64decode(payload + "==").replace(b"by mail", b"by word")
        forged = base64.urlsafe_b64encode(said).decode().rstrip("=")
        store.execute("UPDATE authorisation SET signed = ?", (f"{head}.{forged}.{signature}",))
    code, out, err = mirage("scans", "authorisation", "last", *data)
    assert (code, out) == (1, "")
    assert "this was not signed, or is not as it was signed" in err


def test_nobody_is_shown_where_nobody_authorised_anything(mirage: Mirage, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    code, out, err = mirage("scan", "+41446681800", "--module", "phone", "--quiet", *data)
    assert (code, "Authorised" in out) == (0, False), err
    code, _, err = mirage("scans", "authorisation", "last", *data)
    assert code == 1
    assert "nobody authorised active work of this scan" in err


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["scan", "dry run"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--technique", "web", "--window", f"/{datetime.now(UTC).date() + timedelta(days=2)}"),
            "the profile passive does no active work, --profile deep does",
        ),
        (("--profile", "standard"), "the profile standard does no active work, --profile deep does"),
        (("--profile", "deep", "--module", "phone"), "no source that is asked does active work"),
    ],
    ids=["passive", "standard", "deep"],
)
def test_an_authorisation_of_what_is_not_done_is_said_before_anything_is(
    mirage: Mirage, tmp_path: Path, words: tuple[str, ...], said: str, dry: tuple[str, ...]
) -> None:
    only = () if "--module" in words else ("--module", "phone", "--module", "active")
    scan = ("scan", "+41446681800", "--authorised", "the owner", "--quiet", *only, *words, *dry)
    code, _, err = mirage(*scan, "--data", str(tmp_path / "data"))
    assert (code, err.splitlines()[0]) == (0, f"mirage: the authorisation is not used: {said}")


def test_an_authorisation_of_what_is_done_is_not_spoken_of(mirage: Mirage, tmp_path: Path) -> None:
    scan = ("scan", "example.org", "--authorised", "the owner", "--profile", "deep", "--dry-run")
    code, _, err = mirage(*scan, "--data", str(tmp_path / "data"))
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("why", "loads"), [((), False), (("--authorised", "jo"), True)], ids=["plain", "authorised"])
def test_what_signs_is_loaded_only_where_something_is_signed(
    why: tuple[str, ...], tmp_path: Path, *, loads: bool
) -> None:
    words = ["scan", "+41446681800", "--module", "phone", "--quiet", "--data", str(tmp_path / "data"), *why]
    code = f"""
import sys
from services.cli.main import main
try:
    main({words!r})
except SystemExit as left:
    assert not left.code, left.code
assert ("joserfc" in sys.modules) is {loads}
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
