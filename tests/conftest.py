"""No test asserts a time, those that make up their examples included: a machine may be busy."""

import hypothesis
import pytest
import structlog

from services.kernel.sql import sqlite_file
from tests.examples import PROFILES

for profile, number in PROFILES.items():
    hypothesis.settings.register_profile(profile, deadline=None, max_examples=number)


def pytest_configure(config: pytest.Config) -> None:
    """Before the tests are read, which name their share of the examples."""
    hypothesis.settings.load_profile("quick" if config.option.markexpr == "not slow" else "full")


# By itself structlog draws each traceback with its source and its variables: half a second, of which nobody reads any.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

#: What the databases of Mirage do by themselves.
BY_ITSELF = sqlite_file.SYNCHRONOUS
# A process that is killed loses nothing that the system has, and no test cuts the power: nobody waits for the disk.
sqlite_file.SYNCHRONOUS = "OFF"
