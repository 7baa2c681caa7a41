"""Events by hand, and rules in few words."""

from typing import Any

import yaml

from services.correlation.domain.spiderfoot.engine import Result, evaluate
from services.correlation.domain.spiderfoot.events import Event, Events
from services.correlation.domain.spiderfoot.rule import SpiderFootRule, read_rule


class Tree:
    """Events under a root; what `add` gives is the parent of others."""

    def __init__(self) -> None:
        self.root = Event("ROOT", "example.org", "")
        self.made = [self.root]

    def add(self, type: str, data: str, module: str = "sfp_test", source: Event | None = None) -> Event:
        event = Event(type, data, module, source or self.root)
        self.made.append(event)
        return event

    def add_all(self, type: str, *texts: str, module: str = "sfp_test", source: Event | None = None) -> list[Event]:
        return [self.add(type, text, module, source) for text in texts]

    @property
    def events(self) -> Events:
        return Events(self.made)


def block(field: str, *values: Any, regex: bool = False) -> dict[str, Any]:
    return {
        "method": "regex" if regex else "exact",
        "field": field,
        "value": values[0] if len(values) == 1 else list(values),
    }


def text_of(*collections: list[dict[str, Any]], headline: Any = "{data}", by: str = "", **keys: Any) -> str:
    """The text of a rule; each collection is a list of blocks, ``by`` is the field of its aggregation."""
    rule: dict[str, Any] = {
        "id": "tried",
        "version": 1,
        "meta": {"name": "Tried", "description": "Tries something.", "risk": "HIGH"},
        "collections": [{"collect": blocks} for blocks in collections],
        "headline": headline,
        **({"aggregation": {"field": by}} if by else {}),
        **keys,
    }
    return yaml.dump(rule, Dumper=_Dumper)


def rule_of(*collections: list[dict[str, Any]], **keys: Any) -> SpiderFootRule:
    return read_rule(text_of(*collections, **keys))


def found(tree: Tree, *collections: list[dict[str, Any]], **keys: Any) -> list[tuple[str, list[str]]]:
    """The buckets that are left: the value of each, and the texts of its events."""
    return [(each.value, [event.data for event in each.events]) for each in results(tree, *collections, **keys)]


def results(tree: Tree, *collections: list[dict[str, Any]], **keys: Any) -> list[Result]:
    return evaluate(rule_of(*collections, **keys), tree.events)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
