"""What a rule of SpiderFoot 4 is, and how it is read from its text."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, Final, Literal, cast

from msgspec import Struct

from services.contracts.findings import SEVERITIES, Severity
from services.correlation.domain.documents import load_document
from services.correlation.domain.patterns import compile_pattern
from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.kernel.errors import Invalid

Part = Literal["", "source", "child", "entity"]
Name = Literal["type", "module", "data"]
AnalysisMethod = Literal[
    "threshold", "outlier", "first_collection_only", "match_all_to_first_collection", "both_collections"
]
MatchMethod = Literal["exact", "contains", "subnet"]

MAX_COLLECTIONS: Final = 20
MAX_BLOCKS: Final = 50
MAX_STEPS: Final = 20
MAX_VALUES: Final = 1_000
MAX_VALUE: Final = 4_096
MAX_TEXT: Final = 4_000

_PARTS: Final = ("source", "child", "entity")
_NAMES: Final = ("type", "module", "data")
FIELDS: Final = (*_NAMES, *(f"{part}.{name}" for part in _PARTS for name in _NAMES))
_METHODS: Final = ("exact", "regex")
_ANALYSES: Final = (
    "threshold", "outlier", "first_collection_only", "match_all_to_first_collection", "both_collections",
)  # fmt: skip
_MATCHES: Final = ("exact", "contains", "subnet")

_KEYS: Final = (
    "id", "version", "meta", "collections", "aggregation", "analysis", "headline", "enabled", "rawYaml",
)  # fmt: skip
_META: Final = ("name", "description", "risk", "author", "url")
_BLOCK: Final = ("method", "field", "value")
_ANALYSIS: Final = (
    "method", "field", "minimum", "maximum", "count_unique_only", "maximum_percent", "noisy_percent",
    "must_be_unique", "match_method",
)  # fmt: skip

_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}").fullmatch
#: What SpiderFoot replaces in a headline.
PLACE: Final = re.compile(r"{([a-z.]+)}")
_negated = re.compile(r"not\s+")


class Field(Struct, frozen=True):
    """What of an event is looked at: its own ``type``, ``module`` or ``data``, or that of a ``part`` of it."""

    part: Part
    name: Name

    def __str__(self) -> str:
        return f"{self.part}.{self.name}" if self.part else self.name


class Block(Struct, frozen=True):
    """One block of a collection. ``keeps`` says whether a value of the field passes ``values``."""

    method: Literal["exact", "regex"]
    field: Field
    values: tuple[str, ...]
    keeps: Callable[[str], bool]
    types: frozenset[str] = frozenset()

    def __str__(self) -> str:
        said = ", ".join(self.values)
        return f"{self.field} {'is' if self.method == 'exact' else 'matches'} {said[:200]}"


class Analysis(Struct, frozen=True, kw_only=True):
    """One step over the buckets; what a method does not use has the value that it has by itself."""

    method: AnalysisMethod
    field: Field | None = None
    minimum: float = 0
    maximum: float = 999_999_999
    count_unique_only: bool = False
    maximum_percent: float = 0
    noisy_percent: float = 10
    match_method: MatchMethod = "exact"


class SpiderFootRule(Struct, frozen=True, kw_only=True):
    """A rule. ``risk`` is as written, ``severity`` what Mirage calls that; ``published`` is None for all collections.

    The first block of each collection selects events by plain ``type``, ``module`` or ``data``; the others narrow.
    """

    id: str
    version: int
    name: str
    description: str
    risk: str
    severity: Severity
    author: str
    url: str
    collections: tuple[tuple[Block, ...], ...]
    aggregation: Field | None
    analysis: tuple[Analysis, ...]
    headline: str
    published: frozenset[int] | None

    def uses(self, part: Part) -> bool:
        """Whether it looks at a part of events."""
        fields = [block.field for blocks in self.collections for block in blocks]
        fields += [step.field for step in self.analysis if step.field is not None]
        fields += [self.aggregation] if self.aggregation else []
        return any(field.part == part for field in fields) or f"{{{part}." in self.headline


def read_rule(text: str) -> SpiderFootRule:
    """The rule of a text.

    Raises:
        Invalid: what is wrong, and where in the rule.
    """
    return read_document(load_document(text))


def read_document(document: Mapping[str, Any]) -> SpiderFootRule:
    """The rule of a document that was loaded; one with ``collections`` is of this form.

    Raises:
        Invalid: what is wrong, and where in the rule.
    """
    _check_keys(document, _KEYS, "a rule")
    for key in ("id", "meta", "collections", "headline"):
        if not document.get(key):
            raise Invalid(f"a rule needs {key}")
    if not _id(str(document["id"])):
        raise Invalid("id: up to 64 letters, digits, _, - and dots, beginning with a letter or a digit")
    meta = _mapping(document["meta"], _META, "meta")
    said = {key: _text(meta[key], f"meta.{key}") for key in _META if meta.get(key) is not None}
    for key in ("name", "description", "risk"):
        if not said.get(key):
            raise Invalid(f"meta needs {key}")
    collections = tuple(
        _read_collection(each, f"collections[{place}]")
        for place, each in enumerate(_listed(document["collections"], "collections", MAX_COLLECTIONS))
    )
    headline, published = _read_headline(document["headline"], len(collections))
    version = document.get("version", 1)
    risk = said["risk"].lower()
    return SpiderFootRule(
        id=str(document["id"]),
        version=version if isinstance(version, int) and 0 < version <= 1_000_000 else 1,
        name=said["name"],
        description=said["description"],
        risk=said["risk"],
        severity=risk if risk in SEVERITIES else "info",
        author=said.get("author", ""),
        url=said.get("url", ""),
        collections=collections,
        aggregation=_read_aggregation(document.get("aggregation")),
        analysis=tuple(
            _read_analysis(each, f"analysis[{place}]")
            for place, each in enumerate(_listed(document.get("analysis", []), "analysis", MAX_STEPS))
        ),
        headline=headline,
        published=published,
    )


def _read_collection(said: Any, where: str) -> tuple[Block, ...]:
    blocks = _listed(_mapping(said, ("collect",), where).get("collect"), f"{where}.collect", MAX_BLOCKS)
    if not blocks:
        raise Invalid(f"{where}: collect has a block at least")
    return tuple(_read_block(each, place == 0, f"{where}.collect[{place}]") for place, each in enumerate(blocks))


def _read_block(said: Any, is_first: bool, where: str) -> Block:
    block = _mapping(said, _BLOCK, where)
    for key in _BLOCK:
        if block.get(key) is None:
            raise Invalid(f"{where} needs {key}")
    method = _one_of(block["method"], _METHODS, f"{where}.method")
    field = _read_field(block["field"], f"{where}.field")
    given = block["value"] if isinstance(block["value"], list) else [block["value"]]
    if not 0 < len(given) <= MAX_VALUES:
        raise Invalid(f"{where}.value: 1 to {MAX_VALUES:,} values")
    values = tuple(_value(each, f"{where}.value") for each in given)
    keeps = _keeper(method, values, f"{where}.value")
    types: frozenset[str] = frozenset()
    if is_first:
        if field.part:
            raise Invalid(f"{where}: the first block looks at type, module or data, not at {field}")
        if method == "regex" and field.name != "type":
            raise Invalid(f"{where}: the first block takes a regex for type alone; say {field} exactly")
        if field.name == "type":
            types = _types(method, values, f"{where}.value")
    return Block(cast("Any", method), field, values, keeps, types)


def _types(method: str, values: tuple[str, ...], where: str) -> frozenset[str]:
    """The types that a first block names, or finds in the case that it is written in."""
    if method == "exact":
        return frozenset(_one_of(value, EVENT_TYPES, where) for value in values)
    found = [compile_pattern(value, whatever_case=False) for value in values]
    return frozenset(name for name in EVENT_TYPES if any(matches(name) for matches in found))


def _keeper(method: str, values: tuple[str, ...], where: str) -> Callable[[str], bool]:
    """Whether a value passes: the first pattern that matches decides; where none does, it passes a last ``not``."""
    patterns = [(True, _negated.sub("", each, 1)) if each.startswith("not ") else (False, each) for each in values]
    left = patterns[-1][0]
    if method == "exact":
        decided: dict[str, bool] = {}
        for negated, pattern in patterns:
            decided.setdefault(pattern, not negated)
        return lambda value: decided.get(value, left)
    try:
        tried = [(negated, compile_pattern(pattern)) for negated, pattern in patterns]
    except Invalid as error:
        raise Invalid(f"{where}: {error}") from error
    if len(tried) == 1:
        [(negated, matches)] = tried
        return (lambda value: not matches(value)) if negated else matches

    def keeps(value: str) -> bool:
        for negated, matches in tried:
            if matches(value):
                return not negated
        return left

    return keeps


def _read_field(said: Any, where: str) -> Field:
    part, _, name = _one_of(said, FIELDS, where).rpartition(".")
    return Field(cast("Part", part), cast("Name", name))


def _read_aggregation(said: Any) -> Field | None:
    if said is None:
        return None
    aggregation = _mapping(said, ("field",), "aggregation")
    if not aggregation.get("field"):
        raise Invalid("aggregation needs field")
    return _read_field(aggregation["field"], "aggregation.field")


def _read_analysis(said: Any, where: str) -> Analysis:
    step = _mapping(said, _ANALYSIS, where)
    if not step.get("method"):
        raise Invalid(f"{where} needs method")
    method = cast("AnalysisMethod", _one_of(step["method"], _ANALYSES, f"{where}.method"))
    field = _read_field(step["field"], f"{where}.field") if step.get("field") is not None else None
    if field is None and method not in {"outlier", "both_collections"}:
        raise Invalid(f"{where}: {method} needs field")
    if field is not None and field.part and method == "first_collection_only":
        raise Invalid(f"{where}: first_collection_only looks at type, module or data, not at {field}")
    needed = {"outlier": "maximum_percent", "match_all_to_first_collection": "match_method"}.get(method)
    if needed and step.get(needed) is None:
        raise Invalid(f"{where}: {method} needs {needed}")
    return Analysis(
        method=method,
        field=field,
        minimum=_number(step.get("minimum", 0), f"{where}.minimum"),
        maximum=_number(step.get("maximum", 999_999_999), f"{where}.maximum"),
        count_unique_only=bool(step.get("count_unique_only")),
        maximum_percent=_number(step.get("maximum_percent", 0), f"{where}.maximum_percent"),
        noisy_percent=_number(step.get("noisy_percent", 10), f"{where}.noisy_percent"),
        match_method=cast("MatchMethod", _one_of(step.get("match_method", "exact"), _MATCHES, f"{where}.match_method")),
    )


def _read_headline(said: Any, collections: int) -> tuple[str, frozenset[int] | None]:
    published = None
    if isinstance(said, dict):
        _check_keys(said, ("text", "publish_collections"), "headline")
        given = said.get("publish_collections")
        said = said.get("text")
        if given is not None:
            places = given if isinstance(given, list) else [given]
            if not places or not all(type(each) is int and 0 <= each < collections for each in places):
                raise Invalid(f"headline.publish_collections: numbers of collections, 0 to {collections - 1}")
            published = frozenset(places)
    text = _text(said, "headline")
    if not text:
        raise Invalid("headline has no text")
    for place in PLACE.findall(text):
        _one_of(place, FIELDS, "headline")
    return text, published


def _mapping(said: Any, known: Collection[str], where: str) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise Invalid(f"{where}: keys with values, which may be {', '.join(known)}")
    _check_keys(said, known, where)
    return said


def _check_keys(said: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in said:
        if key not in known:
            raise Invalid(f"{where} has no key {key[:60]!r}{_like(key, known)}")


def _one_of(said: Any, known: Collection[str], where: str) -> str:
    if not isinstance(said, str) or said not in known:
        raise Invalid(f"{where}: there is no {str(said)[:60]!r}{_like(str(said), known)}")
    return said


def _like(word: str, known: Collection[str]) -> str:
    near = get_close_matches(word[:60], known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}" if len(known) <= 16 else ""


def _listed(said: Any, where: str, most: int) -> list[Any]:
    if not isinstance(said, list) or len(said) > most:
        raise Invalid(f"{where}: a list of up to {most}")
    return said


def _value(said: Any, where: str) -> str:
    """A value as SpiderFoot writes what YAML has made of it."""
    if not isinstance(said, str | int | float | date):
        raise Invalid(f"{where}: texts or numbers")
    text = str(said)
    if len(text) > MAX_VALUE:
        raise Invalid(f"{where}: at most {MAX_VALUE:,} characters")
    return text


def _text(said: Any, where: str) -> str:
    if not isinstance(said, str) or len(said) > MAX_TEXT:
        raise Invalid(f"{where}: a text of up to {MAX_TEXT:,} characters")
    return said.strip()


def _number(said: Any, where: str) -> float:
    if not isinstance(said, int | float) or isinstance(said, bool) or math.isnan(said):
        raise Invalid(f"{where}: a number")
    return said
