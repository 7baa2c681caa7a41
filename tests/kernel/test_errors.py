"""One table says what an error means at every edge."""

import pytest

from services.kernel import errors
from services.kernel.errors import (
    BY_CODE,
    MEANING,
    UNKNOWN,
    Denied,
    Exhausted,
    Invalid,
    Limited,
    MirageError,
    Unauthenticated,
    Unavailable,
    meaning,
)
from services.kernel.folder import Owned

#: An adapter may have kinds of its own, which never leave it.
LEAVES = [value for value in vars(errors).values() if isinstance(value, type) and MirageError in value.__bases__]


def test_every_leaf_has_a_meaning() -> None:
    assert set(MEANING) == set(LEAVES)


def test_a_code_names_one_error_and_finds_it_again() -> None:
    assert len(BY_CODE) == len(MEANING)
    for error, means in MEANING.items():
        assert BY_CODE[means.code] is error


def test_an_error_of_a_special_kind_means_what_its_leaf_means() -> None:
    assert meaning(Owned("taken")) == meaning(Unavailable(""))


def test_what_is_not_ours_is_internal() -> None:
    assert meaning(ZeroDivisionError()) is UNKNOWN
    assert meaning(MirageError("the root is never raised")) is UNKNOWN
    assert UNKNOWN.status == 500


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_only_what_is_not_the_messages_own_fault_is_not_counted(error: type[MirageError]) -> None:
    assert (meaning(error("")).bus == "pause") is (error in {Unavailable, Exhausted, Denied, Unauthenticated, Limited})


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_a_request_is_blamed_only_for_what_is_wrong_with_it(error: type[MirageError]) -> None:
    means = meaning(error(""))
    assert 400 <= means.status < 600
    assert means.exit == (2 if error is Invalid else 1)
