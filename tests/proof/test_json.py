"""What programs read: every listing verb prints one JSON document with the fields that its page names.

How a fleet is shown is held by tests/cli/test_fleet.py, what there is at a server alone by tests/cli/test_login.py, who
did what by tests/cli/test_audit.py.
"""

import json
from pathlib import Path

import pytest

from tests.cli.fields import documented
from tests.proof.processes import Lab, Mirage

#: Groups of verbs that are held elsewhere.
ELSEWHERE = {
    *("fleet", "account", "sessions", "tokens", "workspaces", "members", "audit", "operators", "whoami"),
    *("policy", "identity"),
}
#: Verbs about findings, which `test_json_of_findings_has_the_fields_that_are_documented` holds.
JUDGING = {"findings", "rules", "suppress", "risks", "graph", "report", "verify"}
RULE = """
id: a_host
version: 1
title: A host
category: dns
severity: info
description: There is one.
things: {host: {type: [hostname, domain]}}
headline: "{host} is there"
tests:
  - {says: one, facts: [host: domain example.org], finds: [host]}
"""


@pytest.fixture
def mirage(tmp_path: Path, lab: Lab) -> Mirage:
    made = Mirage(tmp_path / "data", lab, MIRAGE_KEY_CERTSPOTTER="0123456789abcdef")
    made.scan("--module", "crtsh", "--module", "hackertarget", "--authorised", "the test")
    return made


def test_json_has_the_fields_that_are_documented(mirage: Mirage, lab: Lab) -> None:
    mirage.output("settings", "set", "collector", "log=debug")
    target = lab.target
    record = json.loads(mirage.output("show", target, "--format", "json"))[0]["assertions"][0]["evidence"][0]
    calls = {
        "scans list": (),
        "scans show": ("last",),
        "scans authorisation": ("last",),
        "scan --dry-run": (target,),
        "show": (target,),
        "show --confidence": (target,),
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
    assert found == {verb: names for verb, names in documented().items() if verb.split()[0] not in ELSEWHERE | JUDGING}
    assert json.loads(printed["diff"])["changes"] == []


def test_json_of_findings_has_the_fields_that_are_documented(mirage: Mirage, lab: Lab, tmp_path: Path) -> None:
    rule, bundle = tmp_path / "a_host.yaml", tmp_path / "bundle.zip"
    rule.write_text(RULE)
    www = f"www.{lab.target}"
    related = json.loads(mirage.output("show", www, "--format", "json"))[0]["relations"][0]["target_value"]
    calls = {
        "rules check": (str(rule),),
        "rules test": (str(rule),),
        "rules backtest": (str(rule), "--scans", "last"),
        "rules add": (str(rule),),
        "rules list": (),
        "rules set": ("a_host", "--on"),
        "rules why-not": ("a_host", "--entity", lab.target),
        "findings": ("last",),
        "risks": ("last",),
        "suppress add": ("--rule", "a_host", "--entity", lab.target, "--reason", "known"),
        "suppress list": (),
        "graph path": ("last", www, related),
    }
    found = {}
    for verb, more in calls.items():
        printed = json.loads(mirage.output(*verb.split(), *more, "--format", "json"))
        found[verb] = fields_of(printed)
        if verb == "findings":
            first = printed["findings"][0]["id"]
    found["rules why"] = fields_of(json.loads(mirage.output("rules", "why", first, "--format", "json")))
    mirage.output("report", "last", "--bundle", "--output", str(bundle))
    for verb, more in {"report list": (), "report key": (), "verify": (str(bundle),)}.items():
        form = () if verb == "report key" else ("--format", "json")
        found[verb] = fields_of(json.loads(mirage.output(*verb.split(), *more, *form)))
    assert found == {verb: names for verb, names in documented().items() if verb.split()[0] in JUDGING}


def fields_of(document: object) -> set[str]:
    members = document if isinstance(document, list) else [document]
    assert members
    return set.intersection(*({*member} for member in members))
