"""SPF records (RFC 7208): their terms, and what the whole tree of them costs to evaluate."""

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

MAX_LOOKUPS = 10
"""Look-ups that evaluating a record may cost (section 4.6.4); a receiver gives up beyond them."""

_MAX_TERMS = 300
_MAX_TREE = 40
_COSTLY = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_term = re.compile(
    r"([+~?-]?)(all|include|a|mx|ptr|ip4|ip6|exists|redirect|exp)(?:[:=]([^/\s]*))?(/[0-9/]{1,8})?"
).fullmatch


class Term(Struct, frozen=True):
    """A mechanism or modifier: ``-all``, ``include:spf.example.net``, ``ip4:192.0.2.0/24``.

    ``target`` is the name or address after the colon or equals sign, ``prefix`` the length after a slash.
    """

    qualifier: str
    mechanism: str
    target: str
    prefix: str


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record of version 1 (section 4.5)."""
    return text[:6].lower() == "v=spf1" and text[6:7] in {"", " "}


def read_terms(text: str) -> list[Term]:
    """The terms of a record; unknown ones are left out."""
    found: list[Term] = []
    for word in text.lower().split()[1 : _MAX_TERMS + 1]:
        term = _term(word)
        if term:
            found.append(Term(term[1] or "+", term[2], (term[3] or "").rstrip("."), (term[4] or "").lstrip("/")))
    return found


def policy(terms: Iterable[Term]) -> str:
    """What a record says of senders that nothing in it matched: ``-all``, ``~all``, ``+all`` or ``?all``."""
    return next((f"{term.qualifier}all" for term in terms if term.mechanism == "all"), "?all")


def followed(terms: list[Term]) -> list[str]:
    """The names whose own record is read as well: includes, and a redirect where nothing matches everything."""
    complete = any(term.mechanism == "all" for term in terms)
    return [
        term.target
        for term in terms
        if (term.mechanism == "include" or (term.mechanism == "redirect" and not complete))
        and term.target
        and "%" not in term.target
    ]


def count_lookups(name: str, record_of: Callable[[str], str | None]) -> int:
    """Look-ups that evaluating the record of ``name`` costs when nothing matches early.

    ``record_of`` gives the SPF record of a name, None when it has none. A record that includes itself counts each time
    until `_MAX_TREE` records were read, as a receiver would count until it gave up.
    """
    waiting = [name]
    read = count = 0
    while waiting and read < _MAX_TREE:
        text = record_of(waiting.pop())
        read += 1
        terms = read_terms(text) if text else []
        complete = any(term.mechanism == "all" for term in terms)
        count += sum(term.mechanism in _COSTLY and not (term.mechanism == "redirect" and complete) for term in terms)
        waiting += followed(terms)
    return count


def names_in(terms: Iterable[Term]) -> Iterator[str]:
    """The names that a record mentions, those with macros left out."""
    for term in terms:
        if term.mechanism in _COSTLY and term.target and "%" not in term.target:
            yield term.target


def networks_in(terms: Iterable[Term]) -> Iterator[str]:
    """The addresses and networks that a record mentions, ``192.0.2.1`` or ``192.0.2.0/24``."""
    for term in terms:
        if term.mechanism in {"ip4", "ip6"}:
            yield f"{term.target}/{term.prefix}" if term.prefix else term.target
