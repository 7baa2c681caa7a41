from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.contracts.resources import Module
from tests.services.scans.desk import Desk
from tests.stores import Stores

OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def open_desk(tmp_path: Path, stores: Stores) -> AsyncIterator[OpenDesk]:
    """Open a service with modules; each one on a database of its own unless ``path`` says otherwise."""
    opened: list[Desk] = []

    async def open_one(*modules: Module, path: Path | None = None, **options: Any) -> Desk:
        desk = await Desk(path or tmp_path / f"scans{len(opened)}.db", modules, **options).open()
        opened.append(desk)
        return desk

    yield open_one
    for desk in opened:
        await desk.close()


class Clock:
    """The time of the service, which stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1_790_000_000_000_000

    def __call__(self) -> int:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * 1_000_000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for part in ("create", "ledger", "lease", "look", "quotas", "tend"):
        monkeypatch.setattr(f"services.scans.usecases.{part}.now", clock)
    return clock
