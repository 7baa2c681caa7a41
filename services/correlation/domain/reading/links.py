"""Reads how the things of a rule hang together."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.contracts.relations import RELATION_TYPES
from services.correlation.domain.reading.conditions import read_condition
from services.correlation.domain.reading.fields import as_list, check_keys, check_known, read_flag, read_number
from services.correlation.domain.rule import MAX_REACH, Condition, Link, Thing
from services.kernel.errors import Invalid

#: What is asked of every link, besides its qualifiers and details.
OF_LINKS: Final = ("first_seen", "last_seen", "modules", "sources", "confidence")
ANY: Final = "any"

_SHORT: Final = re.compile(r"(not )?\s*(\w+)\s+(\w+)\s+(\w+)")


def read_link(said: Any, things: Mapping[str, Thing]) -> Link:
    """One link, as `thing relation thing` or spelled out."""
    said = _spell_out(said) if isinstance(said, str) else said
    if not isinstance(said, dict):
        raise Invalid("links: a link is `thing relation thing`, or says from, relation and to")
    check_keys(said, ("from", "relation", "to", "where", "hops", "either", "absent"), "a link")
    for key in ("from", "relation", "to"):
        if key not in said:
            raise Invalid(f"a link needs {key}")
    where = f"the link {said['from']} {said['relation']} {said['to']}"[:100]
    for end in ("from", "to"):
        check_known(said[end], things, where, "thing of the rule")
    if said["from"] == said["to"]:
        raise Invalid(f"{where}: it joins two things")
    absent = said.get("absent", False)
    if absent not in (True, False, "answered"):
        raise Invalid(f"{where}: absent is true, false or answered")
    types = _read_types(said["relation"], where)
    asked = said.get("where", {})
    if not isinstance(asked, dict):
        raise Invalid(f"{where}: where says what holds of qualifiers and details")
    link = Link(
        source=said["from"],
        target=said["to"],
        types=types,
        where=tuple(_read_link_condition(key, value, types, where) for key, value in asked.items()),
        hops=read_number({"hops": 1} | said, "hops", 1, MAX_REACH),
        either=read_flag(said, "either"),
        absent=bool(absent),
        answered=absent == "answered",
    )
    if link.hops == 1:
        _check_pairs(link, things, where)
    return link


def _spell_out(said: str) -> dict[str, Any]:
    short = _SHORT.fullmatch(said.strip())
    if short is None:
        raise Invalid(f"links: {said[:80]!r} is not `thing relation thing`")
    absent, source, kind, target = short.groups()
    return {"from": source, "relation": kind, "to": target} | ({"absent": True} if absent else {})


def _read_types(said: Any, where: str) -> tuple[str, ...]:
    types = tuple(as_list(said, where, len(RELATION_TYPES)))
    for each in types:
        check_known(each, (*RELATION_TYPES, ANY), where, "type of relation")
    return () if ANY in types else types


def _read_link_condition(key: Any, said: Any, types: Sequence[str], where: str) -> Condition:
    known = {*OF_LINKS}
    for name in types or RELATION_TYPES:
        known |= {*RELATION_TYPES[name].qualifiers, *RELATION_TYPES[name].details}
    check_known(key, sorted(known), where, "qualifier or detail of such a relation")
    kinds = {RELATION_TYPES[name].details.get(key, str) for name in types or RELATION_TYPES}
    kind = float if key in OF_LINKS and key != "modules" else int if kinds == {int} else str
    return read_condition(key, said, f"{where}, {key}", kind)


def _check_pairs(link: Link, things: Mapping[str, Thing], where: str) -> None:
    """A link that can never be is a fault of the rule."""
    source, target = things[link.source], things[link.target]
    ends = [(a, b) for a in source.types for b in target.types]
    ends += [(b, a) for a, b in ends] if link.either else []
    if link.types and not any(pair in RELATION_TYPES[name].pairs for name in link.types for pair in ends):
        names = " or ".join(link.types)
        raise Invalid(f"{where}: {names} never leads from {'/'.join(source.types)} to {'/'.join(target.types)}")
