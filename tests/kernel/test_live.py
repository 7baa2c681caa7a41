"""Settings that change while a service runs: a good change is taken over, a bad one changes nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from msgspec import Struct

from services.kernel.live import SETTINGS, Live
from services.kernel.values.local import LocalValues


class Form(Struct, frozen=True, forbid_unknown_fields=True):
    size: int = 1
    log: str = "info"


@pytest.fixture
async def values() -> AsyncIterator[LocalValues]:
    opened = LocalValues()
    yield opened
    await opened.close()


@pytest.fixture
async def live(values: LocalValues) -> AsyncIterator[Live[Form]]:
    kept = structlog.get_config()
    opened = Live("ear", Form, "warning")
    following = asyncio.create_task(opened.follow(values, logs=True))
    yield opened
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    structlog.configure(**kept)


async def eventually(live: Live[Form], size: int) -> None:
    async with asyncio.timeout(10):
        while live.now.size != size:
            await asyncio.sleep(0)


async def test_a_change_holds_at_once_and_its_end_is_the_default(live: Live[Form], values: LocalValues) -> None:
    assert live.now == Form()
    await values.put(SETTINGS + "ear", b'{"size":7}')
    await eventually(live, 7)
    await values.put(SETTINGS + "eye", b'{"size":9}')
    await values.delete(SETTINGS + "ear")
    await eventually(live, 1)


@pytest.mark.parametrize("bad", [b"", b"{", b'{"size":"x"}', b'{"size":"x","other":1}', b"\xff", b"[]"])
async def test_what_cannot_be_read_leaves_what_held(live: Live[Form], values: LocalValues, bad: bytes) -> None:
    await values.put(SETTINGS + "ear", b'{"size":7}')
    await eventually(live, 7)
    await values.put(SETTINGS + "ear", bad)
    await values.put(SETTINGS + "eye", b"{}")
    for _ in range(20):
        await asyncio.sleep(0)
    assert live.now.size == 7


async def test_what_a_newer_version_was_told_costs_nothing_of_the_rest(live: Live[Form], values: LocalValues) -> None:
    await values.put(SETTINGS + "ear", b'{"size":7,"other":[1]}')
    await eventually(live, 7)


async def test_the_level_of_the_log_follows(live: Live[Form], values: LocalValues) -> None:
    await values.put(SETTINGS + "ear", b'{"size":2,"log":"error"}')
    await eventually(live, 2)
    assert not structlog.get_logger("x").is_enabled_for(30)
    await values.put(SETTINGS + "ear", b'{"size":3,"log":"debug"}')
    await eventually(live, 3)
    assert structlog.get_logger("x").is_enabled_for(10)
    await values.put(SETTINGS + "ear", b'{"size":4}')
    await eventually(live, 4)
    assert [structlog.get_logger("x").is_enabled_for(level) for level in (20, 30)] == [False, True], "not as at first"
