"""Regular expressions of anybody, on texts of anybody: what `re` finds, in linear time."""

import re
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.correlation.domain.patterns import MAX_PLAIN, compile_pattern
from services.kernel.errors import Invalid

_ATOMS = ["a", "b", "A", "é", r"\.", "[ab]", "[^a]", ".", r"\w", r"\s", r"\d", "^", "$", r"\b", r"\B", r"\Z", "_", "k"]
_REPEATS = ["*", "+", "?", "{2}", "{1,3}", "*?", "{2,}"]
_patterns = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda each: f"(?:{each[0]}|{each[1]})"),
        st.tuples(st.sampled_from(["", "?s:", "?m:", "?-i:", "?a:"]), inner).map(lambda each: f"({each[0]}{each[1]})"),
        st.tuples(inner, st.sampled_from(_REPEATS)).map(lambda each: f"(?:{each[0]}){each[1]}"),
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(_patterns, st.lists(st.text("abAé.\n _1KſsK", max_size=8), min_size=1, max_size=6))
def test_a_pattern_finds_what_re_finds(pattern, texts):
    found = compile_pattern(pattern)
    expected = re.compile(pattern, re.IGNORECASE)
    for text in texts:
        assert found(text) == bool(expected.search(text)), text
        # The same text where `re` is not asked.
        long = "\x01" * (MAX_PLAIN + 1) + text
        assert found(long) == bool(expected.search(long)), long


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "(a?){30}a{30}b", "a.*a.*a.*a.*b", "(x+x+)+y", ".*.*.*.*=.*", "(?:a?){25}b", "(a|aa)+$b"],
)
def test_no_pattern_takes_longer_than_its_text_is_long(pattern):
    found = compile_pattern(pattern)
    started = process_time()
    assert not found("a" * 20_000)
    assert process_time() - started < 2.0


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(a", "is no regular expression"),
        ("a" * 1_001, "at most 1,000 characters"),
        (r"(a)\1", "does not refer to its groups"),
        ("(a)(?(1)b|c)", "does not refer to its groups"),
        ("(?=a+b+)c", "a pattern repeats one thing at most"),
        ("(?:a++b)+c", "a pattern repeats one thing at most"),
        ("(?:a{100}){100}", "at most 5,000 steps"),
    ],
)
def test_what_cannot_be_tried_in_linear_time_is_refused(pattern, said):
    with pytest.raises(Invalid, match=said):
        compile_pattern(pattern)


def test_case_counts_where_it_is_asked_for():
    assert compile_pattern("ip_address")("IP_ADDRESS")
    assert not compile_pattern("ip_address", whatever_case=False)("IP_ADDRESS")
    assert compile_pattern("(?:IP_)+A", whatever_case=False)("IP_ADDRESS")
    assert not compile_pattern("(?:ip_)+a", whatever_case=False)("IP_ADDRESS")


def test_anything_before_and_after_changes_nothing_and_costs_nothing():
    assert compile_pattern(r".*dev.*")("www.DEV.example.org")
    assert compile_pattern(r".*\.*")("anything")
    assert not compile_pattern(r"a\.*b")("a..c")
    assert not compile_pattern(r".*+a")("aaa")
