"""What `match` looks for: nodes, the hops between them, and what must hold of both.

Different names stand for different nodes; two hops may stand for the same edge. A match is a set of what the names of
bound nodes and of named hops stand for: how often a hop without a name can be walked makes no more matches of one.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from services.kernel.errors import Invalid

MAX_NODES: Final = 8
MAX_PATTERN_HOPS: Final = 12
#: The most edges that one hop may span.
MAX_REACH: Final = 5
MAX_VALUES: Final = 1_000

Value = str | int | float | bool
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "present", "absent"]
RANGES: Final = ("<", "<=", ">", ">=")


class Condition(Struct, frozen=True):
    """What must hold of a property.

    Values of different kinds (text, numbers, booleans) are never equal and in no order. Text is ordered by code points;
    where those beyond U+FFFF stand is left open. A property that is missing fulfils ``absent``, and any condition with
    ``or_absent``. ``in`` takes a tuple of up to `MAX_VALUES` values, ``present`` and ``absent`` none.
    """

    property: str
    operator: Operator = "="
    value: Value | tuple[Value, ...] | None = None
    or_absent: bool = False


class NodePattern(Struct, frozen=True):
    """A node with one of ``labels``, or with any when there is none, of which all of ``where`` holds."""

    name: str
    labels: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()


class Hop(Struct, frozen=True):
    """An edge of one of ``types``, or of any, from one node to another, of which all of ``where`` holds.

    ``either``: in either direction. ``most``: over so many such edges at most. ``absent``: there must be none. A hop
    with a ``name`` is one edge, which is part of the match.
    """

    source: str
    target: str
    types: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    name: str = ""
    either: bool = False
    most: int = 1
    absent: bool = False


class Pattern(Struct, frozen=True):
    """Nodes and hops between them; hops that are not absent join all nodes.

    A node that only an absent hop names, and only one, is not bound: there must be no such node at the end of such a
    hop, but for the bound ones. Name first the node that fewest can stand for: the search may start from it.
    """

    nodes: tuple[NodePattern, ...]
    hops: tuple[Hop, ...] = ()

    @property
    def bound(self) -> tuple[NodePattern, ...]:
        """The nodes that are part of a match."""
        present = {name for hop in self.hops if not hop.absent for name in (hop.source, hop.target)}
        absent = {name for hop in self.hops if hop.absent for name in (hop.source, hop.target)}
        return tuple(
            node
            for place, node in enumerate(self.nodes)
            if node.name in present or node.name not in absent or (not present and place == 0)
        )

    @property
    def named(self) -> tuple[Hop, ...]:
        """The hops that are part of a match."""
        return tuple(hop for hop in self.hops if hop.name)

    def node(self, name: str) -> NodePattern:
        return next(node for node in self.nodes if node.name == name)

    def walk(self, start: str) -> "Iterator[Hop]":
        """Yield the hops that are not absent so that each begins or ends at a node met before: closing ones first."""
        met, left = {start}, [hop for hop in self.hops if not hop.absent]
        while left:
            ends = [len({hop.source, hop.target} & met) for hop in left]
            if not max(ends):
                return
            hop = left.pop(ends.index(max(ends)))
            met |= {hop.source, hop.target}
            yield hop

    def check(self) -> None:
        """Raise `Invalid` unless the pattern makes sense; labels, types and values are judged by `Vocabulary`."""
        names = [node.name for node in self.nodes]
        spoken = [*names, *(hop.name for hop in self.named)]
        if not 0 < len(names) <= MAX_NODES or len(self.hops) > MAX_PATTERN_HOPS:
            raise Invalid(f"a pattern has 1 to {MAX_NODES} nodes and at most {MAX_PATTERN_HOPS} hops")
        if len(set(spoken)) != len(spoken):
            raise Invalid("a pattern gives the same name twice")
        for hop in self.hops:
            _check_hop(hop, names)
        self._check_joined()

    def _check_joined(self) -> None:
        bound = {node.name for node in self.bound}
        start = self.bound[0].name
        if bound != {start}.union(*({hop.source, hop.target} for hop in self.walk(start))):
            raise Invalid("the hops of a pattern do not join its nodes")
        free = [
            name for hop in self.hops if hop.absent for name in (hop.source, hop.target) if name not in bound
        ]  # fmt: skip
        if len(set(free)) != len(free) or any(not {h.source, h.target} & bound for h in self.hops):
            raise Invalid(
                "a node that only absent hops name belongs to one of them, which begins or ends at a bound node"
            )


def _check_hop(hop: Hop, names: list[str]) -> None:
    if hop.source not in names or hop.target not in names or hop.source == hop.target:
        raise Invalid(f"a hop leads from {hop.source!r} to {hop.target!r}, which are not two nodes of the pattern")
    if not 1 <= hop.most <= MAX_REACH:
        raise Invalid(f"a hop spans 1 to {MAX_REACH} edges")
    if hop.name and (hop.absent or hop.most > 1):
        raise Invalid(f"the hop {hop.name!r} is not one edge, so it cannot have a name")
