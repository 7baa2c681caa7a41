"""What programs read: every listing verb prints one JSON document with the fields that its page names.

How a fleet is shown is held by tests/cli/test_fleet.py, what there is at a server alone by tests/cli/test_login.py, who
did what by tests/cli/test_audit.py.
"""

import json
from pathlib import Path

from tests.cli.fields import documented
from tests.proof.processes import Lab, Mirage

#: Groups of verbs that are held elsewhere.
ELSEWHERE = {"fleet", "account", "sessions", "tokens", "workspaces", "members", "audit", "operators", "whoami"}


def test_json_has_the_fields_that_are_documented(tmp_path: Path, lab: Lab) -> None:
    mirage = Mirage(tmp_path / "data", lab, MIRAGE_KEY_CERTSPOTTER="0123456789abcdef")
    mirage.scan("--module", "crtsh", "--module", "hackertarget", "--authorised", "the test")
    mirage.output("settings", "set", "collector", "log=debug")
    target = lab.target
    record = json.loads(mirage.output("show", target, "--format", "json"))[0]["assertions"][0]["evidence"][0]
    calls = {
        "scans list": (),
        "scans show": ("last",),
        "scans authorisation": ("last",),
        "scan --dry-run": (target,),
        "show": (target,),
        "why-not": (target,),
        "diff": ("last", "last"),
        "evidence show": (record,),
        "evidence verify": ("last",),
        "replay": ("last",),
        "retract": (),
        "retention": ("--dry-run",),
        "modules list": (),
        "modules show": ("crtsh",),
        "modules check": (),
        "keys list": (),
        "settings list": (),
        "settings show": ("collector",),
        "settings history": ("collector",),
        "dead list": (),
        "doctor": (),
    }
    printed = {verb: mirage.output(*verb.split(), *more, "--format", "json") for verb, more in calls.items()}
    found = {verb: fields_of(json.loads(text)) for verb, text in printed.items()}
    found["export"] = {
        field for each in json.loads(mirage.output("export", "last", "--format", "json")) for field in each
    }
    assert found == {verb: names for verb, names in documented().items() if verb.split()[0] not in ELSEWHERE}
    assert json.loads(printed["diff"])["changes"] == []


def fields_of(document: object) -> set[str]:
    members = document if isinstance(document, list) else [document]
    assert members
    return set.intersection(*({*member} for member in members))
