"""A person logs in at an OpenID provider from the command line, with a browser beside it, as the README says it."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from lab.web.certificates import Authority
from tests.cli.conftest import Mirage
from tests.cli.fields import documented
from tests.cli.test_login import PASSWORD, ROOT, Up, soon
from tests.services.auth.openid_provider import CLIENT, SECRET, Person, Provider, authority_in, serve


class Desk:
    """A server, a provider that it knows, and people before it."""

    def __init__(self, mirage: Mirage, up: Up, folder: Path, provider: Provider) -> None:
        self._mirage = mirage
        self._folder = folder
        self.up = up
        self.provider = provider

    def ask(self, who: str, *words: str, answers: tuple[str, ...] = (), status: int = 0) -> str:
        return self._call(who, (*words, "--server", self.up.url), answers, status)

    def operate(self, *words: str, answers: tuple[str, ...] = (), status: int = 0) -> str:
        """Ask as the operator of the machine."""
        return self._call("operator", (*words, "--data", str(self.up.folder)), answers, status)

    def _call(self, who: str, words: tuple[str, ...], answers: tuple[str, ...], status: int) -> str:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("XDG_CONFIG_HOME", str(self._folder / who))
            patched.setattr("sys.stdin", io.StringIO("".join(f"{each}\n" for each in answers)))
            code, out, err = self._mirage(*words)
        assert code == status, (words, out, err)
        return out if status == 0 and out else err

    def at_the_provider(
        self, who: str, *words: str, answers: tuple[str, ...] = (), browser: Callable[[str], None] | None = None
    ) -> tuple[int, str]:
        """Call a command that names an address of the provider, and go there; how it ended, and what it said."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self._folder / who)}
        command = [sys.executable, "-m", "services", *words, "--server", self.up.url]
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write("".join(f"{each}\n" for each in answers))
            process.stdin.close()
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("https://"):
                    (browser or self.go)(line.strip())
            return process.wait(30), "".join(said)

    def go(self, url: str, **instead: str) -> None:
        """Log in as the provider's person, and be sent back; ``instead``: with something else."""
        answer = {**self.provider.visit(url), **instead}
        redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        assert "you may close this page" in fetch(f"{redirect}?{urlencode(answer)}").lower()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read()).decode()


