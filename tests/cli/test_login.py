"""People and scripts at a server: from the code that `mirage up` shows to a token that starts a scan, and its end."""

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest

from services.kernel.tokens import make_token
from tests.cli.conftest import Mirage
from tests.cli.fields import documented

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
ANOTHER = "staple battery horse"
PHONE = ("scan", "+41446681800", "--module", "phone", "--quiet")

#: A command of somebody, who answers what it asks for; it must end so.
Ask = Callable[..., str]


class Up:
    """`mirage up` on a folder; ``said`` is what it shows at its start."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services", "up", "--data", str(folder), "--listen", "127.0.0.1:0"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        self.said = "".join(self._process.stderr.readline() for _ in range(3))

    @property
    def url(self) -> str:
        found = re.search(r"http://localhost:\d+", self.said)
        assert found, self.said
        return found[0]

    @property
    def code(self) -> str:
        found = re.search(r"(?m)^Its code: (mirage_one_\w+)$", self.said)
        assert found, self.said
        return found[1]

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(30) == 0
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    begun = Up(tmp_path_factory.mktemp("up") / "data")
    yield begun
    begun.end()


@pytest.fixture
def ask(mirage: Mirage, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("MIRAGE_TOKEN", raising=False)

    def call(
        who: str, *words: str, answers: tuple[str, ...] = (), token: str = "", status: int = 0, both: bool = False
    ) -> str:
        with monkeypatch.context() as patched:
            patched.setenv("XDG_CONFIG_HOME", str(tmp_path.parent / who))
            patched.setattr("sys.stdin", io.StringIO("".join(f"{each}\n" for each in answers)))
            if token:
                patched.setenv("MIRAGE_TOKEN", token)
            code, out, err = mirage(*words, "--server", up.url)
        assert code == status, (words, out, err)
        return out + err if both else out if status == 0 and out else err

    return call


def refused(ask: Ask, who: str, *words: str, token: str = "") -> str:
    return ask(who, *words, token=token, status=1)


def soon(holds: Callable[[], object]) -> None:
    """Wait until something holds that fails until then: what is revoked is heeded within a second."""
    end = time.monotonic() + 10
    while True:
        try:
            holds()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def test_from_the_code_that_is_shown_to_a_scan_that_a_script_starts(ask: Ask, up: Up, tmp_path: Path) -> None:
    guess = make_token("one")
    assert "the code is wrong" in ask(
        "jo", "login", "--first", answers=(guess, "jo@example.org", "Jo Doe", PASSWORD), status=1
    )
    said = ask("jo", "login", "--first", answers=(up.code, "jo@example.org", "Jo Doe", PASSWORD))
    assert "You are Jo Doe (owner, operator) in the workspace default" in said
    kept = tmp_path.parent / "jo/mirage/servers.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()
    ask("mo", "login", "--first", answers=(up.code, "mo@example.org", "Mo", PASSWORD), status=1)
    assert ask("jo", "account", "show").splitlines() == [
        "Jo Doe <jo@example.org>, an operator", "Logins need no code: mirage account authenticator",
    ]  # fmt: skip
    reads = ask("jo", "tokens", "make", "reader", "--until", "7d").strip()
    starts = ask("jo", "tokens", "make", "scanner", "--may", "read", "--may", "scans.run")
    assert "create_scan needs the permission scans.run" in refused(ask, "script", *PHONE, token=reads)
    assert "+41446681800" in ask("script", *PHONE, "--format", "jsonl", "--output", "-", token=starts)
    assert "finished" in ask("script", "scans", "list", token=reads)
    assert "delete_scan needs" in refused(ask, "script", "scans", "delete", "last", token=starts)
    assert "you are not logged in" in ask("script", "scans", "list", status=2)
    (ended,) = re.findall(r"(?m)^ ([0-9a-f-]{36}) +reader", ask("jo", "tokens", "list"))
    ask("jo", "tokens", "end", ended)
    soon(lambda: refused(ask, "script", "scans", "list", token=reads))
    assert "lets nobody in" in refused(ask, "script", "scans", "list", token=reads)
    assert "finished" in ask("script", "scans", "list", token=starts)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (("mirage_one_guess",), "that is no code, or not just as it was shown"),
        (("CODE", "jo at example"), "that will not do: an address of e-mail, as jo@example.org"),
        (("CODE", "jo@example.org", "J" * 101), "that will not do: at most 100 characters"),
        (("CODE", "jo@example.org", "Jo Doe", "short"), "a password has 12 characters at least"),
        (("CODE", "jo.doe@example.org", "Jo Doe", "jo.doe@example.org"), "little more than a name that others know"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_before_the_next_one_is_asked_for_and_nothing_is_sent(
    ask: Ask, up: Up, answers: tuple[str, ...], said: str
) -> None:
    given = tuple(make_token("one") if each == "CODE" else each for each in answers)
    assert said in ask("nobody", "login", "--first", answers=given, status=2)


def test_a_colleague_is_invited_and_is_what_he_was_made_at_once(ask: Ask) -> None:
    ask("jo", "workspaces", "make", "acme", "--title", "Acme, Inc.")
    code = ask("jo", "members", "invite", "mo@example.org", "--as", "viewer", "--workspace", "acme").strip()
    said = ask("mo", "login", "--invited", answers=(code, "Mo", PASSWORD))
    assert "Jo Doe invites mo@example.org to Acme, Inc., as viewer" in said
    assert "You are Mo (viewer) in the workspace acme" in said
    assert "default" not in ask("mo", "workspaces", "list")
    assert "No scans yet" in ask("mo", "scans", "list")
    assert "you belong to no such workspace" in refused(ask, "mo", "scans", "list", "--workspace", "default")
    assert "needs the permission scans.run" in refused(ask, "mo", *PHONE)
    ask("jo", "members", "set", "mo@example.org", "analyst", "--workspace", "acme")
    soon(lambda: ask("mo", *PHONE))
    assert "finished" in ask("mo", "scans", "list")
    assert "analyst" in ask("mo", "members", "list")
    assert "members.manage" in refused(ask, "mo", "members", "invite", "so@example.org")
    ask("jo", "members", "remove", "mo@example.org", "--workspace", "acme")
    soon(lambda: refused(ask, "mo", "scans", "list", "--workspace", "acme"))
    again = ask("jo", "members", "invite", "mo@example.org", "--as", "admin").strip()
    assert "You are admin in default" in ask("mo", "workspaces", "enter", answers=(again,))


def test_an_operator_makes_another_one_who_may_then_what_operators_may(ask: Ask) -> None:
    assert "workspaces.create" in refused(ask, "mo", "workspaces", "make", "umbrella")
    assert "operators.manage" in refused(ask, "mo", "operators", "add", "mo@example.org")
    ask("jo", "operators", "add", "mo@example.org")
    soon(lambda: ask("mo", "workspaces", "make", "umbrella"))
    assert "mo@example.org" in ask("mo", "operators", "list")
    ask("jo", "operators", "remove", "mo@example.org")
    soon(lambda: refused(ask, "mo", "operators", "list"))


def test_who_did_what_is_read_by_who_owns_the_workspace_and_verified_at_home(ask: Ask) -> None:
    def listed() -> None:
        found = json.loads(ask("jo", "audit", "list", "--format", "json"))
        seen = {(each["what"], each["kind"], each["outcome"]) for each in found}
        assert seen >= {
            ("scans.create_scan", "token", "done"), ("scans.delete_scan", "token", "denied"),
            ("users.accept_invitation", "person", "done"),
        }  # fmt: skip

    soon(listed)
    head = ask("jo", "audit", "verify").strip()
    assert ask("jo", "audit", "verify", "--head", head).strip() == head
    joined = json.loads(
        ask("jo", "audit", "list", "--workspace", "acme", "--who", "mo@example.org", "--format", "json")
    )
    assert {each["what"] for each in joined} >= {"users.add_profile", "scans.create_scan"}
    logins = ask("jo", "audit", "list", "--installation", "--what", "create_account")
    assert "mo@example.org" in logins
    assert ask("jo", "audit", "verify", "--installation")
    script = ask("jo", "tokens", "make", "another", "--may", "scans.read").strip()
    assert "needs the permission audit.read" in refused(ask, "script", "audit", "verify", token=script)


@pytest.mark.parametrize(
    "verb",
    [
        "account show",
        "sessions list",
        "tokens list",
        "workspaces list",
        "members list",
        "members invitations",
        "operators list",
    ],
)
def test_what_is_printed_as_json_has_the_fields_that_its_page_names(ask: Ask, verb: str) -> None:
    ask("jo", "tokens", "make", verb)
    shown = json.loads(ask("jo", *verb.split(), "--format", "json"))
    assert set(shown if isinstance(shown, dict) else shown[0]) == documented()[verb]


def test_a_second_factor_is_asked_for_once_there_is_one(ask: Ask, up: Up, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "services", "account", "authenticator", "--server", up.url],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path.parent / "jo")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as setting:  # fmt: skip
        assert setting.stdin is not None
        assert setting.stderr is not None
        setting.stdin.write(f"{PASSWORD}\n")
        setting.stdin.flush()
        told = setting.stderr.readline() + setting.stderr.readline()
        secret = told.split()[3]
        assert f"secret={secret}" in told
        recovery = setting.communicate(f"{pyotp.TOTP(secret).now()}\n", timeout=30)[0].split()
    assert len(recovery) == 10
    ask("phone", "login", answers=("jo@example.org", PASSWORD, "000000"), status=1)
    said = ask("phone", "login", answers=("jo@example.org", PASSWORD, recovery[0]))
    assert "You are Jo Doe" in said
    told = ask("phone", "account", "show").splitlines()[1]
    assert told == "Logins need a code of your authenticator; 9 recovery codes left"
    assert ask("phone", "sessions", "list").count("mirage on ") == 2
    ask("phone", "account", "password", answers=(PASSWORD, ANOTHER, "000000"), status=1)
    ask("phone", "account", "password", answers=(PASSWORD, ANOTHER, recovery[1]))
    ask("phone", "account", "password", answers=(ANOTHER, PASSWORD, recovery[2]))
    ask("jo", "login", answers=("jo@example.org", PASSWORD, recovery[3]))
    ask("phone", "account", "authenticator", "--remove", answers=(recovery[4],))


@pytest.mark.parametrize(
    "verb",
    [
        "whoami", "scans list", "scans show last", "sessions list", "tokens list", "workspaces list", "members list",
        "members invitations", "operators list", "audit list", "settings history gateway", "retract",
        "modules show phone",
    ],
)  # fmt: skip
def test_a_time_is_said_to_be_utc_beside_it_or_in_the_head_of_its_column(ask: Ask, verb: str) -> None:
    ask("jo", "settings", "set", "gateway", "log=info")
    ask("jo", "retract", "--module", "crtsh", "--reason", "a test")
    shown = ask("jo", *verb.split())
    times = [re.findall(r"\d\d:\d\d:\d\d(?! UTC)", line) for line in shown.splitlines()]
    assert max(map(len, times)) <= shown.count("(UTC)")
    assert re.search(r"\d{4}-\d\d-\d\d", shown) or verb in {"scans show last", "modules show phone"}, shown


def test_who_lost_his_password_gets_back_by_a_code_of_the_machines_operator(
    ask: Ask, up: Up, mirage: Mirage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is for services and operators" in refused(ask, "jo", "account", "reset", "jo@example.org")
    status, code, said = mirage("account", "reset", "jo@example.org", "--data", str(up.folder))
    assert (status, "mirage login --reset" in said) == (0, True)
    assert "You are Jo Doe" in ask("phone", "login", "--reset", answers=(code.strip(), ANOTHER))
    assert "the code is not good" in ask("phone", "login", "--reset", answers=(code.strip(), PASSWORD), status=1)
    assert "log in again" in ask("jo", "scans", "list", status=1)
    ask("phone", "account", "password", answers=(ANOTHER, PASSWORD))
    ask("jo", "login", answers=("jo@example.org", PASSWORD))


def test_who_asks_is_told_who_he_is_and_until_when(ask: Ask, up: Up) -> None:
    said = ask("jo", "whoami").splitlines()
    assert said[:2] == [f"Jo Doe <jo@example.org> at {up.url}", "owner, operator in the workspace default"]
    assert re.fullmatch(r"By a session, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", said[2])
    made = json.loads(ask("jo", "tokens", "make", "weekly", "--until", "7d", "--format", "json"))
    said = ask("script", "whoami", token=made["token"]).splitlines()
    assert "May audit.read, " in said[2] or "read" in said[2]
    assert said[3].startswith("By the token weekly, until ")
    shown = json.loads(ask("script", "whoami", "--format", "json", token=made["token"]))
    assert set(shown) == documented()["whoami"]
    assert (shown["kind"], shown["until"], shown["permissions"]) == (
        "token", made["view"]["expires"], made["view"]["permissions"],
    )  # fmt: skip
    assert "you are not logged in" in ask("stranger", "whoami", status=2)
    assert "lets nobody in" in refused(ask, "stranger", "whoami", token="mirage_pat_guess")


def test_a_token_is_kept_once_it_lets_in_and_it_is_said_whose_it_is(ask: Ask, up: Up) -> None:
    made = ask("jo", "tokens", "make", "kept", "--until", "7d").strip()
    said = ask("keeper", "login", "--token", answers=(made,))
    assert re.search(rf"The token kept of Jo Doe is kept for {up.url}; it is good in default until \d{{4}}-", said)
    assert "lets nobody in" in ask("nobody", "login", "--token", answers=("mirage_pat_guess",), status=1)
    assert "you are not logged in" in ask("nobody", "scans", "list", status=2)
    assert "By the token kept" in ask("keeper", "whoami")


def test_a_session_has_a_name_and_ends_when_the_next_one_is_kept_instead(ask: Ask) -> None:
    answers = ("mo@example.org", PASSWORD)
    ask("mo", "login", "--name", "the old laptop", answers=answers)
    ask("mo", "login", "--name", "the new laptop", answers=answers)
    shown = ask("mo", "sessions", "list")
    assert "the new laptop" in shown
    assert "the old laptop" not in shown


def test_who_has_none_is_told_so(ask: Ask) -> None:
    code = ask("jo", "members", "invite", "ny@example.org").strip()
    ask("ny", "login", "--invited", answers=(code, "Ny", PASSWORD))
    assert ask("ny", "tokens", "list") == "No tokens.\n"
    assert ask("ny", "account", "passkeys") == "No passkeys.\n"
    assert ask("ny", "account", "identities") == "No identities.\n"


def test_the_beginning_of_an_id_is_enough_where_it_is_of_one(ask: Ask) -> None:
    made = [json.loads(ask("jo", "tokens", "make", name, "--format", "json"))["view"]["id"] for name in ("one", "two")]
    assert "there is no token zz" in refused(ask, "jo", "tokens", "end", "zz")
    ask("jo", "tokens", "end", made[0][:13])
    assert made[0] not in ask("jo", "tokens", "list")
    assert made[1] in ask("jo", "tokens", "list")
    invited = json.loads(ask("jo", "members", "invite", "so@example.org", "--format", "json"))
    assert set(invited) == {"invitation", "code"}
    assert "withdrawn" in ask("jo", "members", "withdraw", invited["invitation"]["id"][:13])
    (here,) = [each for each in json.loads(ask("mo", "sessions", "list", "--format", "json")) if each["current"]]
    ask("mo", "sessions", "end", here["id"][:13].upper())
    soon(lambda: refused(ask, "mo", "scans", "list"))
    assert "you are not logged in" in ask("mo", "scans", "list", status=2)


def test_what_is_wrong_is_said_in_words(ask: Ask) -> None:
    said = ask("jo", "members", "invite", "nobody", status=2)
    assert said == "mirage: invite cannot be asked so: email: an address of e-mail, as jo@example.org\n"
    said = ask("jo", "workspaces", "make", "Not a name!", status=2)
    assert "name: small letters, digits and hyphens between them, as acme-2" in said


def test_a_workspace_that_was_logged_in_to_or_entered_is_worked_in_until_another_one_is_named(ask: Ask) -> None:
    ask("jo", "workspaces", "make", "north")
    ask("jo", "workspaces", "make", "south")
    answers = ("jo@example.org", PASSWORD)
    assert "in the workspace south" in ask("desk", "login", "--workspace", "south", answers=answers)
    assert "workspace south" in ask("desk", "whoami")
    assert "workspace north" in ask("desk", "whoami", "--workspace", "north")
    assert "workspace south" in ask("desk", "whoami")
    assert "You are owner in north; you work there from now on" in ask("desk", "workspaces", "enter", "north")
    assert "workspace north" in ask("desk", "whoami")
    assert "you belong to no workspace nowhere" in refused(ask, "desk", "workspaces", "enter", "nowhere")
    assert "workspace north" in ask("desk", "whoami")
    code = ask("jo", "members", "invite", "no@example.org", "--workspace", "south").strip()
    ask("no", "login", "--invited", answers=(code, "No", PASSWORD))
    again = ask("jo", "members", "invite", "no@example.org", "--workspace", "north").strip()
    assert "in north; you work there from now on" in ask("no", "workspaces", "enter", answers=(again,))
    assert "workspace north" in ask("no", "whoami")


def test_a_session_in_no_workspace_is_in_the_one_that_it_enters(ask: Ask) -> None:
    ask("jo", "workspaces", "make", "east")
    code = ask("jo", "members", "invite", "eve@example.org", "--workspace", "east").strip()
    ask("eve", "login", "--invited", answers=(code, "Eve", PASSWORD))
    ask("jo", "members", "remove", "eve@example.org", "--workspace", "east")
    soon(lambda: refused(ask, "eve", "scans", "list"))
    assert "in no workspace" in ask("eve", "whoami")
    again = ask("jo", "members", "invite", "eve@example.org", "--workspace", "east").strip()
    ask("eve", "workspaces", "enter", answers=(again,))
    assert "No scans yet" in ask("eve", "scans", "list")


@pytest.mark.parametrize("way", ["--first", "--invited", "--reset", "--token"])
def test_a_workspace_is_not_said_where_something_else_says_it(ask: Ask, way: str) -> None:
    said = ask("desk", "login", way, "--workspace", "south", answers=("code",) * 4, status=2)
    assert "--workspace is for a login by password or --oidc" in said


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\n", "\x7f", "\x9b", "\u202e", "\u2028"])
def test_a_name_that_a_terminal_would_obey_is_refused(ask: Ask, hidden: str) -> None:
    name, wrong = f"a{hidden}b", "printable characters: no controls, and none that turn a line around"
    answers = ("jo@example.org", PASSWORD)
    for words in (("login", "--name", name), ("tokens", "make", name), ("account", "call", name)):
        assert wrong in ask("jo", *words, answers=answers, status=2)
    assert wrong in ask("jo", "workspaces", "call", name, "--workspace", "acme", status=2)


def test_who_is_in_a_workspace_no_more_is_told_where_he_is_instead(ask: Ask) -> None:
    ask("jo", "workspaces", "make", "first")
    ask("jo", "workspaces", "make", "second")
    code = ask("jo", "members", "invite", "lo@example.org", "--workspace", "first").strip()
    ask("lo", "login", "--invited", answers=(code, "Lo", PASSWORD))
    again = ask("jo", "members", "invite", "lo@example.org", "--workspace", "second").strip()
    ask("lo", "workspaces", "enter", answers=(again,))
    ask("lo", "workspaces", "enter", "first")
    assert "workspace first" in ask("lo", "whoami")
    ask("jo", "members", "remove", "lo@example.org", "--workspace", "first")
    told = "you belong to first no more: this is done in second, unless --workspace says another"

    def look() -> None:
        assert told in ask("lo", "workspaces", "list", both=True)

    soon(look)
    assert told not in ask("lo", "workspaces", "list", both=True)


def test_who_logs_out_is_let_in_no_more(ask: Ask) -> None:
    ask("elsewhere", "login", answers=("jo@example.org", "wrong horse battery"), status=1)
    ask("jo", "logout")
    assert "you are not logged in" in ask("jo", "scans", "list", status=2)
    ask("jo", "logout", status=2)
