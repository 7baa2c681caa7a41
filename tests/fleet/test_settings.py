"""What a fleet's services are told stays what it is, whatever the shell has from which the fleet is brought up next."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.cli.fleet import settings
from services.cli.fleet.settings import FILE, Choice, environment
from services.kernel.errors import Invalid

PROXY = "http://user:secret@proxy.example:3128"


def environ(folder: Path, **variables: str) -> Mapping[str, str]:
    return {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), **variables}


def choose(folder: Path, changes: Mapping[str, str | None], here: Mapping[str, str]) -> Choice:
    """As a ``fleet up`` does."""
    choice = settings.choose(folder, changes, here)
    settings.keep(folder, choice.told)
    return choice


def test_what_is_not_kept_is_chosen_anew(tmp_path: Path) -> None:
    """A first start that failed, maybe for want of the proxy, is none."""
    settings.choose(tmp_path, {}, environ(tmp_path))
    assert not (tmp_path / FILE).exists()
    assert choose(tmp_path, {}, environ(tmp_path, https_proxy=PROXY)) == Choice({"proxy": PROXY}, (), first=True)


def test_the_first_start_takes_what_an_embedded_process_would(tmp_path: Path) -> None:
    (tmp_path / "config/mirage").mkdir(parents=True)
    (tmp_path / "config/mirage/config.toml").write_text('user_agent = "Ours/1"\nsql = "postgresql://not-this-one"\n')
    choice = choose(tmp_path, {}, environ(tmp_path, https_proxy=PROXY, MIRAGE_LOG="debug", MIRAGE_TOKEN="x"))
    assert choice.told == {"proxy": PROXY, "log": "debug", "user_agent": "Ours/1"}
    assert not choice.remarks
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_proxy_stays_when_the_next_shell_has_none_or_another(tmp_path: Path) -> None:
    choose(tmp_path, {}, environ(tmp_path, MIRAGE_PROXY=PROXY))
    assert choose(tmp_path, {}, environ(tmp_path)) == choose(tmp_path, {}, environ(tmp_path, MIRAGE_PROXY=PROXY))
    other = choose(tmp_path, {}, environ(tmp_path, all_proxy="http://other:1"))
    assert other.told == {"proxy": PROXY}
    (said,) = other.remarks
    assert "proxy stays http://user:***@proxy.example:3128" in said
    assert "--set proxy takes that over" in said


def test_a_proxy_does_not_come_by_itself_either(tmp_path: Path) -> None:
    choose(tmp_path, {}, environ(tmp_path))
    choice = choose(tmp_path, {}, environ(tmp_path, MIRAGE_PROXY=PROXY))
    assert choice.told == {}
    assert len(choice.remarks) == 1


def test_it_changes_where_somebody_says_so_and_what_changes_is_said_without_passwords(tmp_path: Path) -> None:
    choose(tmp_path, {}, environ(tmp_path))
    taken = choose(tmp_path, {"proxy": None, "log": "warning"}, environ(tmp_path, MIRAGE_PROXY=PROXY))
    assert taken.told == {"proxy": PROXY, "log": "warning"}
    assert taken.remarks == (
        "proxy was the default and is http://user:***@proxy.example:3128",
        "log was the default and is warning",
    )
    back = choose(tmp_path, {"proxy": ""}, environ(tmp_path))
    assert back.told == {"log": "warning"}
    assert back.remarks == ("proxy was http://user:***@proxy.example:3128 and is the default",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nothing", "1"),
        ("sql", "x"),
        ("log", "loud"),
        ("resolvers", "example.org"),
        ("trusted_proxies", "proxy.example.org"),
        ("proxy", "socks5://127.0.0.1:1"),
        ("dial_table", "/nowhere/at/all.json"),
        ("ca_file", "/nowhere/at/all.pem"),
    ],
)
def test_what_is_no_setting_of_a_fleet_is_refused_and_nothing_kept(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Invalid, match=f"{name}|nowhere"):
        choose(tmp_path, {name: value}, environ(tmp_path))
    assert not (tmp_path / FILE).exists()


def test_packages_are_the_fleets_own_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    here = environ(tmp_path, MIRAGE_VENV="/venv/of/the/command/line")
    assert choose(tmp_path, {}, here).told == {}
    assert not choose(tmp_path, {}, here).remarks
    assert choose(tmp_path, {"venv": None}, here).told == {"venv": "/venv/of/the/command/line"}


def test_files_are_named_so_that_services_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.json").write_text('{"version":1,"entries":[]}')
    told = choose(tmp_path, {"dial_table": "table.json"}, environ(tmp_path, SSL_CERT_FILE="ca.pem")).told
    assert told == {"dial_table": str(tmp_path / "table.json"), "ca_file": str(tmp_path / "ca.pem")}


def test_services_are_told_by_their_environment_but_for_what_is_secret(tmp_path: Path) -> None:
    told = {"proxy": PROXY, "resolvers": "192.0.2.1,192.0.2.2", "venv": "/venv"}
    assert environment(told) == {"MIRAGE_RESOLVERS": "192.0.2.1,192.0.2.2", "XDG_CONFIG_HOME": "/nonexistent"}


def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(Invalid, match=r"settings\.json cannot be read"):
        choose(tmp_path, {"log": "debug"}, environ(tmp_path))
    assert (tmp_path / FILE).read_text() == "{"
