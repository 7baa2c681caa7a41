"""Normal forms are reached in one step, say no to the rest with one error, and let nothing unprintable through."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.claims import Entity, Malformed
from services.contracts.entities import ENTITY_TYPES, entity
from tests.examples import examples

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/ids.json").read_text(encoding="utf-8"))

#: Keys that each type takes, from which near misses are made.
SAMPLES = {name: [tuple(row["given"]) for row in GOLDEN["entities"] if row["type"] == name] for name in ENTITY_TYPES}

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

any_text = st.text(st.characters(), max_size=40)
odd = st.sampled_from(
    [
        *"\x00\n\t .:/@%*_-+\\\"'[]()?#&=,",
        *("\ud800", "\u202e", "\u200d", "\u00ad", "\u0301", "\u0345", "\x85", "\ufeff", "\uffff"),
        *("ß", "İ", "ſ", "％", "。", "０", "\u212a", "xn--", "%2e", ".."),
    ]
)


@st.composite
def near_misses(draw: st.DrawFn, parts: tuple[str, ...]) -> tuple[str, ...]:
    """A key that a type takes, with one odd thing put in, taken out, or its case changed."""
    changed = list(parts)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(changed) - 1))
        text = changed[at]
        place = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["insert", "delete", "upper", "surround", "double"])):
            case "insert":
                changed[at] = text[:place] + draw(odd) + text[place:]
            case "delete":
                changed[at] = text[:place] + text[place + 1 :]
            case "upper":
                changed[at] = text.upper()
            case "surround":
                changed[at] = draw(odd) + text + draw(odd)
            case "double":
                changed[at] = text + text
    return tuple(changed)


def keys(type_name: str) -> st.SearchStrategy[tuple[str, ...]]:
    parts = len(ENTITY_TYPES[type_name].parts)
    return st.one_of(
        st.lists(any_text, min_size=1, max_size=parts).map(tuple),
        st.sampled_from(SAMPLES[type_name]).flatmap(near_misses),
    )


@pytest.mark.parametrize("type_name", ENTITY_TYPES)
def test_a_normal_form_is_reached_in_one_step(type_name: str) -> None:
    @examples(120, database=None)
    @given(keys(type_name))
    def holds(parts: tuple[str, ...]) -> None:
        try:
            found = entity(type_name, *parts)
        except Malformed as error:
            said = str(error)
        else:
            said = found.value
            assert entity(type_name, *found.key).key == found.key
            assert not any(UNPRINTABLE.search(part) for part in found.key)
            assert json.loads(json.dumps(found.key)) == list(found.key)
            assert len(found.id) == 16
        assert said
        assert not UNPRINTABLE.search(said)

    holds()


@examples(200, database=None)
@given(st.sampled_from(sorted(ENTITY_TYPES)), st.lists(any_text, max_size=5))
@example("ip_address", [])
@example("no such type", ["x"])
def test_any_text_as_any_type_raises_nothing_but_malformed(type_name: str, parts: list[str]) -> None:
    try:
        found = entity(type_name, *parts)
    except Malformed:
        return
    assert isinstance(found, Entity)
