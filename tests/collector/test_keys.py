"""Provider keys: readable by their owner only, never shown, the environment before the file."""

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from services.collector import api
from services.collector.keys import MAX_SECRET, KeyRing, hint
from services.contracts.resources import KeyName, NewKey
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Invalid, NotFound
from tests.collector.workshop import manifest

SECRET = "abcdefgh-ijklmnop-7890"


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    leftover = tmp_path / "keys.new"
    leftover.write_text("{}")
    leftover.chmod(0o644)
    ring = KeyRing(tmp_path, {})
    ring.set("shodan", SECRET)
    ring.set("other", "1" * 20)
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert KeyRing(tmp_path, {}).find("shodan") == SECRET


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, {"MIRAGE_KEY_SHODAN": " from-environment\n", "MIRAGE_KEY_EMPTY": " ", "OTHER": "x"})
    assert ring.find("shodan") == "from-environment"
    ring.set("shodan", SECRET)
    ring.set("github", SECRET)
    assert ring.find("shodan") == "from-environment"
    assert ring.find("empty") is None
    assert ring.names() == {"github": "file", "shodan": "environment"}


def test_a_key_can_be_forgotten(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, {})
    ring.set("shodan", SECRET)
    ring.remove("shodan")
    assert ring.find("shodan") is None
    assert SECRET not in (tmp_path / "keys.json").read_text()
    with pytest.raises(NotFound):
        ring.remove("shodan")


@pytest.mark.parametrize("name", ["", "Shodan", "a b", "../x", "1a", "a" * 65, "a\n"])
def test_a_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        KeyRing(tmp_path, {}).set(name, SECRET)


@pytest.mark.parametrize("secret", ["", "  ", "a\nb", "a\0b", "x" * (MAX_SECRET + 1)])
def test_a_secret_is_one_line_and_no_refusal_repeats_it(tmp_path: Path, secret: str) -> None:
    with pytest.raises(Invalid) as refusal:
        KeyRing(tmp_path, {}).set("shodan", secret)
    assert not secret.strip() or secret not in str(refusal.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "\xff", "5"])
def test_a_file_that_is_none_of_keys_is_said_to_be_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content, "latin-1")
    with pytest.raises(Invalid, match=r"keys\.json"):
        KeyRing(tmp_path, {}).find("shodan")


@pytest.mark.parametrize("secret", ["", "a", "abcdefghijklmno", "abcdefghijklmnop", SECRET])
def test_no_hint_gives_away_more_than_the_end_of_a_long_key(secret: str) -> None:
    shown = hint(secret).removeprefix("…")
    assert shown == (secret[-4:] if len(secret) >= 16 else "")


async def test_no_answer_has_a_key_in_it(tmp_path: Path) -> None:
    module = SimpleNamespace(manifest=manifest(key="shodan"))
    collector: Any = SimpleNamespace(keys=KeyRing(tmp_path, {}), modules={"probe": module})
    api_collector, api.collector_of = api.collector_of, lambda ports: collector
    try:
        caller, ports = Caller(UUID(int=1)), None
        told = [
            await api.set_key(ports, caller, NewKey("shodan", SECRET)),
            await api.list_keys(ports, caller, Nothing()),
            await api.remove_key(ports, caller, KeyName("shodan")),
        ]
    finally:
        api.collector_of = api_collector
    assert told[1][0].modules == ("probe",)
    assert SECRET not in repr(told)
    assert json.loads((tmp_path / "keys.json").read_text()) == {}
