"""Names of organisations and people in a form in which they can be compared, and how alike two of them are."""

import re
from functools import lru_cache
from typing import Final
from unicodedata import combining, normalize

#: Forms of companies, as they are left once marks are gone; taken off either end, never the whole name.
_LEGAL: Final = frozenset({
    "ab", "ae", "ag", "aktiebolag", "aktiengesellschaft", "and", "ao", "aps", "as", "asa", "bhd", "bv", "bvba", "co",
    "company", "corp", "corporation", "cv", "dac", "doo", "eg", "ek", "eood", "ev", "gbr", "ggmbh", "gmbh", "inc",
    "incorporated", "jsc", "kaisha", "kabushiki", "kft", "kg", "kgaa", "kk", "limited", "llc", "llp", "lp", "ltd",
    "ltda", "mbh", "nv", "oao", "ohg", "ooo", "oue", "oy", "oyj", "pao", "pjsc", "plc", "private", "pt", "pte", "pty",
    "pvt", "sa", "sab", "sarl", "sas", "sasu", "sdn", "se", "sia", "sl", "slu", "snc", "spa", "spolka", "spzoo", "srl",
    "srls", "sro", "tbk", "the", "tov", "uab", "ug", "vof", "zao", "zrt",
})  # fmt: skip
_TITLES: Final = frozenset({
    "ba", "bsc", "dipl", "dr", "frau", "herr", "ing", "jr", "mba", "md", "miss", "mr", "mrs", "ms", "msc", "phd",
    "prof", "sir", "sr",
})  # fmt: skip
_DOTTED: Final = re.compile(r"\b(?:\w\.){2,}\w?")
_SPLIT: Final = re.compile(r"[^\w]+|_+")
_SPACED: Final = re.compile(r"\b(s p a|s r l|s r o|s a r l|sp z oo|sp z o o|d o o|s a|a s|b v|n v)$")
#: Letters that do not fall apart into a Latin one and a mark: Cyrillic as passports have it, Greek as ELOT 743.
_LATIN: Final = str.maketrans({
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h",
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "є": "ye", "ж": "zh", "з": "z", "и": "i",
    "і": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u",
    "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e",
    "ю": "yu", "я": "ya", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o", "&": " and ", "+": " and ",
})  # fmt: skip
#: Umlauts are written in two ways, Müller and Mueller: both become one.
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})

_COUNTRY: Final = re.compile(r"(.+) \(([A-Za-z]{2})\)")

MOST_WORDS: Final = 12
LONGEST: Final = 256


@lru_cache(maxsize=8192)
def plain_name(text: str, kind: str) -> str:
    """The words of a name in Latin letters without marks, legal forms or titles; empty where none is left.

    ``kind``: organization or person.
    """
    lowered = normalize("NFC", text[:LONGEST]).casefold().translate(_UMLAUTS).translate(_LATIN)
    bare = "".join(char for char in normalize("NFKD", lowered) if not combining(char)).translate(_LATIN)
    joined = _DOTTED.sub(lambda found: found[0].replace(".", ""), bare)
    words = " ".join(word for word in _SPLIT.split(joined) if word)
    if kind == "organization":
        words = _SPACED.sub(lambda found: found[0].replace(" ", ""), words)
    left = _without(words.split(), _LEGAL if kind == "organization" else _TITLES)
    return " ".join(left[:MOST_WORDS])


def _without(words: list[str], ends: frozenset[str]) -> list[str]:
    """The words but for those at either end that say nothing; all of them where none else would be left."""
    first, last = 0, len(words)
    while last > first and words[last - 1] in ends:
        last -= 1
    while first < last and words[first] in ends:
        first += 1
    return words[first:last] or words


def plain_value(text: str) -> str:
    """What somebody writes of an organisation or account as its key has it: in small letters but for the country."""
    named = _COUNTRY.fullmatch(" ".join(text.split()))
    return f"{named[1].casefold()} ({named[2].upper()})" if named else " ".join(text.split()).casefold()


def name_blocks(plain: str) -> list[str]:
    """Under what to look for names that may be the same: all words, each of them, and how longer words begin.

    The beginning finds a word that is misspelt further on, which no whole word would.
    """
    words = plain.split()
    found = {f"={' '.join(sorted(words))}"}
    for word in words:
        if len(word) >= 3:
            found.add(word)
        if len(word) >= 6:
            found.add(f"{word[:4]}*")
    return sorted(found)


def likeness(one: str, other: str) -> float:
    """How alike two plain names are, 0 to 100, whatever the order of their words."""
    from rapidfuzz import fuzz

    return float(fuzz.token_sort_ratio(one, other))
