"""What things are like: the vocabulary of attributes, and how to say one or many of an entity."""

import sys
from collections.abc import Iterable, Iterator

from services.contracts.attributes.row import AttributeType
from services.contracts.attributes.table import ATTRIBUTES
from services.contracts.claims import Attribute, Entity, Malformed, Value
from services.contracts.entities.text import line
from services.contracts.names import shown

MAX_TEXT = 4096
_MAX_INTEGER = 2**63
_MAX_FLOAT = sys.float_info.max

__all__ = ["ATTRIBUTES", "MAX_TEXT", "AttributeType", "attribute", "describe"]


def attribute(about: Entity, name: str, value: Value) -> Attribute:
    """One attribute, its text as one printable line of up to `MAX_TEXT` characters (longer ones end in ``…``).

    Raises `Malformed` for an unknown name, for a type of entity that it is not for, and for a value of another type,
    an empty text, an integer over 64 bits or a number that is not finite.
    """
    known = ATTRIBUTES.get(name)
    if known is None:
        raise Malformed(f"{shown(name)} is not an attribute")
    if about.type not in known.about:
        raise Malformed(f"{name} is not an attribute of a {about.type}")
    return Attribute(about, name, _plain(known, value))


def describe(about: Entity, **values: Value | Iterable[Value | None] | None) -> Iterator[Attribute]:
    """An attribute for every value, of a list for each of its items; None and empty texts are left out.

    Raises `Malformed` as `attribute` does, and for a list where the attribute has one value.
    """
    for name, given in values.items():
        if given is None or given == "":
            continue
        if isinstance(given, str | int | float):
            yield attribute(about, name, given)
            continue
        if name in ATTRIBUTES and not ATTRIBUTES[name].many:
            raise Malformed(f"{name} has one value")
        for value in given:
            if value is not None and value != "":
                yield attribute(about, name, value)


def _plain(known: AttributeType, value: Value) -> Value:
    kind = known.value
    if isinstance(value, str):
        if kind is str:
            return _text(known, value)
    elif isinstance(value, bool):
        if kind is bool:
            return value
    elif kind is int and isinstance(value, int):
        if -_MAX_INTEGER <= value < _MAX_INTEGER:
            return value
    elif kind is float and -_MAX_FLOAT <= value <= _MAX_FLOAT:
        return float(value)
    raise Malformed(f"{known.name} is of type {kind.__name__}, which this value of type {type(value).__name__} is not")


def _text(known: AttributeType, value: str) -> str:
    plain = line(value[: 2 * MAX_TEXT], known.name, limit=8 * MAX_TEXT)
    return plain if len(plain) <= MAX_TEXT else plain[: MAX_TEXT - 1] + "…"
