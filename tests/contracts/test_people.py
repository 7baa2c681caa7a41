"""What people are called by others deceives nobody who reads it."""

import msgspec
import pytest

from services.contracts.resources.users import Title

HIDDEN = ("\n", "\r", "\x1b", "\x7f", "\x9b", "\u202e", "\u2028")


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_no_name_has_anywhere_what_is_not_seen(hidden: str) -> None:
    for name in (f"{hidden}jo", f"j{hidden}o", f"jo{hidden}", hidden):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(name, Title)


@pytest.mark.parametrize("name", ["Jo Doe", "Zoë", "李小龍", "اسم", "O'Neill-Smith, Jr."])
def test_a_name_is_in_whatever_letters(name: str) -> None:
    assert msgspec.convert(name, Title) == name
