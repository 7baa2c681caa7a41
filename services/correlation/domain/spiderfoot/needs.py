"""Which events a rule looks at, so that no others need be made."""

from collections.abc import Sequence

from msgspec import Struct

from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.correlation.domain.spiderfoot.rule import Block, SpiderFootRule


class Needs(Struct, frozen=True):
    """The events that rules select, by type, module or text, and those types of which they look at the children.

    Beside these they look at the events that they came from, up to the root.
    """

    types: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    parents: frozenset[str] = frozenset()

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.types | other.types,
            self.modules | other.modules,
            self.data | other.data,
            self.parents | other.parents,
        )


def needs(rule: SpiderFootRule) -> Needs:
    """What a rule selects."""
    types: set[str] = set()
    modules: set[str] = set()
    data: set[str] = set()
    parents: set[str] = set()
    looks_below = rule.uses("child")
    for blocks in rule.collections:
        first = blocks[0]
        if first.field.name == "module":
            modules.update(first.values)
        elif first.field.name == "data":
            data.update(first.values)
        else:
            types |= first.types
        if looks_below:
            parents |= _selected(blocks)
    return Needs(frozenset(types), frozenset(modules), frozenset(data), frozenset(parents))


def needed_types(rule: SpiderFootRule) -> frozenset[str]:
    """The types of events that a rule can select; all that there are where it looks at their children."""
    if rule.uses("child"):
        return frozenset(EVENT_TYPES)
    return frozenset().union(*map(_selected, rule.collections))


def _selected(blocks: Sequence[Block]) -> frozenset[str]:
    """The types that a collection can select, by all its blocks that look at the type."""
    types = blocks[0].types or frozenset(EVENT_TYPES)
    return frozenset(
        name for name in types if all(block.keeps(name) for block in blocks[1:] if str(block.field) == "type")
    )
