"""Documents of HTML as trees, each parsed in little time whatever the document has been made to cost."""

import re
from collections.abc import Iterator
from heapq import merge
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# Lexbor takes quadratic time on deep nesting: 7 ms for a piece of this many tags, 45 s for a megabyte of them.
TAGS_AT_ONCE: Final = 2_000
_piece = re.compile(rb"(?:[^<]*+<){0,%d}+[^<]*+" % TAGS_AT_ONCE)
# And on the attributes of one element: 2 minutes for a megabyte of them. Documents merge those of all their roots, and
# an element that is not closed is made again, with its attributes, in each paragraph that follows.
MOST_ATTRIBUTES: Final = 128
LONGEST_TAG: Final = 16_384
SHORT_TAG: Final = 512  # has few attributes, whatever they are
ROOTS_AT_ONCE: Final = 2
MOST_ROWS: Final = 2_000
# How many bytes are looked at in all for where doubtful tags end; an honest document has few of them.
MOST_LOOKED_AT: Final = 4_000_000
# A bracket that may stand in the value of an attribute, and so end no tag.
_hidden_bracket = re.compile(rb"""=[ \t\r\n\f]*+(?:"[^">]*+>|'[^'>]*+>)""")
_tag_start = re.compile(rb"<[A-Za-z]")
_root_tag = re.compile(rb"<(?:[Hh][Tt][Mm][Ll]|[Bb][Oo][Dd][Yy])[ \t\r\n\f/]")
# A tag up to the bracket that ends it, as the standard reads it (section 13.2.5.8 and following), or as far as is read.
_tag = re.compile(
    rb"""<[^ \t\r\n\f/>]*+
    (?:[ \t\r\n\f/]*+[^ \t\r\n\f/>][^ \t\r\n\f/>=]*+
     (?:[ \t\r\n\f]*+=[ \t\r\n\f]*+(?:"[^"]*+"?|'[^']*+'?|[^ \t\r\n\f>"'][^ \t\r\n\f>]*+)?+)?+
    ){0,%d}+[ \t\r\n\f/]*+(>?)"""
    % MOST_ATTRIBUTES,
    re.VERBOSE,
).match


def trees(text: bytes) -> Iterator["LexborNode"]:
    """Parse a document of UTF-8 in pieces that each take little time, whatever they are; they have their roots."""
    from selectolax.lexbor import LexborHTMLParser

    for stretch in _without_long_tags(text):
        for part in _with_few_roots(stretch):
            for piece in _piece.findall(part):
                root = LexborHTMLParser(piece).root if piece else None
                if root is not None:
                    yield root


def table_rows(table: bytes) -> Iterator[list[str]]:
    """The text of the cells in each row of a table, each row parsed for itself."""
    for row in table.split(b"<tr", MOST_ROWS + 1)[1 : MOST_ROWS + 1]:
        root = next(trees(b"<table><tr" + row), None)
        if root is not None:
            yield [cell.text(strip=True) for cell in root.css("td")]


def _without_long_tags(text: bytes) -> Iterator[bytes]:
    """The stretches between tags of too many bytes or attributes; what looks like a tag counts, be it in a script."""
    start, left = 0, MOST_LOOKED_AT
    for at in _doubtful_tags(text):
        tag = _tag(text, at, at + LONGEST_TAG) if at >= start else None
        if tag is None:
            continue
        left -= tag.end() - at
        if left < 0:
            yield text[start:at]
            return
        if not tag[1]:
            yield text[start:at]
            start = tag.end()
    yield text[start:]


def _with_few_roots(text: bytes) -> Iterator[bytes]:
    roots = [root.start() for root in _root_tag.finditer(text)]
    for start, end in pairwise((0, *roots[ROOTS_AT_ONCE:], len(text))):
        yield text[start:end]


def _doubtful_tags(text: bytes) -> Iterator[int]:
    """Where tags begin that may be long: the bracket that follows is far away, or in the value of an attribute."""
    for gap in merge(_hidden_brackets(text), _far_brackets(text)):
        yield from (tag.start() for tag in _tag_start.finditer(text, *gap))


def _hidden_brackets(text: bytes) -> Iterator[tuple[int, int]]:
    for hidden in _hidden_bracket.finditer(text):
        start, end = hidden.span()
        gap = text.rfind(b">", 0, start) + 1
        if _tag_start.search(text, gap, end):
            yield gap, end


def _far_brackets(text: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + SHORT_TAG < len(text):
        bracket = text.rfind(b">", at, at + SHORT_TAG)
        if bracket < 0:
            found = text.find(b">", at + SHORT_TAG)
            bracket = found if found >= 0 else len(text)
            yield at, bracket
        at = bracket + 1
