"""What is claimed is shown to people in words."""

import json
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.cli.claim_text import change_words, claim_words, qualified, value_words
from services.cli.commands.diff import write_change
from services.cli.commands.evidence import CLAIMS_SHOWN, JsonReport, TextReport
from services.cli.commands.show import write_entity
from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Absence, Relation, claim_line
from services.contracts.entities import ip_address, name, service
from services.contracts.resources import AttributeValue, Change, Checked, EntityView, Fault, Verified

WWW, ADDRESS = name("www.example.org"), ip_address("192.0.2.1")
RESOLVES = Relation("resolves_to", WWW, ADDRESS, qualifiers={"record": "A"})


def test_every_attribute_that_is_a_time_is_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    times = [known.name for known in ATTRIBUTES.values() if known.unit == "us"]
    assert {"created_at", "expires_at", "not_before"} <= {*times}
    attributes = tuple(AttributeValue(name=each, value=919_249_440_000_000, assertions=()) for each in times)
    write_entity(
        EntityView(
            id="", type="domain", key=("example.org",), value="example.org", first_seen=0, last_seen=0, scope_role=None,
            distance=None, assertions=(), attributes=attributes, absences=(), relations=(),
        )
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert printed.count(" = 1999-02-17 11:04:00 UTC\n") == len(times)
    assert value_words("soa_serial", 919_249_440_000_000) == "919249440000000"
    assert value_words("created_at", 2**62) == f"{2**62} UTC"


@pytest.mark.parametrize(
    ("qualifiers", "words"),
    [
        ({}, ""),
        ({"record": "A"}, " (A)"),
        ({"wildcard": "yes"}, " (wildcard)"),
        ({"sni": "www.example.org", "host": "example.org"}, " (host example.org, sni www.example.org)"),
    ],
)
def test_qualifiers_are_written_as_people_write_them(qualifiers: dict[str, str], words: str) -> None:
    assert qualified(qualifiers) == words


def test_a_difference_has_no_json_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    whats = (claim_line(RESOLVES), "", 'now title = "Say \\"hi\\""', "no longer created_at = 919249440000000")
    for what in whats:
        value = "www.example.org → 192.0.2.1" if what.startswith("[") else "www.example.org"
        write_change(Change(kind="new", layer="entity", type="x", value=value, what=what, modules=("a", "b")))
    assert capsys.readouterr().out.splitlines() == [
        "+ x www.example.org → 192.0.2.1 (A)  [a, b]",
        "+ x www.example.org  [a, b]",
        '+ x www.example.org  now title = Say "hi"  [a, b]',
        "+ x www.example.org  no longer created_at = 1999-02-17 11:04:00 UTC  [a, b]",
    ]


@pytest.mark.parametrize("what", ["", "[1", '["relation"]', "now x = {", '["relation",1,2,3,[4]]'])
def test_what_is_of_another_form_is_shown_as_it_is(what: str) -> None:
    assert change_words(what) == (f"  {what}" if what else "")
    assert claim_words(what) == what


def test_claims_that_rest_on_a_fault_are_readable_and_few_and_json_has_them_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = (
        *(claim_line(claim) for claim in (WWW, RESOLVES, Absence(WWW, "aliases"), service("2001:db8::1", "tcp", 443))),
        '["attribute",["domain","example.org"],"created_at",919249440000000]',
    )
    claims = tuple(f"crtsh: {line}" for line in lines) + tuple(f"crtsh: [{number}]" for number in range(40))
    report = TextReport()
    body = Fault(kind="blob altered", artefact="ab", request="GET x", claims=claims)
    report.add(Verified(fault=replace(body, claims=claims[:30], more=True)))
    report.add(Verified(fault=replace(body, claims=claims[30:])))
    report.add(Verified(fault=Fault(kind="record altered", artefact="cd", claims=claims[:1])))
    printed = capsys.readouterr().out.splitlines()
    assert printed[:6] == [
        "blob altered: ab GET x",
        "    rests on it: hostname www.example.org  [crtsh]",
        "    rests on it: resolves_to hostname www.example.org → ip_address 192.0.2.1 (A)  [crtsh]",
        "    rests on it: hostname www.example.org: no aliases  [crtsh]",
        "    rests on it: service [2001:db8::1]:443/tcp  [crtsh]",
        "    rests on it: domain example.org: created_at = 1999-02-17 11:04:00 UTC  [crtsh]",
    ]
    assert printed[CLAIMS_SHOWN + 1 :] == [
        "    and 25 other claims (--format json has all)",
        "record altered: cd",
        "    rests on it: hostname www.example.org  [crtsh]",
    ]
    whole = JsonReport(UUID(int=1))
    whole.add(Verified(fault=body))
    whole.add(Verified(checked=Checked(records=1, blobs=1)))
    assert json.loads(capsys.readouterr().out)["faults"][0]["claims"] == [*claims]
