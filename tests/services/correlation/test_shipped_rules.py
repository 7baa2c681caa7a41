"""The rules that come with Mirage: each holds what its own tests say, and stands in the table of the page on rules."""

import re
from pathlib import Path

import pytest

import services.correlation.rules
from services.correlation.domain.rule import CATEGORIES, Rule
from services.correlation.domain.testing import run_tests
from services.correlation.store.shipped import shipped_rules, shipped_texts

RULES = shipped_rules()
PAGE = Path(services.correlation.rules.__file__).with_name("README.md")


def table() -> str:
    rows = (f"| `{rule.id}` | {rule.category} | {rule.severity} | {rule.title} |" for rule in RULES.values())
    return "\n".join(("| rule | category | severity | finds |", "| --- | --- | --- | --- |", *rows))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_a_rule_finds_what_its_tests_say(rule: Rule) -> None:
    for outcome in await run_tests(rule):
        assert outcome.passed, (outcome.test.says, outcome.found)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_has_a_test_that_finds_something_and_one_that_looks_alike(rule: Rule) -> None:
    assert any(test.finds for test in rule.tests)
    assert any(not test.finds and test.facts for test in rule.tests)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_says_what_it_means_and_what_to_do(rule: Rule) -> None:
    assert len(rule.description) > 80
    assert len(rule.advice) > 20
    assert rule.references
    assert not [each for each in rule.references if "://" in each], "links rot"


def test_there_are_rules_of_every_category() -> None:
    assert len(RULES) >= 45
    assert {rule.category for rule in RULES.values()} == set(CATEGORIES)


def test_the_page_lists_all_rules() -> None:
    assert table() in PAGE.read_text(), f"write this into {PAGE.name}:\n{table()}"


def test_a_rule_that_says_that_something_is_missing_asks_whether_somebody_said_so() -> None:
    missing = [name for name in RULES if name.endswith("_missing")]
    unsure = [
        name
        for name in missing
        if not re.search(r"absent: |: false|: none\b|missing_header|status: \{none", shipped_texts()[name])
    ]
    assert not unsure
