"""A page makes a passkey and logs in by it, with nothing but what the API answers; a terminal lists and removes it."""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Mirage
from tests.cli.fields import documented
from tests.cli.test_login import PASSWORD, Up
from tests.services.auth.software_authenticator import Authenticator


class Page:
    """Asks as a page does: JSON, with the token of whoever is logged in."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.token = ""

    def ask(self, path: str, said: Any, status: int = 200) -> Any:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(
            f"{self._url}/api/v1/{path}", json.dumps(said).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                code, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            code, body = error.code, error.read()
        assert code == status, body
        return json.loads(body)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    begun = Up(tmp_path / "data")
    yield begun
    begun.end()


def test_from_a_password_to_a_passkey_and_a_session_by_it(
    up: Up, mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, browser = Page(up.url), Authenticator()
    first = {"code": up.code, "email": "jo@example.org", "name": "Jo Doe", "password": PASSWORD}
    page.token = page.ask("accounts/first", first)["access"]
    page.ask("passkeys/begin", {"password": "wrong horse battery"}, 403)
    begun = page.ask("passkeys/begin", {"password": PASSWORD})
    made = browser.create(begun["options"])
    view = page.ask("passkeys", {"begun": begun["begun"], "name": "laptop", "credential": made})
    assert (view["name"], view["used"]) == ("laptop", None)
    page.token = ""
    begun = page.ask("passkeys/login/begin", {})
    signed = browser.get(begun["options"])
    step = page.ask("passkeys/login", {"begun": begun["begun"], "credential": signed, "device": "a browser"})
    assert (step["needs"], step["session"]["roles"]) == (None, ["owner", "operator"])
    page.ask("passkeys/login", {"begun": begun["begun"], "credential": signed}, 401)

    def ask(*words: str, answers: str = "") -> str:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        code, out, err = mirage(*words, "--server", up.url)
        assert code == 0, err
        return out + err

    ask("login", answers=f"jo@example.org\n{PASSWORD}\n")
    (listed,) = json.loads(ask("account", "passkeys", "--format", "json"))
    assert set(listed) == documented()["account passkeys"]
    assert "laptop" in ask("account", "passkeys")
    assert "It lets nobody in any more" in ask("account", "passkeys", "--remove", listed["id"], answers=f"{PASSWORD}\n")
    begun = page.ask("passkeys/login/begin", {})
    page.ask("passkeys/login", {"begun": begun["begun"], "credential": browser.get(begun["options"])}, 401)
