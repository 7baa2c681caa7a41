"""What is sealed says nothing without the key, and cannot be altered, swapped or renamed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers, text

from services.kernel.errors import Corrupt, Invalid
from services.kernel.seal import Seal, key_of_folder, make_key

SEAL = Seal(make_key())


@given(text(), text())
def test_what_was_sealed_is_opened_under_its_name(name: str, secret: str) -> None:
    sealed = SEAL.seal(name, secret)
    assert SEAL.open(name, sealed) == secret
    assert sealed.isascii()
    assert sealed.isprintable()


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert SEAL.seal("shodan", "secret") != SEAL.seal("shodan", "secret")


def test_another_name_or_another_key_opens_nothing() -> None:
    sealed = SEAL.seal("shodan", "secret")
    for seal, name in ((SEAL, "censys"), (Seal(make_key()), "shodan")):
        with pytest.raises(Corrupt, match=f"the secret {name} cannot be opened") as refused:
            seal.open(name, sealed)
        assert "secret " + name not in sealed
        assert sealed not in str(refused.value)


@given(integers(0, 60), integers(1, 255))
def test_what_was_altered_is_not_opened(place: int, by: int) -> None:
    sealed = bytearray(SEAL.seal("shodan", "a secret of some length").encode())
    place %= len(sealed)
    sealed[place] ^= by
    try:
        altered = sealed.decode("ascii")
    except UnicodeDecodeError:
        return
    with pytest.raises(Corrupt):
        SEAL.open("shodan", altered)


@pytest.mark.parametrize("key", ["", "ab" * 31, "ab" * 33, "xy" * 32])
def test_a_key_of_another_form_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        Seal(key)
    assert not key or key not in str(refused.value)


def test_a_folder_keeps_its_key_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    key = key_of_folder(file)
    assert key_of_folder(file) == key
    assert file.stat().st_mode & 0o777 == 0o600
    Seal(key)
