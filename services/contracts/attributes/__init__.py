"""What things are like: the vocabulary of attributes, and how to say one of an entity."""

import sys

from services.contracts.attributes.row import AttributeType
from services.contracts.attributes.table import ATTRIBUTES
from services.contracts.claims import Attribute, Entity, Malformed, OutsideVocabulary, Value
from services.contracts.entities.text import line
from services.contracts.names import shown

MAX_TEXT = 4096
_MAX_INTEGER = 2**63
_MAX_FLOAT = sys.float_info.max

__all__ = ["ATTRIBUTES", "MAX_TEXT", "AttributeType", "attribute"]


def attribute(about: Entity, name: str, value: Value) -> Attribute:
    """One attribute, its text as one printable line of up to `MAX_TEXT` characters (longer ones end in ``…``).

    Raises `OutsideVocabulary` for an unknown name and for a type of entity that it is not for, and `Malformed` for a
    value of another type, an empty text, an integer over 64 bits or a number that is not finite.
    """
    known = ATTRIBUTES.get(name)
    if known is None:
        raise OutsideVocabulary(f"{shown(name)} is not an attribute")
    if about.type not in known.about:
        raise OutsideVocabulary(f"{name} is not an attribute of a {about.type}")
    return Attribute(about, name, _plain(known, value))


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
