"""At a server: who may authorise does, everybody sees who did, and operators say how much a workspace may use."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Mirage
from tests.cli.fields import documented
from tests.cli.test_login import PASSWORD, PHONE, Up, soon

Ask = Callable[..., str]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    begun = Up(tmp_path / "data")
    yield begun
    begun.end()


@pytest.fixture
def ask(mirage: Mirage, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("MIRAGE_TOKEN", raising=False)

    def call(who: str, *words: str, answers: tuple[str, ...] = (), status: int = 0) -> str:
        with monkeypatch.context() as patched:
            patched.setenv("XDG_CONFIG_HOME", str(tmp_path / who))
            patched.setattr("sys.stdin", io.StringIO("".join(f"{each}\n" for each in answers)))
            code, out, err = mirage(*words, "--server", up.url)
        assert code == status, (words, out, err)
        return out if status == 0 and out else err

    return call


def invited(ask: Ask, who: str, role: str) -> None:
    """Somebody, who was invited by the first account and has logged in."""
    said = ask("jo", "members", "invite", f"{who}@example.org", "--as", role)
    code = re.search(r"mirage_inv_\w+", said)
    assert code, said
    ask(who, "login", "--invited", answers=(code[0], who.capitalize(), PASSWORD))


def test_who_authorises_is_signed_and_who_may_not_is_told_so(ask: Ask, up: Up) -> None:
    ask("jo", "login", "--first", answers=(up.code, "jo@example.org", "Jo Doe", PASSWORD))
    invited(ask, "ana", "analyst")
    invited(ask, "vi", "viewer")
    authorised = (*PHONE, "--profile", "deep", "--authorised", "our own numbers")
    said = ask("ana", *authorised, status=1)
    assert "need the permission scans.authorise" in said
    ask("jo", *authorised)
    for who in ("jo", "ana", "vi"):
        shown = json.loads(ask(who, "scans", "authorisation", "last", "--format", "json"))
        assert shown["verified"] is True
        assert (shown["statement"]["by"]["name"], shown["statement"]["by"]["kind"]) == ("Jo Doe", "person")
        assert shown["statement"]["why"] == "our own numbers"
    assert "Authorised: our own numbers (Jo Doe;" in ask("vi", "scans", "show", "last")

    said = ask("ana", "workspaces", "quotas", "default", "--scans", "0", status=1)
    assert "set_quotas" in said or "quotas.set" in said
    ask("jo", "workspaces", "quotas", "default", "--scans", "0", "--items", "5")
    quotas = json.loads(ask("vi", "workspaces", "quotas", "--format", "json"))
    assert quotas["allowed"] == {"scans": 0, "items": 5, "storage": None}
    assert quotas["used"]["items"] == 1

    # What was asked for a moment ago is gone by for some seconds.
    soon(lambda: ask("ana", *PHONE, status=1))
    assert "0 of the 0 scans that its quota lets run at once" in ask("ana", *PHONE, status=1)
    assert quotas.keys() == documented()["workspaces quotas"]
    assert shown.keys() == documented()["scans authorisation"]
