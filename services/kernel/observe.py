"""Logs: one line per event, JSON for machines, plain on a terminal, never a secret or a payload."""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog

LARGEST: Final = 5_000_000


class LogFile:
    """A file that is made at its first line (0600), and begins anew when it gets large; one older one is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out: TextIO | None = None

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if self._out is None or self._out.tell() > LARGEST:
            self._open()
        return self._out.write(text) if self._out is not None else 0

    def flush(self) -> None:
        if self._out is not None:
            self._out.flush()

    def _open(self) -> None:
        if self._out is not None:
            self._out.close()
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size > LARGEST:
                self._path.rename(self._path.with_suffix(".log.1"))
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._out = os.fdopen(descriptor, "a", encoding="utf-8")


def configure_logs(level: str, stream: TextIO | LogFile | None = None) -> None:
    """Write events of at least ``level`` to ``stream``, by default stderr."""
    out = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer()
    if out.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if not out.isatty() else structlog.processors.UnicodeDecoder(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", out)),
        cache_logger_on_first_use=False,
    )