@contextmanager
def provided(authority: Authority) -> Iterator[Provider]:
    """A provider in a thread of its own."""
    loop, up, ending = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    made: list[Provider] = []

    async def run() -> None:
        made.append(Provider())
        async with serve(made[0], authority):
            up.set()
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert up.wait(30)
        yield made[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        loop.close()


@pytest.fixture
def desk(mirage: Mirage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("MIRAGE_TOKEN", raising=False)
    authority = authority_in(tmp_path / "authority")
    with provided(authority) as provider:
        up = Up(tmp_path / "data", MIRAGE_CA_FILE=str(authority.file))
        try:
            made = Desk(mirage, up, tmp_path, provider)
            made.ask("jo", "login", "--first", answers=(up.code, "jo@example.org", "Jo Doe", PASSWORD))
            acme = {"issuer": provider.issuer, "client_id": CLIENT, "domains": ["example.org"], "title": "Acme"}
            made.operate("settings", "set", "auth", f"providers={json.dumps({'acme': acme})}")
            assert "for logins at the provider acme" in made.operate("keys", "set", "oidc_acme", answers=(SECRET,))
            yield made
        finally:
            up.end()


def test_from_a_provider_that_is_set_to_a_session_and_an_identity_that_is_taken_back(desk: Desk) -> None:
    assert SECRET not in desk.ask("jo", "settings", "show", "auth")
    soon(lambda: logs_in(desk, "jo at work", "You are Jo Doe (owner, operator) in the workspace default"))
    assert desk.ask("jo at work", "account", "show").startswith("Jo Doe <jo@example.org>, an operator\n")
    (known,) = json.loads(desk.ask("jo", "account", "identities", "--format", "json"))
    assert set(known) == documented()["account identities"]
    assert "example.org" in desk.ask("jo", "account", "identities")
    assert (known["provider"], known["email"]) == ("acme", "jo@example.org")
    desk.ask("jo", "account", "identities", "--remove", known["id"], answers=("wrong horse battery",), status=1)
    desk.ask("jo", "account", "identities", "--remove", known["id"], answers=(PASSWORD,))
    desk.provider.person = Person(sub="jo at home", email="jo@home.example")
    assert "nobody here is known by that login" in refused(desk, "jo", "login", "--oidc", "acme")
    link = ("account", "identities", "--link", "acme")
    status, said = desk.at_the_provider("jo", *link, answers=(PASSWORD,))
    assert (status, "You are let in as jo@home.example at acme from now on" in said) == (0, True), said
    logs_in(desk, "jo at home", "You are Jo Doe")
    code = desk.ask("jo", "members", "invite", "mo@example.org", "--as", "viewer").strip()
    desk.provider.person = Person(sub="mo", email="mo@example.org", name="Mo Miller")
    status, said = desk.at_the_provider("mo", "login", "--invited", "--oidc", "acme", answers=(code,))
    assert (status, "You are Mo Miller (viewer) in the workspace default" in said) == (0, True), said
    assert desk.ask("mo", "account", "passkeys", "--format", "json").strip() == "[]"
    desk.ask("mo", "account", "password", answers=("", PASSWORD))
    desk.ask("mo", "account", "password", answers=("", "another horse battery"), status=1)
    desk.ask("mo at home", "login", answers=("mo@example.org", PASSWORD))


def logs_in(desk: Desk, who: str, says: str) -> None:
    status, said = desk.at_the_provider(who, "login", "--oidc", "acme")
    assert (status, says in said) == (0, True), said


def refused(desk: Desk, who: str, *words: str) -> str:
    status, said = desk.at_the_provider(who, *words)
    assert status == 1, said
    return said


def test_whatever_else_comes_back_is_not_listened_to(desk: Desk) -> None:
    def browser(url: str) -> None:
        redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        answer = desk.provider.visit(url)
        others = [
            "/", "/callback", "/callback?code=x", f"/callback?{urlencode({**answer, 'state': 'another'})}",
            f"/callback/?{urlencode(answer)}", "/callback?" + "&".join(f"x{each}=1" for each in range(50)),
            f"/callback?{'x' * 20_000}",
        ]  # fmt: skip
        for each in others:
            with pytest.raises((urllib.error.URLError, ConnectionError)):
                fetch(f"{redirect.removesuffix('/callback')}{each}")
        desk.go(url)

    def logs_in_meanwhile() -> None:
        status, said = desk.at_the_provider("jo", "login", "--oidc", "acme", browser=browser)
        assert (status, "You are Jo Doe" in said) == (0, True), said

    soon(logs_in_meanwhile)
    given_up = desk.at_the_provider(
        "jo", "login", "--oidc", "acme", browser=lambda url: desk.go(url, error="access_denied")
    )
    assert given_up[0] == 1
    assert "the provider let nobody in: access_denied" in given_up[1]


def test_only_providers_that_are_set_are_asked(desk: Desk) -> None:
    assert "there is no such provider" in refused(desk, "jo", "login", "--oidc", "evil")
    assert desk.at_the_provider("jo", "login", "--oidc", "acme", "--first")[0] == 2
    wrong = {"x": {"issuer": "http://localhost:1", "client_id": "x"}}
    desk.operate("settings", "set", "auth", f"providers={json.dumps(wrong)}", status=2)


def test_no_person_says_how_others_log_in_though_he_is_an_operator(desk: Desk) -> None:
    mine = {"mine": {"issuer": desk.provider.issuer, "client_id": CLIENT, "domains": ["example.org"]}}
    said = desk.ask("jo", "settings", "set", "auth", f"providers={json.dumps(mine)}", status=1)
    assert "set by the operator, on the machine itself" in said
    for verb in (("keys", "set", "oidc_acme"), ("keys", "remove", "oidc_acme")):
        assert "on the machine itself" in desk.ask("jo", *verb, answers=("x" * 20,), status=1)
    assert "mine" not in desk.ask("jo", "settings", "show", "auth")
    desk.ask("jo", "settings", "set", "collector", "log=debug")
    desk.ask("jo", "keys", "set", "urlscan", answers=("x" * 20,))
