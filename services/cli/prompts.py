"""What a command asks the person who runs it: at a terminal by a prompt, else a line of standard input for each."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from msgspec import ValidationError, convert

from services.kernel.errors import Invalid
from services.kernel.tokens import kind_of
from services.kernel.wording import fault_of

#: Characters that are read of what should be one line.
MOST_READ: Final = 10_000
#: What a command exits with that was interrupted.
INTERRUPTED: Final = 128 + signal.SIGINT
#: Seconds after which a Ctrl-C is said again that has ended nothing.
AGAIN: Final = 0.2

#: Raises `Invalid` for an answer that will not do.
Check = Callable[[str], None]


def ask_for(what: str, *, secret: bool = False, needed: bool = True, check: Check | None = None) -> str:
    """The answer to a prompt; a ``secret`` is not shown, and one that is not ``needed`` may be empty.

    ``check`` raises `Invalid` for one that will not do, which a person at a terminal is told, and asked again.

    Raises:
        Invalid: standard input has no line for it, or one that will not do.
    """
    if not sys.stdin.isatty():
        answer = _line(what, secret=secret, needed=needed)
        if check is not None:
            check(answer)
        return answer
    while True:
        answer = _prompt(what, secret=secret, needed=needed)
        try:
            if check is not None:
                check(answer)
        except Invalid as error:
            click.echo(f"{str(error)[:1].upper()}{str(error)[1:]}; once more, please", err=True)
        else:
            return answer


def of_form(form: Any) -> Check:
    """What checks that an answer is of a type of the contracts."""

    def check(answer: str) -> None:
        try:
            convert(answer, form)
        except ValidationError as error:
            raise Invalid(f"that will not do: {fault_of(error, form)}") from None

    return check


def check_code(answer: str) -> None:
    """See that it is a code of ours, which tells by its end whether it is whole.

    Raises:
        Invalid: it is not.
    """
    if not kind_of(answer):
        raise Invalid("that is no code, or not just as it was shown: copy all of it, from mirage_ on")


def ask_for_new_password(*about: str) -> str:
    """A password that is chosen, and none that is tried first, where ``about`` is known of whose it is.

    At a terminal it is asked for twice, since nobody sees it, and until both are the same.

    Raises:
        Invalid: there is none, or not a good one.
    """
    from services.auth.domain.passwords import check_password

    def check(password: str) -> None:
        check_password(password, *about)

    password = ask_for("Password", secret=True, check=check)
    while sys.stdin.isatty() and ask_for("The same again", secret=True) != password:
        click.echo("That was another one; once more, please", err=True)
        password = ask_for("Password", secret=True, check=check)
    return password


def _line(what: str, *, secret: bool, needed: bool) -> str:
    line = sys.stdin.readline(MOST_READ)
    if not line.strip() and (needed or not line):
        raise Invalid(f"there is no line on standard input for: {what.lower()}")
    return line.strip("\r\n") if secret else line.strip()


def _prompt(what: str, *, secret: bool, needed: bool) -> str:
    """Ask at a terminal; Ctrl-C and Ctrl-D end the command there, where a loop would keep the first one for later.

    Raises:
        click.exceptions.Exit: it was ended so.
    """
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        default = None if needed else ""
        with _heard_again():
            answer: str = click.prompt(what, hide_input=secret, err=True, default=default, show_default=False)
    except click.Abort as error:
        if not secret:  # after one that is not shown click has done it
            click.echo(err=True)
        raise click.exceptions.Exit(1 if isinstance(error.__context__, EOFError) else INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, former or signal.SIG_DFL)
    return answer.strip()


@contextmanager
def _heard_again() -> Iterator[None]:
    """Have Ctrl-C end what waits for a key also where it comes in the moment before that waits.

    Python looks at a signal between two of its steps; one that comes after the last of them interrupts no reading.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    asking, over = threading.get_ident(), threading.Event()

    def say_again() -> None:
        while said := os.read(reading, 1):  # the number of a signal that came
            if said[0] == signal.SIGINT and not over.wait(AGAIN):
                signal.pthread_kill(asking, signal.SIGINT)

    saying = threading.Thread(target=say_again)
    saying.start()
    former = signal.set_wakeup_fd(writing)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(former)
        os.close(writing)
        saying.join()
        os.close(reading)
