"""Claims in words: values by their unit, relations with what qualifies them, lines of the canonical form."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.cli.text import instant
from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Entity

#: Qualifiers of which the value alone does not tell what it is.
NAMED: Final = frozenset({"sni", "host"})
YES: Final = "yes"

_changed: Final = re.compile(r"(now|no longer) (\w+) = (.+)", re.DOTALL).fullmatch


def value_words(name: str, value: Any) -> str:
    """The value of an attribute as people write it: times as times."""
    known = ATTRIBUTES.get(name)
    return instant(value) if known is not None and known.unit == "us" else str(value)


def qualified(qualifiers: Mapping[str, str]) -> str:
    """What stands behind a relation: `` (A)``, `` (sni www.example.org, host example.org)``, or nothing."""
    words = [_qualifier(name, value) for name, value in sorted(qualifiers.items())]
    return f" ({', '.join(words)})" if words else ""


def _qualifier(name: str, value: str) -> str:
    if value == YES:
        return name
    return f"{name} {value}" if name in NAMED else value


def claim_words(line: str) -> str:
    """A line as `services.contracts.claims.claim_line` writes it, in words; of another form as it is."""
    try:
        said = msgspec.json.decode(line)
        match said:
            case ["entity", thing]:
                return _thing(thing)
            case ["relation", name, source, target, qualifiers]:
                return f"{name} {_thing(source)} → {_thing(target)}{qualified(qualifiers)}"
            case ["attribute", about, name, value]:
                return f"{_thing(about)}: {name} = {value_words(name, value)}"
            case ["absence", about, predicate]:
                return f"{_thing(about)}: no {predicate}"
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        pass
    return line


def _thing(parts: list[str]) -> str:
    return f"{parts[0]} {Entity(type=parts[0], key=tuple(parts[1:])).value}"


def change_words(what: str) -> str:
    """What a comparison says of a change, in words: an attribute's value, or what qualifies a relation."""
    attribute = _changed(what)
    try:
        if attribute:
            return f"  {attribute[1]} {attribute[2]} = {value_words(attribute[2], msgspec.json.decode(attribute[3]))}"
        match msgspec.json.decode(what):
            case ["relation", _, _, _, qualifiers]:
                return qualified(qualifiers)
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        pass
    return f"  {what}" if what else ""
