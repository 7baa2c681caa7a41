"""Tokens of servers: of the environment, else of a file that its user alone reads; never in what is said."""

import stat
from pathlib import Path

import pytest

from services.cli.tokens import FILE, find_token, keep_token, server_url
from services.kernel.errors import Invalid


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_a_token_is_kept_for_its_server_and_found_again(environ: dict[str, str], tmp_path: Path) -> None:
    keep_token("http://localhost:8080", "first", environ)
    keep_token("https://mirage.example", "second", environ)
    keep_token("http://localhost:8080", "third", environ)
    assert find_token("http://localhost:8080", environ) == "third"
    assert find_token("https://mirage.example", environ) == "second"
    assert find_token("https://mirage.example", {**environ, "MIRAGE_TOKEN": "said"}) == "said"
    file = tmp_path / "mirage" / FILE
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


def test_without_one_it_is_said_where_it_comes_from(environ: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="there is no token for http://localhost:8080: set MIRAGE_TOKEN"):
        find_token("http://localhost:8080", environ)


@pytest.mark.parametrize("content", ["{", "[]", "5"])
def test_a_file_that_is_none_is_named_and_left_alone(environ: dict[str, str], tmp_path: Path, content: str) -> None:
    file = tmp_path / "mirage" / FILE
    file.parent.mkdir()
    file.write_text(content)
    for call in (lambda: find_token("http://a", environ), lambda: keep_token("http://a", "b", environ)):
        with pytest.raises(Invalid, match="is not a file of tokens"):
            call()
    assert file.read_text() == content


@pytest.mark.parametrize("text", ["http://localhost:8080", "https://mirage.example", "http://[::1]:8080/"])
def test_the_address_of_a_server_is_taken(text: str) -> None:
    assert server_url(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8080", "ftp://a", "http://", "http://a/api", "http://a?b", "http://a#b", "http://a:0", "http://a:x",
        "http://[::1", "http://user:hunter2@a", "http://:hunter2@a", "http://a:99999",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not the address of a server") as refused:
        server_url(text)
    assert "hunter2" not in str(refused.value)
