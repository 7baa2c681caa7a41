"""What a rule is, once it was read and checked; `reading` makes it from a text."""

import operator
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from services.contracts.findings import Severity
from services.contracts.scope import Role

MAX_THINGS: Final = 8
MAX_LINKS: Final = 12
#: The most relations that one link may span.
MAX_REACH: Final = 5
CATEGORIES: Final = (
    "exposure", "certificate", "dns", "mail", "web", "hygiene", "cloud", "identity", "leak",
)  # fmt: skip

IN_BRACES: Final = re.compile(r"\{([^{}]*)\}")

Quantifier = Literal["some", "all", "none"]
Presence = Literal["", "said", "unsaid", "absent"]
Value = str | int | float | bool


class Test(Struct, frozen=True):
    """What one value is compared with, by one operator; ``holds`` takes the value and the instant of judging."""

    operator: str
    operand: Any
    holds: Callable[[Value, int], bool]


class Condition(Struct, frozen=True):
    """What must hold of a property: all ``tests`` for one value of it, for all, or for none.

    ``by``: only values count that none but these modules say.
    """

    property: str
    tests: tuple[Test, ...] = ()
    quantifier: Quantifier = "some"
    presence: Presence = ""
    by: frozenset[str] = frozenset()


class Thing(Struct, frozen=True):
    """An entity that a rule looks for; without ``roles`` in any of them."""

    name: str
    types: tuple[str, ...]
    roles: frozenset[Role] = frozenset()
    where: tuple[Condition, ...] = ()


class Link(Struct, frozen=True):
    """A relation of one of ``types`` (of any, where there are none) from one thing to another, over up to ``hops``.

    ``absent``: there is none; ``answered``: and somebody said so.
    """

    source: str
    target: str
    types: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    hops: int = 1
    either: bool = False
    absent: bool = False
    answered: bool = False

    def other(self, name: str) -> str:
        return self.target if name == self.source else self.source


class Part(Struct, frozen=True):
    """A thing, or with ``property`` what it has."""

    thing: str
    property: str = ""


class Group(Struct, frozen=True):
    """Matches that belong together: by a thing, by a value, or (``by`` is None) all of a scan."""

    by: Part | None
    count: Part
    least: int = 1
    most: int | None = None


class Within(Struct, frozen=True):
    """Counts only those of a group whose instant lies within some ``span`` (microseconds)."""

    of: Part
    span: int


class Unusual(Struct, frozen=True):
    """Values that at most the share ``most`` of things has, where the commonest has at least ``usual``."""

    of: Part
    most: float
    usual: float
    least: int


class RuleTest(Struct, frozen=True):
    """Facts as they stand in the file, and what is found in them: names of things, or headlines."""

    says: str
    facts: tuple[Any, ...]
    finds: tuple[str, ...]
    now: int


class Rule(Struct, frozen=True, kw_only=True, dict=True):
    """A rule of Mirage's own form. The first of ``things`` is what its findings are about."""

    id: str
    version: int
    title: str
    category: str
    severity: Severity
    confidence: int
    description: str
    advice: str
    references: tuple[str, ...]
    things: tuple[Thing, ...]
    links: tuple[Link, ...]
    headline: str
    each: tuple[str, ...]
    group: Group | None = None
    within: Within | None = None
    unusual: Unusual | None = None
    tests: tuple[RuleTest, ...] = ()

    @cached_property
    def places_in_headline(self) -> tuple[tuple[str, str], ...]:
        """What stands in braces in the headline: things, each with a property or with none."""
        found = (place.partition(".") for place in IN_BRACES.findall(self.headline))
        return tuple((thing, asked) for thing, _, asked in found)

    @property
    def first(self) -> Thing:
        return self.things[0]

    def thing(self, name: str) -> Thing:
        return next(thing for thing in self.things if thing.name == name)

    @property
    def is_gathered(self) -> bool:
        """Whether its findings are about more than what one first thing matches."""
        return self.unusual is not None or (self.group is not None and self.group.by != Part(self.first.name))

    def without_conditions(self, name: str) -> "Rule":
        """The same, but that whatever is of the type of a thing will do for it."""
        plain = tuple(Thing(each.name, each.types) if each.name == name else each for each in self.things)
        return msgspec.structs.replace(self, things=plain)

    @cached_property
    def steps(self) -> tuple[tuple[Link, str], ...]:
        """The links that must be there, each with the thing at which it begins, in an order that joins all things."""
        met, left, steps = {self.first.name}, [link for link in self.links if not link.absent], []
        while left:
            # Links between things that are both met rule matches out soonest.
            left.sort(key=lambda link: len({link.source, link.target} - met))
            link = next((each for each in left if {each.source, each.target} & met), None)
            if link is None:
                break
            left.remove(link)
            steps.append((link, link.source if link.source in met else link.target))
            met |= {link.source, link.target}
        return tuple(steps)

    @cached_property
    def bound(self) -> tuple[str, ...]:
        """The names of the things that are part of a match, in the order in which they are met."""
        names = [self.first.name]
        for link, _ in self.steps:
            names += [name for name in (link.source, link.target) if name not in names]
        return tuple(names)

    @cached_property
    def absences(self) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.absent)

    def way_back(self, name: str) -> Iterator[tuple[Link, str]]:
        """The links from a thing to the first one, each with the thing at which it is entered."""
        came: dict[str, tuple[Link, str]] = {}
        for link, near in self.steps:
            came.setdefault(link.other(near), (link, near))
        for link in self.absences:
            near = link.source if link.source in self.bound else link.target
            came.setdefault(link.other(near), (link, near))
        while name != self.first.name:
            link, near = came[name]
            yield link, name
            name = near


def _equal(value: Value, operand: Any) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        return value.casefold() == operand.casefold()
    return isinstance(value, bool) == isinstance(operand, bool) and value == operand


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Value, Any], bool]:
    def holds(value: Value, operand: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, operand)

    return holds


def _text(compare: Callable[[str, str], bool]) -> Callable[[Value, Any], bool]:
    def holds(value: Value, operand: Any) -> bool:
        return isinstance(value, str) and compare(value.casefold(), operand.casefold())

    return holds


#: What one value is asked by its operator and an operand that does not depend on when it is asked.
COMPARES: Final[dict[str, Callable[[Value, Any], bool]]] = {
    "is": _equal,
    "not": lambda value, operand: not _equal(value, operand),
    "in": lambda value, operand: any(_equal(value, each) for each in operand),
    "not_in": lambda value, operand: not any(_equal(value, each) for each in operand),
    "contains": _text(operator.contains),
    "starts": _text(str.startswith),
    "ends": _text(str.endswith),
    "least": _ordered(operator.ge),
    "most": _ordered(operator.le),
    "above": _ordered(operator.gt),
    "below": _ordered(operator.lt),
}
