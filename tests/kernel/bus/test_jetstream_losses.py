"""What JetStream has lost is declared again by whoever misses it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import pytest

from services.kernel.bus import jetstream_connection
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.jetstream_reading import Reading
from services.kernel.errors import Unavailable
from services.kernel.server import Server as Address
from tests.kernel.bus.jetstream import (
    COMMAND,
    FACT,
    FACTS,
    READER,
    STEPS,
    WORK,
    WORKER,
    bare,
    envelope,
    numbers,
    opened,
)
from tests.servers.running import Kind, Server

pytestmark = pytest.mark.server

OwnServer = Callable[[str | Kind], Server]


@pytest.fixture
def url(nats_accounts: Iterator[str]) -> str:
    return next(nats_accounts)


@pytest.fixture
async def bus(url: str) -> AsyncIterator[JetStreamBus]:
    async with opened(url) as bus:
        yield bus


async def lose(url: str, *streams: str) -> None:
    async with bare(url) as client:
        for name in streams or [each.config.name or "" for each in await client.jsm().streams_info()]:
            await client.jsm().delete_stream(name)


async def test_a_pull_makes_anew_what_the_server_has_lost(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    pulling = asyncio.create_task(bus.pull(READER.name, 10, 30))
    await bus.ping()
    await lose(url, "EVT_T")
    async with opened(url) as publisher:
        await publisher.declare([FACTS], [])
        await publisher.publish([envelope(1)])
    async with asyncio.timeout(15):
        taken = await pulling
    assert numbers(taken) == [1]
    await bus.ack(taken)
    assert (await bus.lag(READER.name)).in_flight == 0
    assert bus.measures()["remade"] >= 1


async def test_a_consumer_that_the_server_has_lost_is_made_anew_and_gets_what_is_kept(
    bus: JetStreamBus, url: str
) -> None:
    await bus.declare([WORK], [WORKER])
    await bus.publish([envelope(1, COMMAND)])
    async with bare(url) as client:
        await client.jsm().delete_consumer("CMD_T", WORKER.name)
    assert numbers(await bus.pull(WORKER.name, 10, 5)) == [1]


async def test_a_publication_makes_anew_what_the_server_has_lost(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    await lose(url)
    await bus.publish([envelope(1), envelope(2)])
    assert numbers(await bus.pull(READER.name, 10, 5)) == [1, 2]


async def test_a_letter_is_kept_where_the_server_has_lost_all_letters(bus: JetStreamBus, url: str) -> None:
    await bus.declare([WORK], [WORKER])
    await bus.publish([envelope(1, COMMAND)])
    (delivery,) = await bus.pull(WORKER.name, 1, 5)
    await lose(url, "MIRAGE_DEAD")
    await bus.bury(WORKER.name, delivery, "it cannot be read")
    assert [letter.reason for letter in await bus.dead()] == ["it cannot be read"]


async def test_a_ping_says_what_was_lost_and_makes_it_anew(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS, STEPS], [READER])
    await bus.ping()
    await lose(url, "PROGRESS")
    with pytest.raises(Unavailable, match="lost PROGRESS"):
        await bus.ping()
    await bus.ping()
    async with bare(url) as client:
        assert (await client.jsm().stream_info("PROGRESS")).config.discard == "old"


async def test_a_server_that_was_begun_with_an_empty_folder_serves_on(own_server: OwnServer) -> None:
    server = own_server("nats")
    async with opened(server.url) as bus:
        await bus.declare([FACTS, WORK], [READER, WORKER])
        pulling = asyncio.create_task(bus.pull(READER.name, 10, 60))
        await bus.publish([envelope(n, COMMAND) for n in range(3)])
        assert len(await bus.pull(WORKER.name, 3, 5)) == 3
        server.kill()
        for each in server.folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        server.start()
        async with asyncio.timeout(30):
            while True:
                with suppress(Unavailable):
                    await bus.publish([envelope(7)])
                    break
            assert numbers(await pulling) == [7]
            await bus.publish([envelope(8, COMMAND)])
            assert numbers(await bus.pull(WORKER.name, 3, 5)) == [8]


async def test_who_reads_along_goes_on_in_a_stream_that_was_made_anew(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [])
    await bus.publish([envelope(n) for n in range(5)])
    said = bus.replay([f"{FACT}.>"], 0)
    async with asyncio.timeout(30):
        assert [(await anext(said))[1].time for _ in range(5)] == [0, 1, 2, 3, 4]
        await lose(url)
        await bus.publish([envelope(10), envelope(11)])
        assert [(await anext(said))[1].time for _ in range(2)] == [10, 11]
    await said.aclose()


async def test_a_gap_in_what_is_read_along_is_filled_and_leaves_no_subscription_behind(
    bus: JetStreamBus, url: str
) -> None:
    await bus.declare([FACTS], [])
    connection = jetstream_connection.Connection(Address.parse(url), "t", "")
    reading = Reading(connection, "EVT_T", [f"{FACT}.>"], 0)
    found = []
    listening = set()
    for number in range(1, 6):
        await bus.publish([envelope(number)])
        reading._read += number == 3  # as if one had been lost
        found += [place.sequence for place, _ in await reading.next()]
        link = await connection.link()
        listening.add((len(link._client._subs), len(link._whom_to_tell)))
    await reading.close()
    await connection.close()
    assert (found, len(listening)) == ([1, 2, 3, 4, 5], 1)
