"""The rules that come with Mirage: the files of `rules/`."""

from functools import lru_cache
from importlib.resources import files
from typing import Final

from services.correlation.domain.reading import read_rule
from services.correlation.domain.rule import Rule
from services.kernel.errors import Corrupt

PACKAGE: Final = "services.correlation.rules"
SUFFIX: Final = ".yaml"


@lru_cache(maxsize=1)
def shipped_texts() -> dict[str, str]:
    """The text of each rule by its id, in order."""
    there = (file for file in files(PACKAGE).iterdir() if file.name.endswith(SUFFIX))
    return {
        file.name.removesuffix(SUFFIX): file.read_text("utf-8") for file in sorted(there, key=lambda each: each.name)
    }


@lru_cache(maxsize=1)
def shipped_rules() -> dict[str, Rule]:
    """Each rule by its id, in order."""
    rules = {name: read_rule(text) for name, text in shipped_texts().items()}
    for name, rule in rules.items():
        if rule.id != name:
            raise Corrupt(f"the rule {rule.id} stands in {name}{SUFFIX}")
    return rules
