"""Reads what is asked of a property: which values it has, and how they are compared."""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from services.contracts.attributes import ATTRIBUTES
from services.contracts.entities import ENTITY_TYPES
from services.correlation.domain.instants import read_instant
from services.correlation.domain.patterns import compile_pattern
from services.correlation.domain.reading.fields import as_list, check_keys, check_known
from services.correlation.domain.rule import COMPARES, Condition, Presence, Quantifier, Test, Value
from services.correlation.domain.versions import version_order
from services.kernel.errors import Invalid

MAX_OPERANDS: Final = 1_000
#: What is asked of every thing, besides its attributes and the parts of its key.
OWN: Final = ("value", "distance", "first_seen", "last_seen", "modules", "sources", "confidence")
#: What is known of some things without a source: ``known.<name>``.
KNOWN: Final = ("cve", "cvss", "worst", "exploited")

_NUMBERS: Final = frozenset(
    {"distance", "sources", "confidence", "first_seen", "last_seen", "known.cvss", "known.worst"}
)
_QUANTIFIERS: Final[tuple[Quantifier, ...]] = ("all", "none")
_PRESENCES: Final[tuple[Presence, ...]] = ("said", "unsaid", "absent")


def kind_of(property: Any, types: Sequence[str], where: str) -> type:
    """Of what kind the values of a property of such entities are; `Invalid` when they have no such."""
    if property in _NUMBERS:
        return float
    if property in OWN:
        return str
    part = str(property).removeprefix("key.")
    if part != property:
        parts = [each.rstrip("?") for name in types for each in ENTITY_TYPES[name].parts]
        check_known(part, parts, where, f"part of the key of {' or '.join(types)}")
        return str
    if str(property).startswith("known."):
        check_known(str(property).removeprefix("known."), KNOWN, where, "thing that is known")
        return str
    fitting = [name for name, known in ATTRIBUTES.items() if known.about & set(types)]
    check_known(property, (*fitting, *OWN), where, f"attribute of {' or '.join(types)}")
    return ATTRIBUTES[property].value


def read_condition(property: str, said: Any, where: str, kind: type) -> Condition:
    if not isinstance(said, dict):
        name = "in" if isinstance(said, list) else "is"
        return Condition(property, (_test(name, said, where, kind),))
    operators = dict(said)
    by = frozenset(str(each) for each in as_list(operators.pop("by", []), f"{where}.by", 100))
    quantifier: Quantifier = "some"
    for word in _QUANTIFIERS:
        if word in operators and isinstance(operators[word], dict):
            if len(operators) > 1:
                raise Invalid(f"{where}: {word} stands alone")
            quantifier = word
            operators = operators[word]
    presence: Presence = ""
    for presence_word in _PRESENCES:
        if presence_word in operators:
            if operators.pop(presence_word) is not True or operators:
                raise Invalid(f"{where}: {presence_word} stands alone, and is true")
            presence = presence_word
    check_keys(operators, (*COMPARES, *_SPECIAL, *_PRESENCES, "all", "none", "by"), where)
    if not operators and not presence:
        presence = "said"
    tests = tuple(_test(name, operand, where, kind) for name, operand in operators.items())
    return Condition(property, tests, quantifier, presence, by)


def _test(name: str, operand: Any, where: str, kind: type) -> Test:
    if special := _SPECIAL.get(name):
        return Test(name, operand, special(operand, where))
    plain: Any = as_list(operand, where, MAX_OPERANDS) if name in {"in", "not_in"} else operand
    fitted = (
        [_fit(each, kind, name, where) for each in plain] if isinstance(plain, list) else _fit(plain, kind, name, where)
    )
    compare = COMPARES[name]
    return Test(name, operand, lambda value, _: compare(value, fitted))


def _fit(operand: Any, kind: type, name: str, where: str) -> Value:
    """An operand as values of the property are; YAML makes a number of a port, which is a text here."""
    if isinstance(operand, dict | list) or operand is None:
        raise Invalid(f"{where}: {name} takes a value")
    if name in {"contains", "starts", "ends"} or (kind is str and not isinstance(operand, bool)):
        return str(operand)
    if kind in {int, float} and (isinstance(operand, bool) or not isinstance(operand, int | float)):
        raise Invalid(f"{where}: {str(operand)[:40]!r} is no number, which its values are")
    if kind is bool and not isinstance(operand, bool):
        raise Invalid(f"{where}: its values are true or false")
    return cast("Value", operand)


def _pattern(wanted: bool) -> Callable[[Any, str], Callable[[Value, int], bool]]:
    def make(operand: Any, where: str) -> Callable[[Value, int], bool]:
        try:
            found = compile_pattern(str(operand))
        except Invalid as error:
            raise Invalid(f"{where}: {error}") from error
        return lambda value, _: isinstance(value, str) and found(value) is wanted

    return make


def _when(later: bool) -> Callable[[Any, str], Callable[[Value, int], bool]]:
    def make(operand: Any, where: str) -> Callable[[Value, int], bool]:
        try:
            instant = read_instant(operand)
        except Invalid as error:
            raise Invalid(f"{where}: {error}") from error

        def holds(value: Value, now: int) -> bool:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return value > instant.at(now) if later else value < instant.at(now)

        return holds

    return make


def _version(least: bool) -> Callable[[Any, str], Callable[[Value, int], bool]]:
    def make(operand: Any, where: str) -> Callable[[Value, int], bool]:
        bound = version_order(str(operand))

        def holds(value: Value, now: int) -> bool:
            return bool(value) and (version_order(str(value)) >= bound) is least

        return holds

    return make


#: Operators whose operand is more than a value.
_SPECIAL: Final[dict[str, Callable[[Any, str], Callable[[Value, int], bool]]]] = {
    "matches": _pattern(True),
    "not_matches": _pattern(False),
    "before": _when(later=False),
    "after": _when(later=True),
    "version_below": _version(least=False),
    "version_least": _version(least=True),
}
