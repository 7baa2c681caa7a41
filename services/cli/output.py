"""Where a command writes: to standard output or a file, in which form, and what is said where that fails."""

import codecs
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from services.cli.text import escaped
from services.kernel.errors import Exhausted, Invalid, Unavailable

STDOUT: Final = "-"
#: What is exported to a file of which only the name was said.
FORMS: Final = {
    ".txt": "hosts",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".stix.json": "stix",
    ".misp.json": "misp",
    ".json": "json",
    ".gexf": "gexf",
    ".graphml": "graphml",
    ".xlsx": "xlsx",
    ".pdf": "pdf",
    ".html": "html",
    ".md": "md",
}
#: What no terminal can show.
BINARY: Final = frozenset({"xlsx", "pdf"})
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
#: What standard output says when it was full, or closed before the command began.
REFUSED: Final = FULL | {errno.EBADF}


class ClosedPipe(Exception):
    """Whoever read standard output has had enough."""


def replace_closed_streams() -> None:
    """Give a standard stream that was closed a descriptor, or the next file that is opened would get its number.

    Nothing can be read from such an input, an output refuses what is written to it, and errors go nowhere.
    """
    if sys.stdin is None:
        sys.stdin = _nowhere(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _nowhere(os.O_RDONLY, "w")
    if sys.stderr is None:
        sys.stderr = _nowhere(os.O_WRONLY, "w")


def _nowhere(flags: int, mode: str) -> TextIO:
    return os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8")  # type: ignore[return-value]


@contextmanager
def written() -> Iterator[None]:
    """See that what the block prints is written out, and tell a reader that went away from a disk that is full."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        _write_nothing_more()
        raise ClosedPipe from error
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        _write_nothing_more()
        raise _unwritten("the output", error) from error


@contextmanager
def kept(output: str | None, then: str) -> Iterator[None]:
    """Say ``then``, how to write it again, where the block cannot write what is kept in the data folder."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if output in {None, STDOUT}:
            _write_nothing_more()
        raise _unwritten("the output" if output in {None, STDOUT} else str(output), error, then) from error


@contextmanager
def opened(output: str | None) -> Iterator[TextIO]:
    """A file, or standard output, which stays open."""
    if output in {None, STDOUT}:
        yield sys.stdout
        sys.stdout.flush()
        return
    with Path(str(output)).open("w", encoding="utf-8") as out:
        yield out


@contextmanager
def opened_for_bytes(output: str | None) -> Iterator[Callable[[bytes], object]]:
    """What writes to a file, or to standard output; to a terminal without what that would obey."""
    if output not in {None, STDOUT}:
        with Path(str(output)).open("wb") as out:
            yield out.write
        return
    if sys.stdout.isatty():
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        yield lambda piece: sys.stdout.write(escaped(decode(piece)))
    else:
        sys.stdout.flush()
        yield sys.stdout.buffer.write
    sys.stdout.flush()


def check_output(output: str | None) -> None:
    """Refuse an output that could not be written before anything is asked, not after."""
    if output in {None, STDOUT}:
        return
    file = Path(str(output))
    if file.is_dir():
        raise Invalid(f"{output} is a directory; name a file to write to")
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise Invalid(f"{output} cannot be written")


def form_by_ending(output: str | None) -> str | None:
    """The form that the ending of a file's name stands for."""
    name = "" if output is None else Path(output).name.lower()
    return next((form for ending, form in FORMS.items() if name.endswith(ending)), None)


def check_form(form: str, output: str | None) -> None:
    """Refuse to write to a terminal what it cannot show."""
    if form in BINARY and output in {None, STDOUT} and sys.stdout.isatty():
        raise Invalid(f"{form} is not for a terminal; say --output FILE, or lead it into a program")


def _unwritten(where: str, error: OSError, then: str = "") -> Exhausted | Unavailable:
    why = "it is closed" if error.errno == errno.EBADF else error.strerror
    kind = Exhausted if error.errno in FULL else Unavailable
    return kind(f"{where} cannot be written: {why}" + (f"; {then}" if then else ""))


def _write_nothing_more() -> None:
    """What is left in the buffer of standard output goes nowhere, or the interpreter would fail on it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
