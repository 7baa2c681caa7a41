"""What was declared of a graph, and whether what a caller gives agrees with it."""

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.kernel.errors import Conflict, Invalid
from services.kernel.graph import MAX_HOPS, MAX_LIMIT, Edge, Node, Properties
from services.kernel.graph.pattern import MAX_VALUES, RANGES, Condition, Pattern, Value

MAX_INDEXED: Final = 1_000
MAX_SECONDS: Final = 3_600
MAX_ID: Final = 64
_NAME: Final = re.compile(r"(?=.{1,40}\Z)[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONG: Final = 2**63

Key = tuple[str, bytes, bytes, bytes]


class Vocabulary:
    """Labels of nodes, each with its indexed properties, and types of edges."""

    def __init__(self) -> None:
        self.labels: dict[str, frozenset[str]] = {}
        self.types: frozenset[str] = frozenset()

    def add(self, labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
        for label, properties in labels.items():
            self.labels[label] = self.labels.get(label, frozenset()) | frozenset(properties)
        self.types |= frozenset(types)

    def merge_nodes(self, nodes: Sequence[Node]) -> dict[bytes, Node]:
        """Check nodes; make one of those with the same id."""
        merged: dict[bytes, Node] = {}
        for node in nodes:
            check_id(node.id)
            self.check_labels((node.label,))
            check_properties(node.properties, self.labels[node.label])
            if before := merged.get(node.id):
                if before.label != node.label:
                    raise Conflict(f"a node is both {before.label} and {node.label}")
                node = Node(node.id, node.label, before.properties | node.properties)  # noqa: PLW2901 - the merged one
            merged[node.id] = node
        return merged

    def merge_edges(self, edges: Sequence[Edge]) -> dict[Key, Properties]:
        """Check edges; make one of those with the same key."""
        merged: dict[Key, Properties] = {}
        for edge in edges:
            key = self.key(edge)
            check_properties(edge.properties, frozenset())
            before = merged.get(key)
            merged[key] = edge.properties if before is None else before | edge.properties
        return merged

    def key(self, edge: Edge) -> Key:
        for each in (edge.source, edge.target, edge.id):
            check_id(each)
        self.check_types((edge.type,))
        return edge.type, edge.source, edge.target, edge.id

    def check_labels(self, labels: Iterable[str]) -> None:
        for label in labels:
            if label not in self.labels:
                raise Invalid(f"nobody declared the label {label!r}")

    def check_types(self, types: Iterable[str]) -> None:
        for each in types:
            if each not in self.types:
                raise Invalid(f"nobody declared the type {each!r}")

    def check_pattern(self, pattern: Pattern, only: Mapping[str, Sequence[bytes]]) -> None:
        pattern.check()
        for name in (*(node.name for node in pattern.nodes), *(hop.name for hop in pattern.named)):
            check_name(name)
        for node in pattern.nodes:
            self.check_labels(node.labels)
        for hop in pattern.hops:
            self.check_types(hop.types)
        for where in (*(node.where for node in pattern.nodes), *(hop.where for hop in pattern.hops)):
            for condition in where:
                check_condition(condition)
        bound = {node.name for node in pattern.bound}
        for name, ids in only.items():
            if name not in bound:
                raise Invalid(f"{name!r} is no bound node of the pattern")
            check_ids(ids)


def check_declaration(labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
    for name in (*labels, *types, *(name for properties in labels.values() for name in properties)):
        check_name(name)


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} cannot be a name: up to 40 lower-case letters, digits and single _ between them")


def check_id(id: Any) -> None:
    if not isinstance(id, bytes) or not 0 < len(id) <= MAX_ID:
        raise Invalid(f"an id has 1 to {MAX_ID} bytes")


def check_ids(ids: Sequence[bytes]) -> None:
    if len(ids) > MAX_LIMIT:
        raise Invalid(f"at most {MAX_LIMIT:,} ids can be asked for at once")
    for each in ids:
        check_id(each)


def check_properties(properties: Mapping[str, Value | None], indexed: frozenset[str]) -> None:
    for name, value in properties.items():
        check_name(name)
        if value is not None:
            check_value(name, value)
            if name in indexed and isinstance(value, str) and len(value) > MAX_INDEXED:
                raise Invalid(f"{name} is looked up by value, so it has at most {MAX_INDEXED:,} characters")


def check_value(name: str, value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Invalid(f"{name} is text that has no form in UTF-8") from error
        if "\0" in value:
            raise Invalid(f"{name} is text with a NUL, at which SQLite's JSON ends it")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(f"{name} is not a finite number")
    elif not isinstance(value, int) or not -_LONG <= value < _LONG:
        raise Invalid(f"{name} is neither text nor a boolean nor a number of 64 bits")


def check_condition(condition: Condition) -> None:
    name, operator, value = condition.property, condition.operator, condition.value
    check_name(name)
    if operator in {"present", "absent"}:
        if value is not None:
            raise Invalid(f"whether {name} is {operator} is asked without a value")
    elif operator == "in":
        if not isinstance(value, tuple) or len(value) > MAX_VALUES:
            raise Invalid(f"{name} can be one of a tuple of up to {MAX_VALUES:,} values")
        for each in value:
            check_value(name, each)
    elif operator in {"=", "!=", *RANGES}:
        check_value(name, value)
        if operator in RANGES and isinstance(value, bool):
            raise Invalid(f"{name} {operator} a boolean: those are in no order")
    else:
        raise Invalid(f"{operator!r} is no operator of a condition")


def check_bounds(limit: int, seconds: float) -> None:
    if not 0 < limit <= MAX_LIMIT:
        raise Invalid(f"a page has 1 to {MAX_LIMIT:,} results")
    if not 0 < seconds <= MAX_SECONDS:
        raise Invalid(f"a question may take up to {MAX_SECONDS:,} seconds")


def check_direction(direction: str) -> None:
    if direction not in {"out", "in", "both"}:
        raise Invalid(f"{direction!r} is no direction: out, in or both")


def check_hops(max_hops: int) -> None:
    if not 1 <= max_hops <= MAX_HOPS:
        raise Invalid(f"a path has 1 to {MAX_HOPS} edges")


def write_cursor(place: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def read_cursor(cursor: str, kinds: Sequence[type]) -> list[Any]:
    """The place that a cursor stands for: values of these ``kinds``, integers of 64 bits."""
    try:
        place = json.loads(base64.b64decode(cursor.encode(), b"-_", validate=True))
        if isinstance(place, list) and [type(each) for each in place] == list(kinds):
            for each in place:
                check_value("a cursor", each)
            return place
    except (ValueError, RecursionError):
        pass
    raise Invalid("this is no cursor of this question")


def from_hex(text: str) -> bytes:
    """An id in a cursor."""
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Invalid("this is no cursor of this question") from error
