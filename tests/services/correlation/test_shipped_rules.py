"""The rules that come with Mirage: each holds what its own tests say, and stands in the table of the page on rules."""

from pathlib import Path

import pytest

import services.correlation.rules
from services.correlation.domain.rule import CATEGORIES, Rule
from services.correlation.domain.testing import run_tests
from services.correlation.store.shipped import shipped_rules

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


@pytest.mark.parametrize("name", [name for name in RULES if name.endswith("_missing")])
def test_what_is_said_to_be_missing_is_so_by_somebody_s_word(name: str) -> None:
    conditions = [condition for thing in RULES[name].things for condition in thing.where]
    assert not [each.property for each in conditions if each.presence == "unsaid" or each.quantifier == "none"]
    assert all(link.answered for link in RULES[name].links if link.absent)
