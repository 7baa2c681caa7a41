"""What a pattern of subjects stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.bus.subjects import check_pattern, check_subject, covers, matches, narrowed, overlap
from services.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True), ("a.b", "a.c", False), ("a.b", "a", False), ("a", "a.b", False),
        ("a.*", "a.b", True), ("a.*", "a", False), ("a.*", "a.b.c", False), ("*.b", "a.b", True),
        ("a.>", "a.b", True), ("a.>", "a.b.c", True), ("a.>", "a", False), (">", "a", True), ("*.>", "a", False),
    ],
)  # fmt: skip
def test_a_pattern_matches_as_in_nats(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


@pytest.mark.parametrize("bad", ["", "a.", ".a", "a..b", "a b", "a\tb", "a.>.b", ">.a"])
def test_malformed_patterns_are_refused(bad: str) -> None:
    with pytest.raises(Invalid):
        check_pattern(bad)
    with pytest.raises(Invalid):
        check_subject(bad)


patterns = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4).flatmap(
    lambda tokens: st.sampled_from([".".join(tokens), ".".join([*tokens, ">"])])
)
subjects = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5).map(".".join)


@given(patterns, patterns, subjects)
def test_patterns_that_share_a_subject_overlap(one: str, other: str, subject: str) -> None:
    if matches(one, subject) and matches(other, subject):
        assert overlap(one, other)


@given(patterns, patterns)
def test_patterns_that_overlap_share_a_subject(one: str, other: str) -> None:
    length = max(len(one.split(".")), len(other.split(".")))

    def concrete(place: int) -> str:
        for pattern in (one, other):
            tokens = pattern.split(".")
            if place < len(tokens) and tokens[place] not in {"*", ">"}:
                return tokens[place]
        return "a"

    candidates = [".".join(concrete(place) for place in range(n)) for n in range(1, length + 2)]
    assert overlap(one, other) == any(matches(one, each) and matches(other, each) for each in candidates)
    assert overlap(one, other) == overlap(other, one)


@pytest.mark.parametrize(
    ("wide", "narrow", "is_so"),
    [
        ("a.>", "a.b", True), ("a.>", "a.*.c", True), ("a.>", "a.b.>", True), ("a.>", "a.>", True), (">", "a.>", True),
        ("a.*", "a.b", True), ("a.*", "a.*", True), ("a.b", "a.*", False), ("a.*", "a.>", False),
        ("a.b.>", "a.>", False), ("a.*.c", "a.b.*", False),
    ],
)  # fmt: skip
def test_a_pattern_covers_what_has_no_subject_beyond_it(wide: str, narrow: str, is_so: bool) -> None:
    assert covers(wide, narrow) is is_so


def test_patterns_are_narrowed_to_what_a_stream_keeps() -> None:
    assert narrowed([">"], ["a.>", "b.c"]) == ("a.>", "b.c")
    assert narrowed(["a.b.>", "a.>", "c"], ["a.*.d"]) == ("a.b.>", "a.*.d")
    assert narrowed(["x"], ["a.>"]) == ()
