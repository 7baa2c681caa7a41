"""Rules of either form, told apart by their keys."""

from services.correlation.domain.documents import load_document
from services.correlation.domain.reading import read_rule as read_ours
from services.correlation.domain.rule import Rule
from services.correlation.domain.spiderfoot.rule import SpiderFootRule
from services.correlation.domain.spiderfoot.rule import read_rule as read_spiderfoot

AnyRule = Rule | SpiderFootRule


def read_any(text: str) -> AnyRule:
    """The rule of a text.

    Raises:
        Invalid: what is wrong, and where in the rule.
    """
    return read_spiderfoot(text) if "collections" in load_document(text) else read_ours(text)


def title_of(rule: AnyRule) -> str:
    return rule.title if isinstance(rule, Rule) else rule.name


def category_of(rule: AnyRule) -> str:
    return rule.category if isinstance(rule, Rule) else "correlation"
