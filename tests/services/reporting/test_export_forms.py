"""Exports: the documented fields, nothing that a spreadsheet runs, equal for equal scans, in constant memory."""

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, Attribute, Claim, Entity, stated
from services.contracts.facts import Collected
from services.contracts.resources import ExportQuery
from services.kernel.calls import operator
from tests.services.storage.depot import (
    ADDRESS,
    ELSEWHERE,
    LATER,
    SCAN,
    TARGET,
    WORKSPACE,
    WWW,
    Depot,
    admitted,
    depot,
    record,
    result,
)

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# hosts


def name(state: str) -> Entity:
    return entities.hostname(f"{state}.example.org")


async def states(store: Depot) -> None:
    """A name in every state there is, each also told by a passive source with an address."""
    found: dict[str, tuple[Claim, ...]] = {
        "resolved": (relations.resolves_to(name("resolved"), ADDRESS, record="A"),),
        "resolved6": (relations.resolves_to(name("resolved6"), entities.ip_address("2001:db8::1"), record="AAAA"),),
        "unresolved": (Absence(name("unresolved"), "resolves_to"),),
        "stale": (Attribute(name("stale"), "response_code", "NXDOMAIN"), Absence(name("stale"), "resolves_to")),
        "member": (Attribute(name("member"), "covered_by_wildcard", True),),
        "below": (
            Attribute(name("below"), "covered_by_wildcard", False),
            relations.resolves_to(name("below"), ADDRESS, record="A"),
        ),
        "unknown": (),
    }
    for state, claims in found.items():
        asked = name(state)
        await store.take(
            result("crtsh", asked, relations.resolves_to(asked, ADDRESS, record="A"), subject=asked),
            result("dns_records", *claims, subject=asked, outcome="unreachable" if state == "unknown" else "found"),
            admitted((asked, "in_scope", 0), ordinal=len(state)),
        )
    await store.take(
        result("dns_records", relations.resolves_to(name("outside"), ADDRESS, record="A"), subject=name("outside")),
        admitted((name("outside"), "affiliate", 1), (ADDRESS, "in_scope", 0)),
    )


@pytest.mark.parametrize("later", ["dns_records", "brute"])
async def test_a_name_that_does_not_exist_is_stale_whoever_finds_it_without_addresses_when(
    store: Depot, later: str
) -> None:
    asked = name("gone")
    await store.take(
        result("dns_records", Attribute(asked, "response_code", "NXDOMAIN"), at=2 if later == "dns_records" else 1),
        result("brute", Absence(asked, "resolves_to"), at=2 if later == "brute" else 1),
        admitted((asked, "in_scope", 0)),
    )
    assert await store.export("hosts") == "gone.example.org\tstale\n"


async def test_hosts_are_the_names_in_scope_that_answered(store: Depot) -> None:
    await states(store)
    assert await store.export("hosts", all=False) == (
        "below.example.org\nresolved.example.org\nresolved6.example.org\n"
    )


async def test_all_hosts_come_with_their_state(store: Depot) -> None:
    await states(store)
    assert (await store.export("hosts")).splitlines() == [
        "below.example.org",
        "member.example.org\twildcard",
        "resolved.example.org",
        "resolved6.example.org",
        "stale.example.org\tstale",
        "unknown.example.org\tunknown",
        "unresolved.example.org\tunresolved",
    ]


@pytest.mark.parametrize("everything", [True, False])
async def test_where_nobody_asked_the_dns_every_name_is_not_asked(store: Depot, everything: bool) -> None:
    store.modules = {"crtsh": "passive"}
    await store.take(
        result("crtsh", RESOLVES), admitted((WWW, "in_scope", 0), (name("other"), "external", 1), (TARGET, "target", 0))
    )
    assert await store.export("hosts", all=everything) == "example.org\tnot-asked\nwww.example.org\tnot-asked\n"


async def test_what_another_scan_found_makes_no_host(store: Depot) -> None:
    await store.take(result("dns_records", RESOLVES, of=LATER), result("crtsh", WWW), admitted((WWW, "in_scope", 0)))
    assert await store.export("hosts") == "www.example.org\tunknown\n"


# jsonl, json, csv


