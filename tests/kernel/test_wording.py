"""What is wrong with a question is said of the field, in words and not in patterns."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, inspect

from services.contracts import endpoints
from services.kernel.calls import Endpoint
from services.kernel.wording import fault_of

Place = Annotated[str, Meta(pattern=r"^[^@\s']+@[^@\s]+$", description="A place, as jo@home.")]


class Inner(Struct):
    place: Place


class Question(Struct, forbid_unknown_fields=True):
    place: Place
    others: tuple[Place, ...] = ()
    named: dict[str, Inner] | None = None
    number: Annotated[int, Meta(ge=1, le=9)] = 1
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    bare: Annotated[str, Meta(pattern="^a$")] = "a"
    role: Literal["cook", "guest"] = "cook"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"place": "x"}, "place: a place, as jo@home"),
        ({"place": "a@b", "others": ["a@b", "c"]}, "others[1]: a place, as jo@home"),
        ({"place": "a@b", "named": {"x": {"place": "y"}}}, "named[...].place: a place, as jo@home"),
        ({"place": "a@b", "bare": "b"}, "bare: this is not of the right form"),
        ({"place": "a@b", "number": 0}, "number: at least 1"),
        ({"place": "a@b", "number": 10}, "number: at most 9"),
        ({"place": "a@b", "name": ""}, "name: at least 1 character"),
        ({"place": "a@b", "name": "long"}, "name: at most 3 characters"),
        ({"place": 1}, "place: expected `str`, got `int`"),
        ({"place": "a@b", "role": "boss"}, "role: invalid enum value 'boss'"),
        ({}, "place is missing"),
        ({"place": "a@b", "named": {"x": {}}}, "named[...].place is missing"),
        ({"place": "a@b", "plase": "c"}, "there is no field plase"),
        ([], "expected `object`, got `array`"),
    ],
)
def test_what_is_wrong_is_said_of_the_field(said: object, told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.json.decode(msgspec.json.encode(said), type=Question)
    assert fault_of(found.value, Question) == told


def test_every_pattern_that_a_person_has_to_meet_is_described() -> None:
    undescribed = {
        f"{each.name}.{field.name}"
        for each in vars(endpoints).values()
        if isinstance(each, Endpoint)
        for field in inspect.type_info(each.takes).fields  # type: ignore[attr-defined]
        if isinstance(field.type, inspect.StrType) and field.type.pattern is not None
    }
    assert undescribed == set()
