"""A password, a code or a token goes to another machine over HTTPS alone, unless its host is named for that."""

import io
import shlex
import sys
from pathlib import Path

import pytest

from services.cli.credentials import server_of
from services.cli.examples import EXAMPLES
from services.cli.first_account import told_of_code
from services.kernel.errors import Invalid
from services.kernel.settings import Settings
from tests.cli.conftest import Mirage
from tests.cli.test_commands import every_command
from tests.cli.test_login import PASSWORD

#: There is no such host.
HOST = "mirage.invalid"
SERVER = f"http://{HOST}"
REFUSED = (
    f"mirage: {SERVER} would be told passwords and tokens without encryption: say https://, or MIRAGE_PLAIN_HTTP={HOST}"
    " if nobody else is on the way there\n"
)
#: What asks no server, whatever is said, or says what it could not.
OTHERS = {
    "up", "demo", "backup", "restore", "dead drop", "dead list", "dead retry", "dead show", "modules check", "doctor",
    "verify",
}  # fmt: skip
ASKING = sorted(
    name
    for name, command in every_command()
    if name in EXAMPLES and any(each.name == "server" for each in command.params) and name not in OTHERS
)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("MIRAGE_TOKEN", "hunter2")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n" * 5))


@pytest.mark.parametrize("name", ASKING)
def test_every_verb_that_asks_a_server_refuses_it_before_it_asks_for_anything(mirage: Mirage, name: str) -> None:
    words = shlex.split(EXAMPLES[name].replace("--server https://mirage.example.org", ""))[1:]
    status, _, told = mirage("--server", SERVER, *words)
    assert (status, told) == (2, REFUSED)
    assert sys.stdin.readline() == f"{PASSWORD}\n"


def test_a_check_of_the_installation_says_it_and_asks_nothing(mirage: Mirage) -> None:
    status, out, _ = mirage("doctor", "--server", SERVER)
    assert status == 1
    assert REFUSED.removeprefix("mirage: ").strip() in out


@pytest.mark.parametrize("way", [(), ("--first",), ("--invited",), ("--reset",), ("--token",), ("--oidc", "acme")])
def test_no_way_to_log_in_comes_as_far_as_a_prompt(mirage: Mirage, way: tuple[str, ...]) -> None:
    assert mirage("login", *way, "--server", SERVER) == (2, "", REFUSED)
    assert sys.stdin.readline() == f"{PASSWORD}\n"


def test_a_host_that_is_named_is_asked(mirage: Mirage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAGE_PLAIN_HTTP", "other.invalid")
    assert mirage("whoami", "--server", SERVER) == (2, "", REFUSED)
    monkeypatch.setenv("MIRAGE_PLAIN_HTTP", f"other.invalid, {HOST.upper()}")
    status, _, told = mirage("whoami", "--server", SERVER)
    assert status == 1
    assert f"{SERVER} does not answer" in told


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080", "http://LOCALHOST", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:8080",
        "https://mirage.example", "https://192.0.2.1",
    ],
)  # fmt: skip
def test_this_machine_and_who_is_asked_over_https_may_hear_it(url: str) -> None:
    assert server_of(Settings(server=url)) == url


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "10.0.0.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "0.0.0.0", "mirage", "localhost.example",
     "127.0.0.1.example"],
)  # fmt: skip
def test_nobody_else_may(host: str) -> None:
    with pytest.raises(Invalid, match="without encryption"):
        server_of(Settings(server=f"http://{host}:8080"))
    plain = host.strip("[]")
    assert server_of(Settings(server=f"http://{host}:8080", plain_http=(plain,))) == f"http://{host}:8080"


@pytest.mark.parametrize("code", ["mirage_one_code", None])
def test_the_line_by_which_one_begins_at_a_fleet_that_listens_elsewhere_is_one_that_is_taken(code: str | None) -> None:
    assert "MIRAGE_PLAIN_HTTP=10.0.0.1 ./mirage login " in told_of_code(code, "http://10.0.0.1:8080")
    assert "MIRAGE_PLAIN_HTTP" not in told_of_code(code, "http://localhost:8080")
