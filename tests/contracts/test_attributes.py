"""Attributes are said in the words of the vocabulary, in their type, of entities that can have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.attributes import ATTRIBUTES, MAX_TEXT, attribute, general, network, society, surface
from services.contracts.claims import Malformed, OutsideVocabulary
from services.contracts.entities import ENTITY_TYPES, account, ip_address, name, url
from services.contracts.relations import RELATION_TYPES
from tests.examples import examples

PAGE = url("https://example.org")
USER = account("github", "octocat")


def test_no_attribute_stands_twice_in_the_vocabulary() -> None:
    rows = (*general.ROWS, *network.ROWS, *surface.ROWS, *society.ROWS)
    assert len(rows) == len(ATTRIBUTES)


def test_predicates_are_told_apart_by_name() -> None:
    assert not ATTRIBUTES.keys() & RELATION_TYPES.keys()
    assert "exists" not in ATTRIBUTES
    assert "exists" not in RELATION_TYPES


@pytest.mark.parametrize("known", ATTRIBUTES.values(), ids=lambda known: known.name)
def test_an_attribute_says_what_it_is(known) -> None:
    assert known.name.isidentifier()
    assert known.name == known.name.lower()
    assert known.doc.endswith((".", "…"))
    assert known.about <= ENTITY_TYPES.keys()
    assert known.about
    assert not (known.many and known.value is bool)
    assert (known.unit == "us") == known.name.endswith(("_at", "not_before", "not_after"))
    assert known.unit == "" or known.value in (int, float)


def test_a_value_is_of_its_type() -> None:
    assert attribute(PAGE, "http_status", 200).value == 200
    assert attribute(PAGE, "title", "  Example\n Domain ").value == "Example Domain"
    assert attribute(ip_address("192.0.2.1"), "latitude", 51).value == 51.0
    assert isinstance(attribute(ip_address("192.0.2.1"), "latitude", 51).value, float)
    assert attribute(name("example.org"), "wildcard", value=True).value is True


@pytest.mark.parametrize(
    ("about", "attribute_name", "value"),
    [
        (PAGE, "no_such_attribute", "x"),
        (PAGE, "followers", 1),
        (PAGE, "http_status", "200"),
        (PAGE, "http_status", 200.0),
        (PAGE, "http_status", True),
        (PAGE, "http_status", 2**63),
        (PAGE, "http_status", 10**6000),
        (PAGE, "title", 1),
        (PAGE, "title", ""),
        (PAGE, "title", " \n"),
        (PAGE, "login_form", 1),
        (PAGE, "login_form", "yes"),
        (ip_address("192.0.2.1"), "latitude", float("nan")),
        (ip_address("192.0.2.1"), "latitude", float("inf")),
        (ip_address("192.0.2.1"), "latitude", 10**400),
        (ip_address("192.0.2.1"), "latitude", "51"),
        (ip_address("192.0.2.1"), "latitude", True),
    ],
    ids=lambda part: ascii(part)[:20] if not isinstance(part, int) else "number",
)
def test_what_the_vocabulary_does_not_have_is_malformed(about, attribute_name, value) -> None:
    with pytest.raises(Malformed):
        attribute(about, attribute_name, value)


@examples(200, database=None)
@given(st.text(st.characters(), max_size=60))
def test_a_text_is_printable_and_its_own_normal_form(text: str) -> None:
    try:
        found = attribute(PAGE, "title", text).value
    except Malformed:
        assert not text.strip()
        return
    assert isinstance(found, str)
    assert attribute(PAGE, "title", found).value == found
    found.encode()
    assert not any(char < " " or "\x7f" <= char <= "\x9f" for char in found)


def test_a_long_text_is_cut_once() -> None:
    for text in ("x" * 100_000, "é" * 5_000, "\x00" * 5_000, "e\u0301 " * 4_000):
        found = attribute(PAGE, "title", text).value
        assert isinstance(found, str)
        assert len(found) == MAX_TEXT
        assert found.endswith("…")
        assert attribute(PAGE, "title", found).value == found


def test_a_fault_of_the_code_is_told_from_a_hostile_text() -> None:
    for about, attribute_name in ((PAGE, "no_such_attribute"), (PAGE, "followers")):
        with pytest.raises(OutsideVocabulary):
            attribute(about, attribute_name, "x")
    with pytest.raises(Malformed) as error:
        attribute(PAGE, "title", "")
    assert not isinstance(error.value, OutsideVocabulary)
