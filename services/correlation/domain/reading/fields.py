"""Reads single fields of a rule, and says of each that is wrong what it should be."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from services.kernel.errors import Invalid


def check_keys(document: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise `Invalid` for a key that there is not, with the one that is most like it."""
    for key in document:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.5)
            raise Invalid(f"{where} has no {str(key)[:60]!r}" + (f"; did you mean {near[0]}?" if near else ""))


def check_known(word: Any, known: Iterable[str], where: str, what: str) -> None:
    there = [*known]
    if word not in there:
        near = get_close_matches(str(word), there, n=1, cutoff=0.5)
        raise Invalid(f"{where}: {str(word)[:60]!r} is no {what}" + (f"; did you mean {near[0]}?" if near else ""))


def read_text(document: Mapping[str, Any], key: str, most: int = 100, least: int = 1) -> str:
    value = document[key]
    text = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    if not least <= len(text) <= most or not text.isprintable():
        raise Invalid(f"{key}: a text of {least} to {most:,} printable characters")
    return text


def read_number(document: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = document[key]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{key}: a whole number from {least:,} to {most:,}")
    return value


def read_flag(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise Invalid(f"{key}: true or false")
    return value


def read_one_of(document: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    check_known(document[key], known, key, f"{key} of a finding")
    return str(document[key])


def as_list(said: Any, where: str, most: int) -> list[Any]:
    found = said if isinstance(said, list) else [said]
    if len(found) > most:
        raise Invalid(f"{where}: at most {most:,}")
    return found
