"""What a document may make the parser do: no element has more attributes than any page needs."""

import random
from collections.abc import Iterator

import pytest

from services.collector.pages import trees as code
from services.collector.pages.html import read_html
from services.collector.pages.trees import (
    LONGEST_TAG,
    MOST_ATTRIBUTES,
    MOST_LOOKED_AT,
    MOST_ROWS,
    SHORT_TAG,
    table_rows,
    trees,
)

URL = "https://www.example.org/"
MANY = [b"n%d" % number for number in range(30_000)]
ATTRIBUTES = b" ".join(MANY)
QUOTED = b" ".join(b" ".join(MANY[place : place + 90]) + b" q%d='>'" % place for place in range(0, len(MANY), 90))
#: A tag of a few more attributes than are looked for is passed where it is short.
MOST = max(MOST_ATTRIBUTES, SHORT_TAG // 3)


def attributes(body: bytes) -> int:
    """The most attributes that an element has."""
    return max((len(node.attributes) for root in trees(body) for node in root.traverse()), default=0)


@pytest.mark.parametrize(
    "body",
    [
        b"<a " + ATTRIBUTES + b">",
        b"<a/" + ATTRIBUTES.replace(b" ", b"/") + b">",
        b"<a " + QUOTED + b">",
        b"<a " + b"".join(name + b'=">"' for name in MANY) + b">",
        b"<a " + b" < ".join(MANY) + b">",
        b'<!-- <a b=" --><a ' + ATTRIBUTES + b' ">',
        b'<script>a<b="</script><a ' + ATTRIBUTES + b' ">',
        b'<a ="x b=">" ' + ATTRIBUTES + b">",
        b"x=\"<a y='>' " + QUOTED + b">",
        b"".join(b"<html %b %b=1>" % (name, name.upper() + b"x") for name in MANY),
        b"".join(b"<BODY %b>" % name for name in MANY),
    ],
    ids=[
        "plain",
        "slashes",
        "brackets in values",
        "values only",
        "openings",
        "comment",
        "script",
        "equals",
        "value in a value",
        "html",
        "body",
    ],
)
def test_no_element_has_attributes_without_end(body: bytes) -> None:
    assert attributes(body) <= MOST


def pieces_of_markup(dice: random.Random) -> Iterator[bytes]:
    openings = [
        b"<a ",
        b"<b/",
        b"<!--",
        b"-->",
        b"<script>",
        b"</script>",
        b"<title>",
        b"</title>",
        b">",
        b"<",
        b"/",
        b"=",
    ]
    openings += [b'="', b"='", b'"', b"'", b"x", b"=x", b"\n", b"\v", b"<svg>", b"<![CDATA[", b"]]>", b"</textarea>"]
    some = dice.sample(openings, dice.randint(2, 9))
    for number in range(2_000):
        yield dice.choice([b" q%d", b"/q%d", b" q%d "]) % number
        if dice.random() < 0.4:
            yield dice.choice(some)
    yield dice.choice([b'">', b"'>", b">"])


@pytest.mark.parametrize("seed", range(60))
def test_whatever_it_stands_in_no_tag_is_taken_for_shorter_than_it_is(seed: int) -> None:
    assert attributes(b"".join(pieces_of_markup(random.Random(seed)))) <= MOST


@pytest.mark.parametrize(
    "before",
    [
        b"<a " + ATTRIBUTES + b">",
        b'<img src="data:image/png;base64,' + b"QUJD" * 5_000 + b'">',
        b"<script>for(i=0;i<n;i++){x='" + b"data " * 10_000 + b"'}</script>",
        b"<p title='a > b'>" + b"words and words " * 10_000,
        b'<button data-x="<b>bold</b>" onclick="a>b">',
    ],
    ids=["many attributes", "a picture", "a script", "prose", "markup in values"],
)
def test_what_follows_something_long_is_read(before: bytes) -> None:
    assert read_html(before + b"<p><a href=/next>", URL).urls("a")[-1] == URL + "next"


def test_where_tags_end_is_looked_for_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like tags within one another, each of which ends where the outermost does."""
    body = (b"".join(b"<a y=%b " % (b"z" * 100) for _ in range(60)) + b">") * 150
    looked_at = []
    look = code._tag
    monkeypatch.setattr(code, "_tag", lambda *place: looked_at.append(look(*place)) or looked_at[-1])
    assert attributes(body) <= MOST
    assert sum(len(tag[0]) for tag in looked_at if tag) <= MOST_LOOKED_AT + LONGEST_TAG


def test_the_rows_of_a_table_are_the_texts_of_their_cells() -> None:
    table = b"<tr><th>Name<tr class=x><td> a <td><b>b</b> c</td></tr><tr><td>d</td></tr>"
    assert list(table_rows(table)) == [[], ["a", "bc"], ["d"]]


def test_no_more_rows_are_read_than_a_page_has() -> None:
    assert sum(1 for _ in table_rows(b"<tr><td>1" * (MOST_ROWS + 10))) == MOST_ROWS
