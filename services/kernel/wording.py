"""What is wrong with something that came in, in words: which field, and what it should be.

What a field with a pattern is to be is said where its type is declared (`Meta.description`); a pattern helps nobody.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import inspect

_PLACE: Final = re.compile(r"(.*?) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)
_PATTERN: Final = re.compile(r"Expected `str` matching regex (.*)", re.DOTALL)
_LENGTH: Final = re.compile(r"Expected `(str|array|object)` of length (>=|<=) (\d+)")
_BOUND: Final = re.compile(r"Expected `(?:int|float)` (>=|<=) (\S+)")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MOST: Final = {">=": "at least", "<=": "at most"}
_COUNTED: Final = {"str": "character", "array": "member", "object": "member"}


def fault_of(error: Exception, form: Any) -> str:
    """What msgspec, or who read bytes, has against something that should be of ``form``: one sentence."""
    said = str(error)
    found = _PLACE.fullmatch(said)
    what, place = (found[1], found[2]) if found else (said, "")
    if missing := _MISSING.fullmatch(what):
        return f"{_inside(place, missing[1])} is missing"
    if unknown := _UNKNOWN.fullmatch(what):
        return f"there is no field {_inside(place, unknown[1][:100])}"
    return f"{place}: {_expected(what, form)}" if place else _expected(what, form)


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _expected(what: str, form: Any) -> str:
    if pattern := _PATTERN.fullmatch(what):
        described = {repr(each): words for each, words in _described(form)}
        return _inner(described.get(pattern[1], "this is not of the right form"))
    if length := _LENGTH.fullmatch(what):
        kind, which, number = length.groups()
        return f"{_MOST[which]} {number} {_COUNTED[kind]}{'' if number == '1' else 's'}"
    if bound := _BOUND.fullmatch(what):
        return f"{_MOST[bound[1]]} {bound[2]}"
    return _inner(what)


def _inner(sentence: str) -> str:
    """A sentence as it stands behind a colon."""
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


@lru_cache(maxsize=512)
def _described(form: Any) -> tuple[tuple[str, str], ...]:
    """The patterns in a form, and what is said of each in words."""
    return tuple(_patterns(inspect.type_info(form), set()))


def _patterns(info: Any, seen: set[type]) -> Iterator[tuple[str, str]]:
    if isinstance(info, inspect.Metadata):
        words = (info.extra_json_schema or {}).get("description", "")
        if isinstance(info.type, inspect.StrType) and info.type.pattern is not None and words:
            yield info.type.pattern, words
    for part in _parts(info, seen):
        yield from _patterns(part, seen)


def _parts(info: Any, seen: set[type]) -> Iterator[Any]:
    """The types of which one is made; of a Struct once, since it may hold its like."""
    if isinstance(info, inspect.StructType):
        fields = () if info.cls in seen else info.fields
        seen.add(info.cls)
        yield from (field.type for field in fields)
    for name in ("type", "item_type", "key_type", "value_type"):
        if isinstance(part := getattr(info, name, None), inspect.Type):
            yield part
    yield from (*getattr(info, "types", ()), *getattr(info, "item_types", ()))
