"""Names that are the same once what says nothing is gone, and names that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.correlation.domain.identity.names import MOST_WORDS, likeness, name_blocks, plain_name


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Acme GmbH & Co. KG", "acme"),
        ("ACME G.m.b.H.", "acme"),
        ("The Acme Company, Inc.", "acme"),
        ("Acme Sp. z o.o.", "acme"),
        ("Acme S.p.A.", "acme"),
        ("Acme S. A.", "acme"),
        ("Société Générale S.A.", "societe generale"),
        ("Müller Söhne AG", "mueller soehne"),
        ("Straße & Weg OHG", "strasse and weg"),
        ("ООО «Ромашка»", "romashka"),
        ("Ромашка, АО", "romashka"),
        ("Ελληνικά Πετρέλαια Α.Ε.", "ellinika petrelaia"),
        ("Ørsted A/S", "orsted"),
        ("GmbH", "gmbh"),
        ("--- ...", ""),
    ],
)
def test_an_organisation_is_called_what_is_left_without_its_legal_form(written: str, plain: str) -> None:
    assert plain_name(written, "organization") == plain


@pytest.mark.parametrize("written", ["Dr. Jo Doe", "Jo Doe, PhD", "Mr Jo Doe Jr."])
def test_a_person_is_called_what_is_left_without_titles(written: str) -> None:
    assert plain_name(written, "person") == "jo doe"


def test_the_order_of_words_makes_no_difference() -> None:
    assert likeness("doe jo", "jo doe") == 100
    assert f"={'doe jo'}" in set(name_blocks("doe jo")) & set(name_blocks("jo doe"))


@given(st.text(max_size=300), st.sampled_from(["organization", "person"]))
def test_a_plain_name_is_plain_and_bounded(written: str, kind: str) -> None:
    plain = plain_name(written, kind)
    assert len(plain.split()) <= MOST_WORDS
    assert plain == " ".join(plain.split())
    assert len(name_blocks(plain)) <= 1 + 2 * MOST_WORDS
