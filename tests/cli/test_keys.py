"""Keys are read from standard input, never from the command line."""

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Mirage


@pytest.mark.parametrize("given", ["", "\n", "  \n"])
def test_a_key_that_is_not_there_is_said_so_before_the_data_folder_is_made(
    mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    code, _, said = mirage("keys", "set", "shodan", "--data", str(tmp_path / "data"))
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith("mirage: there is no key on standard input")
    assert not (tmp_path / "data").exists()
