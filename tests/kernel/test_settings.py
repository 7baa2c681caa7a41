"""Flag over environment over file over default; what is wrong is refused by name."""

from pathlib import Path
from typing import Any

import pytest

from services.kernel.errors import Invalid
from services.kernel.settings import Settings, read_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def write_file(environ: dict[str, str], text: str) -> Path:
    file = Path(environ["XDG_CONFIG_HOME"]) / "mirage" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_without_anything_said_the_defaults_hold(environ: dict[str, str]) -> None:
    assert read_settings({}, environ) == Settings()


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(environ: dict[str, str]) -> None:
    write_file(environ, 'listen = "127.0.0.1:1"\nlog = "error"\nuser_agent = "file"\n')
    environ |= {"MIRAGE_LISTEN": "127.0.0.1:2", "MIRAGE_LOG": "debug"}
    settings = read_settings({"listen": "127.0.0.1:3"}, environ)
    assert (settings.listen, settings.log, settings.user_agent, settings.proxy) == ("127.0.0.1:3", "debug", "file", "")


@pytest.mark.parametrize("nothing", [None, "", ()])
def test_a_flag_that_was_not_given_hides_nothing(environ: dict[str, str], nothing: Any) -> None:
    environ["MIRAGE_DATA"] = "/somewhere"
    assert read_settings({"data": nothing}, environ).data == "/somewhere"


def test_an_empty_variable_is_none(environ: dict[str, str]) -> None:
    write_file(environ, 'data = "/file"\n')
    assert read_settings({}, environ | {"MIRAGE_DATA": ""}).data == "/file"


@pytest.mark.parametrize("text", ["192.0.2.1,192.0.2.2:5353", "192.0.2.1 192.0.2.2:5353", "192.0.2.1, 192.0.2.2:5353"])
def test_a_list_in_the_environment_is_separated_by_commas_or_blanks(environ: dict[str, str], text: str) -> None:
    assert read_settings({}, environ | {"MIRAGE_RESOLVERS": text}).resolvers == ("192.0.2.1", "192.0.2.2:5353")


def test_a_list_in_the_file_is_a_list(environ: dict[str, str]) -> None:
    write_file(environ, 'resolvers = ["192.0.2.1"]\n')
    assert read_settings({}, environ).resolvers == ("192.0.2.1",)


def test_variables_of_other_programs_count_where_ours_say_nothing(environ: dict[str, str]) -> None:
    environ |= {"SSL_CERT_FILE": "/etc/common.pem", "HTTPS_PROXY": "http://upper:1"}
    settings = read_settings({}, environ)
    assert (settings.ca_file, settings.proxy) == ("/etc/common.pem", "http://upper:1")
    own = read_settings({}, environ | {"MIRAGE_CA_FILE": "/etc/own.pem", "MIRAGE_PROXY": "http://own:1"})
    assert (own.ca_file, own.proxy) == ("/etc/own.pem", "http://own:1")
    write_file(environ, 'proxy = "http://file:1"\n')
    assert read_settings({}, environ).proxy == "http://file:1"


def test_the_proxy_is_the_first_that_is_set_small_letters_before_capitals(environ: dict[str, str]) -> None:
    order = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY")
    for place, name in enumerate(order):
        named = {variable: f"http://{variable}:1" for variable in order[place:]}
        assert read_settings({}, environ | named).proxy == f"http://{name}:1"


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY", "MIRAGE_NO_PROXY"])
def test_what_is_reached_directly_is_a_list(environ: dict[str, str], variable: str) -> None:
    settings = read_settings({}, environ | {variable: "localhost,.example.org, 10.0.0.0/8"})
    assert settings.no_proxy == ("localhost", ".example.org", "10.0.0.0/8")
    both = {"no_proxy": "small.example", "NO_PROXY": "large.example"}
    assert read_settings({}, environ | both).no_proxy == ("small.example",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listen = 8080", "the setting listen is wrong: Expected `str`, got `int`"),
        ('resolvers = "192.0.2.1"', "the setting resolvers is wrong"),
        ("resolvers = [53]", "the setting resolvers is wrong"),
        ('log = "loud"', "the setting log is wrong: Invalid enum value 'loud'"),
        ('resolver = ["192.0.2.1"]', "there is no setting resolver; there are data, resolvers"),
        ("listen = ", "Invalid value"),
    ],
)
def test_a_bad_file_is_refused_by_the_name_of_the_setting(environ: dict[str, str], text: str, says: str) -> None:
    file = write_file(environ, text)
    with pytest.raises(Invalid) as refused:
        read_settings({}, environ)
    assert str(file) in str(refused.value)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_not_passed_over(environ: dict[str, str]) -> None:
    file = write_file(environ, "")
    file.unlink()
    file.mkdir()
    with pytest.raises(Invalid, match="cannot be read"):
        read_settings({}, environ)


def test_a_file_that_is_no_text_is_refused(environ: dict[str, str]) -> None:
    write_file(environ, "").write_bytes(b"\xff\xfe")
    with pytest.raises(Invalid):
        read_settings({}, environ)


def test_a_bad_variable_or_flag_is_refused_by_its_name(environ: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=r"^MIRAGE_LOG: the setting log is wrong"):
        read_settings({}, environ | {"MIRAGE_LOG": "loud"})
    with pytest.raises(Invalid, match=r"^--log: the setting log is wrong"):
        read_settings({"log": "loud"}, environ)


def test_the_data_folder_is_where_the_specification_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert Settings().folder == tmp_path / "share" / "mirage"
    for none in ("", "relative/share"):
        monkeypatch.setenv("XDG_DATA_HOME", none)
        assert Settings().folder == tmp_path / ".local" / "share" / "mirage"
    assert Settings(data="~/scans").folder == tmp_path / "scans"
    monkeypatch.chdir(tmp_path)
    assert Settings(data="here").folder == tmp_path / "here"
