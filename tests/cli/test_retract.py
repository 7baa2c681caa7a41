"""A person withdraws claims in several ways, sees what is withdrawn, and restores it by the same words."""

import json
from pathlib import Path

from tests.cli.conftest import WALLET, Mirage


def test_the_version_is_said_with_the_module_or_after_it(mirage: Mirage, wallet_scan: Path) -> None:
    place = ("--data", str(wallet_scan), "--format", "json")
    said = json.loads(mirage("retract", "--module", "crypto", "--version", "1", "--reason", "wrong", *place)[1])
    assert (said["claims"], said["retractions"][0]["version"]) == (3, 1)
    assert json.loads(mirage("retract", "--module", "crypto@1", "--undo", *place)[1])["claims"] == 3
    code, _, err = mirage("retract", "--module", "crypto@1", "--version", "2", "--reason", "wrong", *place)
    assert (code, err) == (2, "mirage: crypto@1 is another version than 2\n")
    assert mirage("retract", "--version", "2", "--reason", "wrong", *place)[0] == 2


def test_a_source_and_an_instant_narrow_what_is_withdrawn(mirage: Mirage, wallet_scan: Path) -> None:
    place = ("--data", str(wallet_scan))
    declared = json.loads(mirage("modules", "show", "crypto", *place, "--format", "json")[1])["declared"]
    words = ("--source", declared["source"], "--since", "2026-01-01")
    code, out, _ = mirage("retract", *words, "--reason", "wrong", *place)
    assert (code, out.splitlines()[0]) == (0, "3 claims withdrawn.")
    assert f"source {declared['source']}, since 2026-01-01 00:00:00 UTC" in " ".join(out.split())
    shown = mirage("show", WALLET, *place)[1]
    assert "said by" not in shown
    assert "withdrawn on" in mirage("show", WALLET, "--withdrawn", *place)[1]
    assert mirage("retract", *words, "--undo", *place)[1] == "3 claims restored.\n"
    assert mirage("retract", "--source", "nobody.example", "--reason", "wrong", *place)[0] == 1
