"""No test asserts a time, those that make up their examples included: a machine may be busy."""

import asyncio
import gc
import os
from collections.abc import Callable, Generator
from types import SimpleNamespace

import hypothesis
import pytest
import structlog
import uvicorn.server
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from services.kernel.sql import sqlite_file
from tests.bytecode import keep_bytecode, keep_own_bytecode
from tests.examples import PROFILES

keep_bytecode(os.environ)
keep_own_bytecode()

for profile, number in PROFILES.items():
    hypothesis.settings.register_profile(profile, deadline=None, max_examples=number)


pytest_plugins = ("tests.servers.plugin",)

Forward = Callable[[float], None]


def pytest_configure(config: pytest.Config) -> None:
    """Before the tests are read, which name their share of the examples."""
    hypothesis.settings.load_profile("quick" if config.option.markexpr.startswith("not slow") else "full")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is there once the tests are read out of every search for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


class ByFile(LoadScopeScheduling):
    """Each file in one worker, and all that bring up a fleet in the same: two beside each other are too much."""

    def _split_scope(self, nodeid: str) -> str:
        return "fleet" if nodeid.startswith("tests/fleet/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    return ByFile(config, log) if config.option.dist == "loadscope" else None


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
# uvicorn looks every tenth of a second whether it is to end; here, where hundreds do, twenty times as often.
vars(uvicorn.server)["asyncio"] = SimpleNamespace(
    **{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(seconds / 20)}
)


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Put the clock of the event loop forward: whatever waits until then need not wait any more."""

    def put_forward(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time
        monkeypatch.setattr(loop, "time", lambda: before() + seconds)

    return put_forward