async def test_lines_have_exactly_the_documented_fields(store: Depot) -> None:
    evidence = record("GET /")
    await store.take(
        result(
            "web",
            stated(WWW, confidence=80),
            stated(relations.resolves_to(WWW, ADDRESS, record="A"), confidence=70),
            attributes.attribute(WWW, "tag", "mail"),
            attributes.attribute(WWW, "tag", "web"),
            attributes.attribute(WWW, "covered_by_wildcard", False),
            records=[evidence],
        ),
        admitted((WWW, "in_scope", 1)),
        at=1500,
    )
    entity, relation, address = lines(await store.export("jsonl"))
    said = {"module": "web", "version": 1, "at": 1000, "evidence": [evidence.id.hex()]}
    assert entity == {
        "layer": "entity",
        "type": "hostname",
        "key": ["www.example.org"],
        "value": "www.example.org",
        "scope_role": "in_scope",
        "distance": 1,
        "first_seen": 1000,
        "last_seen": 1500,
        "attributes": {"covered_by_wildcard": [False], "tag": ["mail", "web"]},
        "assertions": [{**said, "confidence": 80}],
    }
    order = "layer type key value scope_role distance first_seen last_seen attributes assertions"
    assert list(entity) == order.split()
    assert list(entity["assertions"][0]) == ["module", "version", "at", "confidence", "evidence"]
    assert list(relation) == ["layer", "type", "source", "target", "qualifiers", "assertions"]
    assert relation == {
        "layer": "relation",
        "type": "resolves_to",
        "source": {"type": "hostname", "value": "www.example.org"},
        "target": {"type": "ip_address", "value": "192.0.2.1"},
        "qualifiers": {"record": "A"},
        "assertions": [{**said, "confidence": 70}],
    }
    assert (address["scope_role"], address["distance"]) == (None, None)
    assert [each["module"] for each in address["assertions"]] == ["web"]


async def test_without_all_only_what_is_in_scope_is_printed(store: Depot) -> None:
    await store.take(
        result("web", RESOLVES, TARGET),
        admitted((WWW, "in_scope", 0), (TARGET, "target", 0), (ADDRESS, "affiliate", 1)),
    )
    found = [each.get("value") for each in lines(await store.export("jsonl", all=False))]
    assert found == ["example.org", "www.example.org", None]
    assert len(lines(await store.export("jsonl"))) == 4


async def test_json_is_the_lines_in_an_array(store: Depot) -> None:
    assert json.loads(await store.export("json")) == []
    await states(store)
    assert json.loads(await store.export("json")) == lines(await store.export("jsonl"))


async def test_csv_is_read_back_as_it_was(store: Depot) -> None:
    text = 'a "quoted",\u2028 line; = with\ttabs'
    await store.take(result("web", attributes.attribute(WWW, "description", text)), admitted((WWW, "in_scope", 0)))
    head, row = csv.reader(io.StringIO(await store.export("csv")))
    assert head == ["type", "value", "scope_role", "distance", "first_seen", "last_seen", "attributes", "modules"]
    assert row[:4] == ["hostname", "www.example.org", "in_scope", "0"]
    said = attributes.attribute(WWW, "description", text).value
    assert (json.loads(row[6]), row[7]) == ({"description": [said]}, "web")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_cell_of_csv_is_a_formula(store: Depot, start: str) -> None:
    evil = Entity("username", (f"{start}cmd|' /C calc'!A0",))
    await store.take(result("web", evil))
    (_, row) = csv.reader(io.StringIO(await store.export("csv"), newline=""))
    assert row[1] == (f"'{evil.value}" if start != "\r" else evil.value.replace("\r", "\\r"))


async def test_an_export_of_a_scan_that_nobody_knows_is_empty(store: Depot) -> None:
    await states(store)
    unknown = UUID(int=77)
    assert [await store.export(form, unknown) for form in ("hosts", "jsonl", "json", "csv")] == [
        "",
        "",
        "[\n]\n",
        "type,value,scope_role,distance,first_seen,last_seen,attributes,modules\n",
    ]
    assert await store.export("jsonl", SCAN, workspace=ELSEWHERE) == ""


# canonical


def of_scan(scan: UUID, start: int) -> list[Collected]:
    """The same as in another scan, at other times and in another order, by other items and from other evidence."""
    claims: list[Claim] = [
        WWW,
        RESOLVES,
        attributes.attribute(WWW, "tag", "mail"),
        Absence(TARGET, "resolves_to"),
        relations.links_to(entities.url("https://www.example.org/"), WWW),
    ]
    if start > 1000:
        claims.reverse()
    told = [
        result(module, *claims, of=scan, at=start + number, records=[record(f"GET /{start}/{module}")])
        for number, module in enumerate(("web", "crtsh"))
    ]
    return told if start > 1000 else [*reversed(told), result("web", WWW, of=scan, subject=WWW)]


