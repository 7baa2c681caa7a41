"""Logs: one line per event, JSON for machines, plain on a terminal, never a secret or a payload."""

import logging
import sys
from typing import Any, TextIO

import structlog


def configure_logs(level: str, stream: TextIO | None = None) -> None:
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
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
