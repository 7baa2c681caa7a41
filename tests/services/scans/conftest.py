from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.contracts.resources import Module
from tests.services.scans.desk import Desk

OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def open_desk(tmp_path: Path) -> AsyncIterator[OpenDesk]:
    """Open a service with modules; each one on a database of its own unless ``path`` says otherwise."""
    opened: list[Desk] = []

    async def open_one(*modules: Module, path: Path | None = None, **options: Any) -> Desk:
        desk = await Desk(path or tmp_path / f"scans{len(opened)}.db", modules, **options).open()
        opened.append(desk)
        return desk

    yield open_one
    for desk in opened:
        await desk.close()
