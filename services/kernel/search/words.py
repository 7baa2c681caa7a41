"""How texts and queries become comparable: lower case, no accents, words with one space between them.

``Mail-01.EU.example.org`` is `` mail 01 eu example org `` here; so is everything that a person may type for it.
"""

import re
import unicodedata
from typing import Final

MAX_TEXT: Final = 20_000
MAX_QUERY: Final = 1_000
MAX_TERMS: Final = 20
_BETWEEN: Final = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return the words of ``text``, each with a space before and after it; of a long text those at its beginning."""
    text = text[:MAX_TEXT]
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(each for each in decomposed if not unicodedata.combining(each))
    words = _BETWEEN.sub(" ", text.lower()).strip()
    return f" {words} " if words else ""


def terms(query: str) -> list[str]:
    """Return what a folded text must contain, all of it, to be found by ``query``.

    A term of three letters or more may be any part of a text, one of two the beginning of a word, one of one a word.
    """
    found: list[str] = []
    for each in query[:MAX_QUERY].split()[:MAX_TERMS]:
        term = fold(each).strip()
        if term:
            found.append(term if len(term) > 2 else f" {term}" if len(term) == 2 else f" {term} ")
    return found
