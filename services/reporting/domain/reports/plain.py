"""Texts of the outside made such that they are read as they are: nothing hidden, turned round, or without a glyph."""

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import msgspec

from services.reporting.domain.reports.document import Document
from services.reporting.domain.reports.words import rests_on

#: Scripts that the fonts have which come with typst.
_SCRIPTS: Final = ("LATIN", "GREEK", "CYRILLIC")
#: What else they have, beside what is below U+0250: dashes, quotes, the ellipsis and the bullet.
_MARKS: Final = frozenset("–—‘’“”…•·×")


def visible(text: str) -> str:
    """A text whose controls, marks that turn it round and other characters that are not seen are written as numbers."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _number(c) for c in text)


def typeset(text: str) -> str:
    """The same for who has only the fonts that come with typst: what they lack is written as a number too."""
    return text if text.isascii() and text.isprintable() else "".join(c if _has_glyph(c) else _number(c) for c in text)


def laid_out(document: Document, write: Callable[[str], str]) -> dict[str, Any]:
    """A document for a template: texts by ``write``, numbers as they are shown, and behind a statement its basis."""
    shown: dict[str, Any] = _laid_out(msgspec.to_builtins(document), write)
    return {name: value for name, value in shown.items() if name not in {"findings", "claims"}}


def _laid_out(value: Any, write: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return write(value)
    if isinstance(value, list | tuple):
        return [_laid_out(member, write) for member in value]
    if not isinstance(value, dict):
        return value
    made = {name: _laid_out(member, write) for name, member in value.items()}
    if "text" in value or "cells" in value:
        made["basis"] = rests_on(made.pop("findings"), made.pop("claims"))
    if "label" in value:
        made["shown"] = f"{value['number']:,}"
    return made


def _number(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    if not character.isprintable():
        return False
    if character < "\u0250" or character in _MARKS:
        return True
    return unicodedata.category(character)[0] == "L" and unicodedata.name(character, "").startswith(_SCRIPTS)
