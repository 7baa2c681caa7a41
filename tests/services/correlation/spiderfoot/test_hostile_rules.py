"""Whatever somebody sends as a rule is read or refused, and none stops the others."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.correlation.domain.spiderfoot.engine import evaluate, explain, needed_types, needs, read_rule
from services.correlation.domain.spiderfoot.rule import SpiderFootRule
from services.kernel.errors import Invalid
from tests.services.correlation.spiderfoot.conditions import CONDITIONS, rule_named
from tests.services.correlation.spiderfoot.planted import planted
from tests.services.correlation.spiderfoot.tree import block, text_of

EVENTS = planted().events()

_junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["not ", "(", "not (", "*", "{data}", "source.data", "IP_ADDRESS", "exact", "regex", "subnet"]),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def judge(text: str) -> SpiderFootRule | None:
    """Read a rule and all that can be asked of it; only `Invalid` may come of it."""
    try:
        rule = read_rule(text)
    except Invalid:
        return None
    evaluate(rule, EVENTS)
    explain(rule, EVENTS)
    assert needed_types(rule) is not None
    assert needs(rule) is not None
    return rule


def rule_texts() -> list[str]:
    return [
        text_of(*collections, by=by, **({"headline": "{data} {entity.data}"} | more))
        for collections, by, more in CONDITIONS.values()
    ]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(rule_texts()), st.data())
def test_a_rule_of_which_anything_was_replaced_is_read_or_refused(text, data):
    rule = yaml.safe_load(text)
    at = rule
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not (isinstance(at[key], dict | list) and at[key]) or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(_junk)
    judge(yaml.safe_dump(copy.deepcopy(rule), allow_unicode=True))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text("{}[]:-&*!|>'\"#% \nabc\t,", max_size=60)))
def test_any_text_is_read_or_refused(text):
    judge(text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*x", "(a|aa)+$", ".*a.*a.*a.*a.*b", "([a-z.]+)+!", "(x?){40}x{40}"])
def test_a_pattern_that_is_meant_to_take_for_ever_does_not(pattern):
    assert judge(text_of([block("type", "INTERNET_NAME"), block("data", pattern, f"not {pattern}", regex=True)]))


def test_a_bad_rule_stops_no_other():
    texts = [text_of([block("type", "DOMAIN_NAME")]), "collections: [", text_of([block("type", "NOTHING")])]
    assert [judge(text) is not None for text in [*texts, texts[0]]] == [True, False, False, True]


def test_rules_change_nothing_of_the_events_that_others_see():
    alone = {name: [each.headline for each in evaluate(rule_named(name), EVENTS)] for name in CONDITIONS}
    for name in reversed(CONDITIONS):
        assert [each.headline for each in evaluate(rule_named(name), EVENTS)] == alone[name]
