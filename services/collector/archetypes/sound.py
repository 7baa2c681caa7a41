"""Claims from hostile values: what has no normal form is left out, and the rest is claimed."""

from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

from services.contracts.attributes import attribute
from services.contracts.claims import Attribute, Entity, Malformed, OutsideVocabulary, Value

P = ParamSpec("P")
T = TypeVar("T")

MAX_VALUES = 100  # of one attribute of one thing


def sound(build: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What ``build`` makes of its arguments, None where they have no normal form."""
    try:
        return build(*args, **kwargs)
    except OutsideVocabulary:
        raise  # an unknown attribute or relation is a fault of the module, and fails its work item
    except Malformed:
        return None


def described(about: Entity, **values: Value | Iterable[Value | None] | None) -> Iterator[Attribute]:
    """An attribute for every value that has a normal form; of a list no more than a hundred, each once."""
    for name, given in values.items():
        if given is None or isinstance(given, str | int | float):
            several: list[Value | None] = [given]
        else:
            several = list(dict.fromkeys(given))[:MAX_VALUES]
        for value in several:
            claim = None if value is None or value == "" else sound(attribute, about, name, value)
            if claim is not None:
                yield claim