async def test_equal_scans_have_equal_canonical_exports_without_scan_item_time_and_evidence(store: Depot) -> None:
    for scan, start in ((SCAN, 1000), (LATER, 90_000)):
        await store.take(*of_scan(scan, start), admitted((WWW, "in_scope", 0), of=scan), at=start)
    first, second = [await store.export("jsonl", scan, canonical=True) for scan in (SCAN, LATER)]
    assert first == second
    assert first.count("\n") == 10
    for line in first.splitlines():
        said, _, module = line.rpartition(" ")
        assert module in {"web@1", "crtsh@1"}
        assert isinstance(json.loads(said), list)
    assert "in_scope" not in first
    assert not any(str(scan.int) in first or scan.hex in first for scan in (SCAN, LATER))


async def test_the_canonical_export_as_json_is_one_document_that_says_the_same(store: Depot) -> None:
    assert await store.export("json", SCAN, canonical=True) == "[\n]\n"
    await store.take(*of_scan(SCAN, 1000))
    members = json.loads(await store.export("json", SCAN, canonical=True))
    assert [(member["claim"], f"{member['module']}@{member['version']}") for member in members] == [
        (json.loads(line.rpartition(" ")[0]), line.rpartition(" ")[2])
        for line in (await store.export("jsonl", SCAN, canonical=True)).splitlines()
    ]
    assert len(members) == 10


async def test_another_version_or_value_is_another_line(store: Depot) -> None:
    await store.take(result("web", WWW), result("web", WWW, of=LATER, version=2))
    first, second = [await store.export("jsonl", scan, canonical=True) for scan in (SCAN, LATER)]
    assert (first, second) == (first, first.replace("web@1", "web@2"))
    assert first != second


# Size


async def peak_of(folder: Path, hosts: int, hub: int, form: str, **fields: Any) -> tuple[int, int]:
    """The most Python bytes held while a scan of so many hosts is exported, and the bytes exported.

    ``hub``: how many items speak of one technology, and how many records one domain has.
    """
    nginx = entities.technology("nginx", "1.25")
    network = entities.netblock("198.18.0.0/15")
    async with depot(folder) as store:
        for first in range(0, hosts, 500):
            results = []
            for number in range(first, min(first + 500, hosts)):
                host = entities.hostname(f"n{number:06}.example.org")
                address = entities.ip_address(f"198.18.{number // 256}.{number % 256}")
                claims: list[Claim] = [
                    host,
                    relations.resolves_to(host, address, record="A"),
                    relations.part_of(address, network),
                    attributes.attribute(host, "tag", f"tag {number % 9}"),
                ]
                if number < hub:
                    url = entities.url(f"https://{host.value}/")
                    claims += [nginx, relations.runs(url, nginx)]
                    claims.append(relations.has_record(TARGET, entities.dns_record(host.value, "TXT", f'"{number}"')))
                    claims.append(attributes.attribute(TARGET, "tag", "large"))
                results.append(result("dns_records", *claims, subject=host, records=[record(f"GET /{number}")]))
            await store.take(*results, admitted(*((each.subject, "in_scope", 0) for each in results)))
        query = ExportQuery(scan=SCAN, format=form, all=True, **fields)  # type: ignore[arg-type]
        size = 0
        tracemalloc.start()
        try:
            async for chunk in store.calls.follow(e.EXPORT, query, operator(WORKSPACE)):
                size += len(chunk.data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return peak, size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "fields"),
    [("jsonl", {}), ("hosts", {}), ("jsonl", {"canonical": True})],
    ids=["jsonl", "hosts", "canonical"],
)
async def test_an_export_takes_no_more_memory_for_a_larger_scan(tmp_path: Path, form: str, fields: Any) -> None:
    peaks = {}
    for hosts in (3000, 9000):
        folder = tmp_path / str(hosts)
        folder.mkdir()
        peaks[hosts], size = await peak_of(folder, hosts, hosts // 2, form, **fields)
    assert peaks[9000] < 12_000_000
    assert peaks[9000] < 1.5 * peaks[3000] + 4_000_000  # the ids of 16,384 entities are remembered
    assert size > 100_000


async def test_of_a_hub_each_module_is_shown_often_enough_and_not_more(store: Depot) -> None:
    nginx = entities.technology("nginx", "1.25")
    results = [
        result(module, nginx, attributes.attribute(nginx, "tag", "web"), subject=entities.domain(f"n{number}.org"),
               at=number, records=[record(f"GET /{module}/{number}")])
        for module in ("web", "internetdb") for number in range(120)
    ]  # fmt: skip
    await store.take(*results)
    (entity,) = lines(await store.export("jsonl"))
    modules = [each["module"] for each in entity["assertions"]]
    assert {module: modules.count(module) for module in modules} == {"web": 50, "internetdb": 50}
    assert min(each["at"] for each in entity["assertions"]) == 0
    assert entity["attributes"] == {"tag": ["web"]}
