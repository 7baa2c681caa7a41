"""YAML of rules: what is read, and what is refused with its place."""

from itertools import pairwise

import pytest

from services.correlation.domain.documents import MAX_BYTES, load_document
from services.kernel.errors import Invalid


def test_plain_values_are_read():
    found = load_document("a: 1\nb: [x, 2.5, true]\nc:\n  d: >\n    two\n    words\n")
    assert found == {"a": 1, "b": ["x", 2.5, True], "c": {"d": "two words\n"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: a rule is a mapping"),
        ("- a", "line 1, column 1: a rule is a mapping"),
        ("a: 1\nb:\n  - c: &x 1", "line 3, column 8: a rule has no anchors"),
        ("a: *x", "line 1, column 4: a rule has no anchors"),
        ("a: 1\n<<: {b: 1}", "line 2, column 1: a key is a text"),
        ("a: !!python/name:os.system", "line 1, column 4: a rule has no tags"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the key 'c' is there twice"),
        ("1: a", "line 1, column 1: a key is a text"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a rule is one document"),
        ("a: " + "[" * 40, "line 1, column 19: deeper than 16 blocks"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("a: 1\nb: 'x", "line 2, column 6: found unexpected end of stream"),
        ("a: 1\nb: \x00", "line 2, column 4: a character that YAML does not have"),
        ("a: " + "1" * 100, "line 1, column 4: a number has at most 64 characters"),
        ("a: 2026-13-45", "a value is none of its kind"),
        ("a: \ud800", "a value is none of its kind"),
        ("a: " + "x" * MAX_BYTES, "a rule has at most 64 kB"),
        ("a: " + "é" * (MAX_BYTES // 2), "a rule has at most 64 kB"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text, said):
    with pytest.raises(Invalid, match=said.replace("(", r"\(")):
        load_document(text)


def test_a_bomb_of_aliases_is_refused_before_it_is_made():
    names = "abcdefghijklmnopqrst"
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise(names))
    with pytest.raises(Invalid, match="anchors"):
        load_document(bomb)
