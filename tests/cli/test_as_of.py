"""A person asks what was known at an instant, and what has changed since."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.cli.conftest import WALLET, Mirage

BEFORE = "2026-01-01"


def test_an_entity_is_shown_as_it_was(mirage: Mirage, wallet_scan: Path) -> None:
    place = ("--data", str(wallet_scan))
    shown = mirage("show", WALLET, *place)
    assert shown[0] == 0
    assert mirage("as-of", "0m", "show", WALLET, *place) == shown
    assert mirage(*place, "as-of", "now", "show", WALLET) == shown
    code, out, err = mirage("as-of", BEFORE, "show", WALLET, *place)
    assert (code, out) == (1, "")
    assert err == f"mirage: nothing was known of {WALLET} on {BEFORE} 00:00:00 UTC\n"


def test_an_export_has_what_was_known(mirage: Mirage, wallet_scan: Path) -> None:
    words = ("export", "last", "--format", "jsonl", "--data", str(wallet_scan))
    exported = mirage(*words)
    assert WALLET in exported[1]
    assert mirage("as-of", "0m", *words) == exported
    assert mirage("as-of", BEFORE, *words) == (0, "", "")


def test_two_instants_are_compared_of_a_scan_or_of_all(mirage: Mirage, wallet_scan: Path) -> None:
    place = ("--data", str(wallet_scan), "--format", "json")
    since = json.loads(mirage("as-of", BEFORE, "diff", *place)[1])
    assert (since["scan"], since["counts"]["new"]) == (None, 1)
    assert since["before"] == int(datetime.fromisoformat(BEFORE).replace(tzinfo=UTC).timestamp()) * 1_000_000
    of_scan = json.loads(mirage("diff", "--scan", "last", "2d", "now", *place)[1])
    assert of_scan["changes"] == since["changes"]
    assert of_scan["scan"] is not None
    assert json.loads(mirage("diff", "now", "2100-01-01", *place)[1])["changes"] == []


def test_what_is_not_asked_as_of_an_instant_is_refused(mirage: Mirage, tmp_path: Path) -> None:
    assert mirage("as-of", BEFORE, "scan", "example.org")[0] == 2
    assert mirage("as-of", "friday", "show", "example.org", "--data", str(tmp_path))[0] == 2
