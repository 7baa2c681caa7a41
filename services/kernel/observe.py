"""Logs: one line per event, JSON for machines, plain on a terminal, never a secret or a payload.

What libraries log by the standard library's `logging` comes out in the same form, from warnings on.
"""

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog

LARGEST: Final = 5_000_000


class LogFile:
    """A file that is made at its first line (0600), and begins anew when it gets large; one older one is kept.

    A line that cannot be written is lost: a full disk is told by what it stops, not by its log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out: TextIO | None = None

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            if self._out is None or self._out.tell() > LARGEST:
                self._open()
            if self._out is not None:
                self._out.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            if self._out is not None:
                self._out.flush()

    def close(self) -> None:
        out, self._out = self._out, None
        with contextlib.suppress(OSError):
            if out is not None:
                out.close()

    def _open(self) -> None:
        self.close()
        if self._path.exists() and self._path.stat().st_size > LARGEST:
            self._path.rename(self._path.with_suffix(".log.1"))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._out = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


def configure_logs(level: str, stream: TextIO | LogFile | None = None) -> None:
    """Write events of at least ``level`` to ``stream``, by default stderr."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(terminal=out.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", out)),
        cache_logger_on_first_use=False,
    )
    libraries = logging.getLogger()
    if not any(isinstance(handler, _Forward) for handler in libraries.handlers):
        libraries.addHandler(_Forward(logging.WARNING))


def set_level(level: str) -> None:
    """Write events of at least ``level`` from now on, where they were written before."""
    if level:
        number = logging.getLevelNamesMapping()[level.upper()]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))


def _renderers(*, terminal: bool) -> tuple[structlog.types.Processor, ...]:
    if not terminal:
        return (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    return (_disarm, plain)


def _disarm(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Texts of a line without what a terminal would obey: reasons quote what came from the outside."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(character if character.isprintable() else "�" for character in value)
    return event


class _Forward(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        fault = {"exc_info": record.exc_info} if record.exc_info else {}
        log.log(record.levelno, record.getMessage(), logger=record.name, **fault)
