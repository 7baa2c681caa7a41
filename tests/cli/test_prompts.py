"""What a person at a terminal is asked, and how he leaves: on a terminal of our own, by the keys that he presses."""

import os
import pty
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import pytest

from services.cli import prompts
from services.kernel.tokens import make_token
from tests.cli.test_login import PASSWORD, Up
from tests.proof.processes import ROOT

SECRET = ("Password: ", "The same again: ")
CTRL_C, CTRL_D = "\x03", "\x04"
CODE = make_token("one")


class Terminal:
    """A command of Mirage on a terminal."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.shown = ""
        self._read = 0
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            environment = {
                **os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder),
            }  # fmt: skip
            os.execve(sys.executable, [sys.executable, "-m", "services", *words], environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._screen)

    def press(self, text: str, *, after: str) -> None:
        """Type something once it is asked for, and the terminal shows none of it where it is secret."""
        self._until(after)
        while after in SECRET and termios.tcgetattr(self._screen)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(self._screen, text.encode())

    def leave(self) -> int:
        """Wait for its end; what it exits with."""
        while self._more():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _until(self, text: str) -> None:
        while (found := self.shown.find(text, self._read)) < 0:
            assert self._more(), self.shown
        self._read = found + len(text)

    def _more(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], 30)
        assert ready, self.shown
        try:
            content = os.read(self._screen, 65_536)
        except OSError:  # it has hung up
            return False
        self.shown += content.decode()
        return bool(content)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    begun = Up(tmp_path_factory.mktemp("up") / "data")
    yield begun
    begun.end()


@pytest.mark.parametrize(("key", "status"), [(CTRL_C, 130), (CTRL_D, 1)])
def test_who_leaves_at_a_prompt_is_gone_at_once_and_quietly(up: Up, tmp_path: Path, key: str, status: int) -> None:
    with Terminal(tmp_path, "login", "--server", up.url) as terminal:
        terminal.press(key, after="Email: ")
        assert terminal.leave() == status
    assert terminal.shown.replace("^C", "").split() == ["Email:"]
    with Terminal(tmp_path, "login", "--server", up.url) as terminal:
        terminal.press("jo@example.org\n", after="Email: ")
        terminal.press(key, after="Password: ")
        assert terminal.leave() == status
    assert re.findall(r"Traceback|Error|Aborted", terminal.shown) == []


def test_a_password_that_was_mistyped_is_asked_for_again_and_nothing_else(up: Up, tmp_path: Path) -> None:
    with Terminal(tmp_path, "login", "--first", "--server", up.url) as terminal:
        terminal.press(f"{up.code}\n", after="Code: ")
        terminal.press("jo@example.org\n", after="Email: ")
        terminal.press("Jo Doe\n", after="Name: ")
        terminal.press(f"{PASSWORD}\n", after="Password: ")
        terminal.press("something else\n", after="The same again: ")
        terminal.press(f"{PASSWORD}\n", after="Password: ")
        terminal.press(f"{PASSWORD}\n", after="The same again: ")
        assert terminal.leave() == 0
    assert "That was another one" in terminal.shown
    assert "You are Jo Doe (owner, operator)" in terminal.shown
    assert PASSWORD not in terminal.shown


def test_an_answer_that_will_not_do_is_asked_for_again_at_once(up: Up, tmp_path: Path) -> None:
    with Terminal(tmp_path, "login", "--first", "--server", up.url) as terminal:
        terminal.press(f"{CODE[:-1]}\n", after="Code: ")
        terminal.press(f"{CODE}\n", after="copy all of it, from mirage_ on; once more, please\r\nCode: ")
        terminal.press("jo at example\n", after="Email: ")
        terminal.press(
            "jo@example.org\n", after="an address of e-mail, as jo@example.org; once more, please\r\nEmail: "
        )
        terminal.press("Jo Doe\n", after="Name: ")
        terminal.press("short\n", after="Password: ")
        terminal.press("jo@example.org\n", after="Password: ")
        terminal.press(f"{PASSWORD}\n", after="Password: ")
        terminal.press(CTRL_D, after="The same again: ")
        assert terminal.leave() == 1
    assert "A password has 12 characters at least" in terminal.shown
    assert "little more than a name that others know" in terminal.shown


def test_a_ctrl_c_that_comes_just_before_a_key_is_waited_for_is_heard_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that Python has looked at already interrupts no reading that begins after it."""
    seen: list[int] = []

    def look(number: int, _: object) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise KeyboardInterrupt

    def wait(*_: object, **__: object) -> str:
        signal.signal(signal.SIGINT, look)
        os.kill(os.getpid(), signal.SIGWINCH)  # others are nothing to it
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        return "nobody has pressed anything"

    monkeypatch.setattr("click.prompt", wait)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(KeyboardInterrupt):
        prompts.ask_for("Email")
    assert seen == [signal.SIGINT] * 2
