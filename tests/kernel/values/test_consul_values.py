"""What holds for values in Consul alone: it may be away, and may lose them."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from services.kernel.errors import Unavailable
from services.kernel.server import Server
from services.kernel.values.consul import ConsulValues
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server


async def answering(values: ConsulValues) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                return await values.ping()
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_what_was_written_outlasts_a_kill_and_a_watcher_goes_on(own_server: Callable[[str], Running]) -> None:
    consul = own_server("consul")
    values = ConsulValues(Server.parse(consul.url))
    seen = values.watch("s/")
    assert await anext(seen) == {}
    for number in range(20):
        await values.put("s/a", str(number).encode())
    consul.kill()
    for call in (values.get("s/a"), values.put("s/a", b""), values.put_all({"s/a": b"", "s/b": b""}), values.ping()):
        with pytest.raises(Unavailable):
            await call
    consul.start()
    await answering(values)
    assert (found := await values.get("s/a")) is not None
    assert found.value == b"19"
    await values.put("s/b", b"1")
    async with asyncio.timeout(30):
        async for found_all in seen:
            if found_all == {"s/a": b"19", "s/b": b"1"}:
                break
    assert values.measures()["stale_seconds"] == 0
    await values.close()


async def test_values_that_consul_has_lost_go_on_to_hold(own_server: Callable[[str], Running]) -> None:
    consul = own_server("consul")
    values = ConsulValues(Server.parse(consul.url))
    await values.put("s/a", b"1")
    await values.put("s/b", b"1")
    seen: list[Mapping[str, bytes]] = []

    async def note() -> None:
        async for found in values.watch("s/"):
            seen.append(found)
            if found.get("s/b") == b"2":
                return

    noting = asyncio.create_task(note())
    while not seen:
        await asyncio.sleep(0.01)
    consul.kill()
    for path in sorted(consul.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    consul.start()
    await answering(values)
    assert await values.read("s/") == {}
    await values.put("s/b", b"2")
    async with asyncio.timeout(30):
        await noting
    assert seen == [{"s/a": b"1", "s/b": b"1"}, {"s/a": b"1", "s/b": b"2"}]
    await values.close()
