"""Makes a rule of Mirage's own form from its text, or says what is wrong with it (`rules/README.md`)."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from services.contracts.attributes import ATTRIBUTES
from services.contracts.entities import ENTITY_TYPES
from services.contracts.findings import SEVERITIES
from services.contracts.scope import ROLES
from services.correlation.domain.documents import load_document
from services.correlation.domain.instants import read_instant, read_span
from services.correlation.domain.reading.conditions import kind_of, read_condition
from services.correlation.domain.reading.fields import (
    as_list,
    check_keys,
    check_known,
    read_number,
    read_one_of,
    read_text,
)
from services.correlation.domain.reading.links import ANY, read_link
from services.correlation.domain.rule import (
    CATEGORIES,
    MAX_LINKS,
    MAX_THINGS,
    Group,
    Part,
    Rule,
    RuleTest,
    Thing,
    Unusual,
    Within,
)
from services.kernel.errors import Invalid

__all__ = ["read_rule"]

MAX_TEXT: Final = 4_000

_ID: Final = re.compile(r"[a-z][a-z0-9_]{2,63}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_RESERVED: Final = ("type", "role")
_KEYS: Final = (
    "id", "version", "title", "category", "severity", "confidence", "description", "advice", "references", "things",
    "links", "headline", "each", "group", "within", "unusual", "tests",
)  # fmt: skip
_NEEDED: Final = ("id", "version", "title", "category", "severity", "description", "things", "headline")


def read_rule(text: str) -> Rule:
    """The rule of a text.

    Raises:
        Invalid: what is wrong, and where in the rule.
    """
    document = load_document(text)
    check_keys(document, _KEYS, "a rule")
    for key in _NEEDED:
        if key not in document:
            raise Invalid(f"a rule needs {key}")
    identity = read_text(document, "id")
    if not _ID.fullmatch(identity):
        raise Invalid("id: 3 to 64 small letters, digits and _, beginning with a letter")
    things = _read_things(document["things"])
    names = {thing.name: thing for thing in things}
    links = tuple(read_link(link, names) for link in as_list(document.get("links", []), "links", MAX_LINKS))
    rule = Rule(
        id=identity,
        version=read_number(document, "version", 1, 1_000_000),
        title=read_text(document, "title", 200),
        category=read_one_of(document, "category", CATEGORIES),
        severity=cast("Any", read_one_of(document, "severity", SEVERITIES)),
        confidence=read_number({"confidence": 100} | document, "confidence", 0, 100),
        description=read_text(document, "description", MAX_TEXT),
        advice=read_text({"advice": ""} | document, "advice", MAX_TEXT, least=0),
        references=tuple(str(each)[:500] for each in as_list(document.get("references", []), "references", 20)),
        things=things,
        links=links,
        headline=read_text(document, "headline", 500),
        each=tuple(as_list(document.get("each", []), "each", MAX_THINGS)),
        group=_read_group(document.get("group"), names),
        within=_read_within(document.get("within"), names),
        unusual=_read_unusual(document.get("unusual"), names),
        tests=tuple(map(_read_test, as_list(document.get("tests", []), "tests", 100))),
    )
    _check_joined(rule)
    _check_findings(rule)
    return rule


def _read_things(said: Any) -> tuple[Thing, ...]:
    if not isinstance(said, dict) or not 0 < len(said) <= MAX_THINGS:
        raise Invalid(f"things: 1 to {MAX_THINGS} names, each with what is looked for")
    return tuple(_read_thing(name, body, place == 0) for place, (name, body) in enumerate(said.items()))


def _read_thing(name: Any, body: Any, is_first: bool) -> Thing:
    where = f"things.{str(name)[:40]}"
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "scan":
        raise Invalid(f"{where}: a name is up to 40 small letters, digits and _")
    if not isinstance(body, dict) or "type" not in body:
        raise Invalid(f"{where} needs a type")
    types = tuple(as_list(body["type"], f"{where}.type", len(ENTITY_TYPES)))
    for each in types:
        check_known(each, ENTITY_TYPES, f"{where}.type", "type of entity")
    roles = as_list(body.get("role", ["target", "in_scope"] if is_first else [ANY]), f"{where}.role", len(ROLES))
    for each in roles:
        check_known(each, (*ROLES, ANY), f"{where}.role", "role")
    asked = {key: value for key, value in body.items() if key not in _RESERVED}
    return Thing(
        name=name,
        types=types,
        roles=frozenset() if ANY in roles else frozenset(cast("Any", roles)),
        where=tuple(
            read_condition(key, value, f"{where}.{key}", kind_of(key, types, where)) for key, value in asked.items()
        ),
    )


def _read_part(said: Any, things: Mapping[str, Thing], where: str) -> Part:
    name, _, asked = str(said).partition(".")
    check_known(name, things, where, "thing of the rule")
    if asked:
        kind_of(asked, things[name].types, where)
    return Part(name, asked)


def _read_group(said: Any, things: Mapping[str, Thing]) -> Group | None:
    if said is None:
        return None
    if not isinstance(said, dict) or not {"by", "count"} <= said.keys():
        raise Invalid("group says by what, and what is counted")
    check_keys(said, ("by", "count", "least", "most"), "group")
    return Group(
        by=None if said["by"] == "scan" else _read_part(said["by"], things, "group.by"),
        count=_read_part(said["count"], things, "group.count"),
        least=read_number({"least": 1} | said, "least", 0, 1_000_000),
        most=read_number(said, "most", 0, 1_000_000) if "most" in said else None,
    )


def _read_within(said: Any, things: Mapping[str, Thing]) -> Within | None:
    if said is None:
        return None
    if not isinstance(said, dict) or not {"of", "span"} == said.keys():
        raise Invalid("within says of what instant, and in what span")
    part = _read_part(said["of"], things, "within.of")
    if part.property not in {"first_seen", "last_seen"} and (
        part.property not in ATTRIBUTES or ATTRIBUTES[part.property].unit != "us"
    ):
        raise Invalid("within.of: an attribute that is an instant")
    return Within(part, read_span(said["span"]))


def _read_unusual(said: Any, things: Mapping[str, Thing]) -> Unusual | None:
    if said is None:
        return None
    if not isinstance(said, dict) or "of" not in said:
        raise Invalid("unusual says of what")
    check_keys(said, ("of", "most", "usual", "least"), "unusual")
    return Unusual(
        of=_read_part(said["of"], things, "unusual.of"),
        most=_share(said.get("most", "10%"), "unusual.most"),
        usual=_share(said.get("usual", "50%"), "unusual.usual"),
        least=read_number({"least": 10} | said, "least", 2, 1_000_000),
    )


def _share(said: Any, where: str) -> float:
    found = _PERCENT.fullmatch(str(said).strip())
    if found is None or not 0 < float(found[1]) <= 100:
        raise Invalid(f"{where}: a share, such as 10%")
    return float(found[1]) / 100


def _read_test(said: Any) -> RuleTest:
    if not isinstance(said, dict) or not {"says", "facts", "finds"} <= said.keys():
        raise Invalid("a test says what it shows, has facts, and what they find")
    check_keys(said, ("says", "now", "facts", "finds"), "a test")
    return RuleTest(
        says=read_text(said, "says", 300),
        facts=tuple(as_list(said["facts"], "tests.facts", 500)),
        finds=tuple(str(each) for each in as_list(said["finds"], "tests.finds", 100)),
        now=read_instant(said.get("now", "2026-01-01")).at(0),
    )


def _check_joined(rule: Rule) -> None:
    """Every thing is bound, or is at the end of exactly one absent link that begins at a bound one."""
    bound = set(rule.bound)
    if any(not {link.source, link.target} <= bound for link in rule.links if not link.absent):
        raise Invalid("links do not join all things")
    free = [thing.name for thing in rule.things if thing.name not in bound]
    for name in free:
        ends = [link for link in rule.absences if name in (link.source, link.target)]
        if len(ends) != 1 or ends[0].other(name) not in bound:
            raise Invalid(f"links do not join {name} to the others")


def _check_findings(rule: Rule) -> None:
    bound = set(rule.bound)
    for name in rule.each:
        check_known(name, bound, "each", "thing that is there in every match")
    if rule.each and rule.each[0] != rule.first.name:
        raise Invalid(f"each begins with {rule.first.name}, which findings are about")
    if rule.each and (rule.group or rule.unusual):
        raise Invalid("each, group and unusual exclude each other")
    if rule.group and rule.unusual:
        raise Invalid("group and unusual exclude each other")
    if rule.within and not rule.group:
        raise Invalid("within counts in a group; there is none")
    parts = [part for part in (rule.group and rule.group.by, rule.group and rule.group.count) if part]
    parts += [each.of for each in (rule.within, rule.unusual) if each]
    for part in parts:
        check_known(part.thing, bound, "group", "thing that is there in every match")
    for name, asked in rule.places_in_headline:
        if name == "count" and not asked and rule.group:
            continue
        check_known(name, bound, "headline", "thing that is there in every match")
        if asked:
            kind_of(asked, rule.thing(name).types, "headline")
