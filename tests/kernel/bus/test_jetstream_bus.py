"""What only the JetStream adapter of `bus` does: servers that die and come back, declarations that change, users."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import structs

from lab.web.certificates import AUTHORITY, Authority
from lab.world.web import Certificate
from services.cli.fleet.ports import free_ports
from services.kernel.bus import Consumer, Delivery, Stream, jetstream_connection, jetstream_link
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.jetstream_messages import to_headers
from services.kernel.bus.jetstream_streams import check_taken, raised, stream_config
from services.kernel.bus.permissions import Rights, permissions
from services.kernel.errors import Conflict, Denied, Incompatible, Invalid, Unavailable
from services.kernel.messages import EVERYWHERE, Envelope
from services.kernel.server import Server as Address
from services.kernel.server import Trust
from tests.kernel.bus.jetstream import (
    COMMAND,
    FACT,
    FACTS,
    QUICK,
    READER,
    STEPS,
    WORK,
    WORKER,
    W,
    at_last,
    bare,
    envelope,
    numbers,
    opened,
    take,
)
from tests.kernel.conftest import configured
from tests.servers.running import Kind, Server

pytestmark = pytest.mark.server

OwnServer = Callable[[str | Kind], Server]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is away sooner."""
    monkeypatch.setattr(jetstream_connection, "PATIENCE", 0.3)
    monkeypatch.setattr(jetstream_link, "ALIVE", 0.5)


@pytest.fixture
def url(nats_accounts: Iterator[str]) -> str:
    return next(nats_accounts)


@pytest.fixture
async def bus(url: str) -> AsyncIterator[JetStreamBus]:
    async with opened(url) as bus:
        yield bus


# Servers that go away


async def test_what_was_acknowledged_outlasts_a_server_that_is_killed_and_all_comes_at_least_once(
    own_server: OwnServer,
) -> None:
    server = own_server("nats")
    seen: set[int] = set()
    kept = 0

    async def publish(bus: JetStreamBus) -> None:
        nonlocal kept
        for first in range(0, 2_000, 50):
            await at_last(bus, [envelope(n, COMMAND) for n in range(first, first + 50)])
            kept = first + 50

    async def consume(bus: JetStreamBus) -> None:
        while len(seen) < 2_000:
            with suppress(Unavailable):
                taken = await bus.pull(WORKER.name, 30, 0.5)
                seen.update(numbers(taken))
                await bus.ack(taken)

    async with opened(server.url) as one, opened(server.url) as other:
        for bus in (one, other):
            await bus.declare([WORK], [WORKER])
        working = asyncio.gather(publish(one), consume(one), consume(other))
        for share in (400, 1_000, 1_600):
            while kept < share and not working.done():
                await asyncio.sleep(0.005)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await working
        assert seen == set(range(2_000))
        assert one.measures()["reconnects"] == 3


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_is_away_is_unavailable_and_found_again(own_server: OwnServer) -> None:
    server = own_server("nats")
    async with opened(server.url) as bus:
        await bus.declare([FACTS], [QUICK])
        server.kill()
        for _ in range(2):
            for call in (bus.ping(), bus.publish([envelope(1)]), bus.lag(QUICK.name), bus.dead()):
                with pytest.raises(Unavailable, match=r"nats at 127\.0\.0\.1"):
                    await call
            with pytest.raises(Unavailable):
                await bus.pull(QUICK.name, 1, 60)
        server.start()
        await at_last(bus, [envelope(1)])
        assert numbers(await take(bus, QUICK.name)) == [1]


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_holds_is_unavailable_and_found_again(own_server: OwnServer) -> None:
    server = own_server("nats")
    async with opened(server.url) as bus:
        await bus.declare([FACTS], [QUICK])
        big = [envelope(n, data=bytes(900_000)) for n in range(20)]  # more than the system takes without a reader
        pulling = asyncio.create_task(bus.pull(QUICK.name, 1, 60))
        reading = asyncio.create_task(anext(bus.replay(["mirage.evt.>"], None)))
        await bus.ping()
        with server.held():
            async with asyncio.timeout(60):
                for call in (bus.publish(big), pulling, reading, bus.ping()):
                    with pytest.raises(Unavailable):
                        await call
        await at_last(bus, big)
        # The first ones may have gone to who pulled before, on a connection that the server still believed in.
        assert set(numbers(await take(bus, QUICK.name, 20))) <= set(range(20))


@pytest.mark.usefixtures("impatient")
async def test_a_bus_is_there_before_its_server(own_server: OwnServer) -> None:
    server = own_server("nats")
    server.kill()
    async with opened(server.url) as bus:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await bus.declare([FACTS], [READER])
        server.start()
        async with asyncio.timeout(30):
            while True:
                with suppress(Unavailable):
                    await bus.declare([FACTS], [READER])
                    break
        await bus.ping()


async def test_a_pull_goes_on_when_the_server_was_restarted(own_server: OwnServer) -> None:
    server = own_server("nats")
    async with opened(server.url) as bus, opened(server.url) as other:
        await bus.declare([FACTS], [QUICK])
        pulling = asyncio.create_task(bus.pull(QUICK.name, 10, 60))
        await bus.ping()
        server.restart()
        await at_last(other, [envelope(1)])
        async with asyncio.timeout(30):
            assert numbers(await pulling) == [1]


async def test_who_reads_along_misses_nothing_while_the_server_is_restarted(own_server: OwnServer) -> None:
    server = own_server("nats")
    async with opened(server.url) as bus, opened(server.url) as other:
        await bus.declare([STEPS], [])
        stream = bus.replay(["mirage.progress.>"], None)
        found: list[tuple[int, int]] = []
        for number in range(1, 31):
            await at_last(other, [envelope(number, "mirage.progress.t.step.v1")])
            if number % 10 == 5:
                await asyncio.to_thread(server.restart)
            if number % 10 == 0:
                async with asyncio.timeout(30):
                    while len(found) < number:
                        sequence, said = await anext(stream)
                        found.append((sequence, said.time))
        await stream.aclose()
        assert [number for _, number in found] == list(range(1, 31))
        assert found == sorted(found)


# Sharing


async def test_processes_share_the_messages_of_a_consumer(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        await asyncio.gather(*(bus.declare([WORK], [WORKER]) for bus in (one, other)))
        pulling = [asyncio.create_task(bus.pull(WORKER.name, 1, 60)) for bus in (one, other, one)]
        await one.publish([envelope(n, COMMAND) for n in range(3)])
        async with asyncio.timeout(30):
            taken = await asyncio.gather(*pulling)
        assert sorted(number for each in taken for number in numbers(each)) == [0, 1, 2]


async def test_what_is_accepted_elsewhere_is_accepted(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        for bus in (one, other):
            await bus.declare([FACTS], [READER])
        await one.publish([envelope(1)])
        await other.ack(await one.pull(READER.name, 1, 5))
        assert (await one.lag(READER.name)).in_flight == 0


async def test_a_pull_that_was_cancelled_keeps_nothing_from_others(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        for bus in (one, other):
            await bus.declare([FACTS], [READER])
        for number in range(1, 150):
            pulling = asyncio.create_task(one.pull(READER.name, 100, 600))
            await one.ping()
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
            await other.publish([envelope(number)])
            async with asyncio.timeout(READER.ack_wait / 2):
                taken = await other.pull(READER.name, 1, 600)
            assert numbers(taken) == [number]
            await other.ack(taken)


async def test_what_comes_when_its_pull_has_ended_is_given_back_at_once(bus: JetStreamBus, url: str) -> None:
    """The server may say that a request has ended and serve it all the same: then another message waited for 30 s."""
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    await bus.ack(await bus.pull(READER.name, 1, 5))
    (idle,) = bus._intakes
    async with bare(url) as client, asyncio.timeout(READER.ack_wait / 2):
        request = f"$JS.API.CONSUMER.MSG.NEXT.EVT_T.{READER.name}"
        await client.publish(request, b'{"batch":1,"expires":60000000000}', reply=idle._inbox)
        await client.flush()
        await bus.publish([envelope(2)])
        while not idle.late:
            await asyncio.sleep(0)
        (again,) = await bus.pull(READER.name, 1, 600)
    assert (again.envelope.time, again.tries) == (2, 2)


async def test_a_bus_that_closes_gives_back_what_it_has_in_hand(url: str) -> None:
    async with opened(url) as other:
        await other.declare([FACTS], [READER])
        await other.publish([envelope(1), envelope(2)])
        async with opened(url) as one:
            await one.declare([FACTS], [READER])
            first, _ = await one.pull(READER.name, 2, 5)
            await one.ack([first])
        async with asyncio.timeout(READER.ack_wait / 2):
            (again,) = await other.pull(READER.name, 5, 600)
        assert (again.envelope.time, again.tries) == (2, 2)


# Declarations


async def test_a_declaration_that_changed_changes_what_is_there_and_loses_nothing(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    changed = Consumer(READER.name, "EVT_T", (f"{FACT}.>", "mirage.evt.u.>"), ack_wait=7, max_in_flight=3)
    wider = Stream("EVT_T", ("mirage.evt.t.>", "mirage.evt.u.>"), "facts", 30 * 86_400)
    async with opened(url) as newer:
        await newer.declare([wider], [changed])
        await newer.publish([envelope(2, "mirage.evt.u.fact.v1")])
        assert numbers(await newer.pull(READER.name, 10, 5)) == [1, 2]
    async with bare(url) as client:
        info = await client.jsm().consumer_info("EVT_T", READER.name)
        assert (info.config.ack_wait, info.config.max_ack_pending) == (7, 3)
        assert (await client.jsm().stream_info("EVT_T")).config.max_age == 30 * 86_400


async def test_what_an_operator_has_set_beside_it_stays(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    async with bare(url) as client:
        jsm = client.jsm()
        config = (await jsm.stream_info("EVT_T")).config
        await jsm.update_stream(config, max_bytes=10_000_000, max_age=300.0, description="ours")
        reader = (await jsm.consumer_info("EVT_T", READER.name)).config
        reader.description, reader.metadata = "ours", {"whose": "ours"}
        await jsm.add_consumer("EVT_T", reader)
        changed = Consumer(READER.name, "EVT_T", READER.subjects, ack_wait=7)
        await bus.declare([FACTS], [changed])
        config = (await jsm.stream_info("EVT_T")).config
        reader = (await jsm.consumer_info("EVT_T", READER.name)).config
    assert (config.max_bytes, config.max_age, config.description) == (10_000_000, 7 * 86_400, "ours")
    assert (reader.ack_wait, reader.description, (reader.metadata or {})["whose"]) == (7, "ours", "ours")


async def test_what_is_kept_is_never_lowered(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS, STEPS], [])
    async with bare(url) as client:
        jsm = client.jsm()
        config = (await jsm.stream_info("EVT_T")).config
        await jsm.update_stream(config, max_age=30 * 86_400.0, duplicate_window=600)
        await jsm.update_stream((await jsm.stream_info("PROGRESS")).config, max_age=0, max_bytes=-1)
        async with opened(url) as older:
            await older.declare([FACTS, STEPS], [])
        facts = (await jsm.stream_info("EVT_T")).config
        steps = (await jsm.stream_info("PROGRESS")).config
    assert (facts.max_age, facts.duplicate_window) == (30 * 86_400, 600)
    assert (steps.max_age, steps.max_bytes) == (0, -1)


@pytest.mark.parametrize(("asked", "has", "kept"), [(3, 1, 3), (1, 3, 3)])
def test_a_message_is_never_kept_on_fewer_servers(asked: int, has: int, kept: int) -> None:
    assert raised(stream_config(FACTS, asked), stream_config(FACTS, has))["num_replicas"] == kept


async def test_replicas_need_a_cluster(url: str) -> None:
    bus = JetStreamBus(Address.parse(url), replicas=3)
    with pytest.raises(Invalid, match="several servers"):
        await bus.declare([FACTS], [])
    await bus.close()


async def test_who_takes_the_work_of_another_is_told_how_one_that_is_gone_is_removed(
    bus: JetStreamBus, url: str
) -> None:
    await bus.declare([WORK], [WORKER])
    renamed = Consumer("t__renamed", "CMD_T", WORKER.subjects)
    async with opened(url) as newer:
        with pytest.raises(Conflict, match="nats consumer rm"):
            await newer.declare([WORK], [renamed])
        async with bare(url) as client:
            await client.jsm().delete_consumer("CMD_T", WORKER.name)
        await newer.declare([WORK], [renamed])
        await newer.publish([envelope(1, COMMAND)])
        assert numbers(await newer.pull(renamed.name, 1, 5)) == [1]


async def test_a_stream_that_would_have_to_lose_its_messages_stays_as_it_is(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    async with opened(url) as other:
        with pytest.raises(Conflict, match="EVT_T cannot be made what is asked"):
            await other.declare([Stream("EVT_T", FACTS.subjects, "work")], [])
    assert numbers(await bus.pull(READER.name, 10, 5)) == [1]


async def test_streams_and_consumers_of_others_are_seen(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS, WORK], [WORKER])
    async with opened(url) as other:
        with pytest.raises(Conflict):
            await other.declare([Stream("X", ("mirage.evt.*.fact.>",), "facts")], [])
        with pytest.raises(Conflict):
            await other.declare([], [Consumer("t__rival", "CMD_T", ("mirage.cmd.t.*.v1.>",))])
        await other.publish([envelope(1), envelope(2, COMMAND)])
    assert numbers(await bus.pull(WORKER.name, 10, 5)) == [2]


async def test_facts_are_kept_for_a_week_at_least(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS, STEPS], [])
    async with bare(url) as client:
        facts = (await client.jsm().stream_info("EVT_T")).config
        steps = (await client.jsm().stream_info("PROGRESS")).config
    assert (facts.max_age, facts.discard, facts.duplicate_window) == (7 * 86_400, "new", 120)
    assert (steps.max_age, steps.discard) == (600, "old")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "é"])
async def test_a_name_that_the_server_cannot_take_is_invalid(bus: JetStreamBus, name: str) -> None:
    with pytest.raises(Invalid):
        await bus.declare([Stream(name, ("t.>",), "facts")], [])
    with pytest.raises(Invalid):
        await bus.declare([FACTS], [Consumer(name, "EVT_T", (f"{FACT}.>",))])


async def test_a_stream_must_not_take_what_is_delivered_again(bus: JetStreamBus) -> None:
    with pytest.raises(Invalid, match="delivered again"):
        await bus.declare([Stream("ALL", ("mirage.>",), "facts")], [])


def test_a_setting_that_the_server_ignores_is_named() -> None:
    asked = stream_config(FACTS, replicas=1)
    check_taken(asked, {**asked, "more": 1}, "the stream EVT_T")
    with pytest.raises(Incompatible, match="EVT_T but leaves its duplicate_window"):
        check_taken(asked, {**asked, "duplicate_window": 0}, "the stream EVT_T")


async def test_a_server_that_is_too_old_is_incompatible() -> None:
    info = {"version": "2.9.25", "max_payload": 1_048_576, "headers": True, "jetstream": True}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()

    (port,) = free_ports(1)
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server, opened(f"nats://127.0.0.1:{port}") as bus:
        with pytest.raises(Incompatible, match=r"2\.9; 2\.10 is needed"):
            await bus.ping()


# Messages


async def test_a_message_that_is_none_of_ours_comes_with_its_bytes(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    subject = f"{FACT}.{W.hex}"
    async with bare(url) as client:
        stream = client.jetstream()
        await stream.publish(subject, b"hello")
        await stream.publish(subject, b"", headers={"ce-id": "no uuid", "Status": "404"})
        await stream.publish(subject, b"\xff" * 1_000_000, headers={"Mirage-Tries": "-1"})
    await bus.publish([envelope(4)])
    taken: list[Delivery] = []
    while len(taken) < 4:
        taken += await bus.pull(READER.name, 10, 5)
    assert [each.envelope.data[:5] for each in taken] == [b"hello", b"", b"\xff" * 5, b"{}"]
    assert {each.envelope.type for each in taken} == {FACT}
    assert len({each.envelope.id for each in taken}) == 4
    for each in taken[:3]:
        await bus.bury(READER.name, each, "é: nobody can read it\n" * 4_000)
    assert [len(letter.envelope.data) > 0 for letter in await bus.dead()] == [True, False, True]


async def test_a_message_is_of_whom_and_of_what_its_subject_says(bus: JetStreamBus, url: str) -> None:
    """What a sender may publish is told by subjects, so that none of another one's comes by his own."""
    await bus.declare([FACTS], [READER])
    subject = f"{FACT}.{W.hex}"
    lies = [envelope(1, "mirage.evt.t.other.v1"), structs.replace(envelope(2), workspace=EVERYWHERE)]
    lies.append(structs.replace(envelope(3), filter="another"))
    async with bare(url) as client:
        for each in (*lies, envelope(4)):
            await client.jetstream().publish(subject, each.data, headers=to_headers(each))
    taken: list[Delivery] = []
    while len(taken) < 4:
        taken += await bus.pull(READER.name, 10, 5)
    assert [(each.envelope.source, each.envelope.workspace == W) for each in taken] == [("", False)] * 3 + [
        (envelope(4).source, True)
    ]


async def test_a_message_larger_than_the_server_takes_is_invalid_and_none_of_its_batch_is_kept(
    bus: JetStreamBus,
) -> None:
    await bus.declare([FACTS], [READER])
    with pytest.raises(Invalid, match="larger"):
        await bus.publish([envelope(1), envelope(2, data=bytes(1_048_576))])
    assert await bus.pull(READER.name, 10, 0) == []


async def test_a_stream_that_is_full_is_unavailable(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    async with bare(url) as client:
        config = (await client.jsm().stream_info("EVT_T")).config
        await client.jsm().update_stream(config, max_bytes=100_000)
    with pytest.raises(Unavailable, match="is not kept"):
        await bus.publish([envelope(n, data=bytes(30_000)) for n in range(10)])
    assert numbers(await bus.pull(READER.name, 10, 5))[0] == 0


async def test_texts_that_a_header_cannot_carry_arrive(bus: JetStreamBus) -> None:
    await bus.declare([FACTS], [READER])
    odd = ' %0A"tést"\r\nce-id: x '
    sent = Envelope(id=uuid.UUID(int=1), type=FACT, source=odd, workspace=W, time=-1, data=b"", traceparent=odd)
    await bus.publish([sent])
    (delivery,) = await bus.pull(READER.name, 1, 5)
    assert delivery.envelope == sent


# Dead letters


async def test_a_letter_that_was_kept_before_a_crash_is_the_only_one(bus: JetStreamBus) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    (delivery,) = await bus.pull(READER.name, 1, 5)
    await bus._letters.keep(READER.name, "EVT_T", delivery, "first")
    await bus.nak([delivery], 0)  # whoever was to end the message died, so it comes again
    (again,) = await bus.pull(READER.name, 1, 5)
    await bus.bury(READER.name, again, "second")
    assert [letter.reason for letter in await bus.dead()] == ["first"]
    assert (await bus.lag(READER.name)).in_flight == 0


async def test_a_message_that_two_revive_comes_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        for bus in (one, other):
            await bus.declare([WORK], [WORKER])
        await one.publish([envelope(n, COMMAND) for n in range(5)])
        for delivery in await one.pull(WORKER.name, 5, 5):
            await one.bury(WORKER.name, delivery, "reason")
        ids = [letter.id for letter in await one.dead()]
        await asyncio.gather(one.revive(ids), other.revive(ids))
        assert sorted(numbers(await one.pull(WORKER.name, 20, 5))) == [0, 1, 2, 3, 4]
        assert await other.pull(WORKER.name, 20, 0) == []
        assert await one.dead() == []


async def test_a_letter_whose_consumer_is_gone_stays(bus: JetStreamBus, url: str) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    await bus.bury(READER.name, *await bus.pull(READER.name, 1, 5), "reason")
    async with bare(url) as client:
        await client.jsm().delete_consumer("EVT_T", READER.name)
    (letter,) = await bus.dead()
    assert await bus.revive([letter.id]) == 0
    assert await bus.dead() == [letter]


async def test_the_newest_letters_are_found_behind_many_of_others(bus: JetStreamBus) -> None:
    other = Consumer("t__other", "EVT_T", (f"{FACT}.>",))
    await bus.declare([FACTS], [READER, other])
    await bus.publish([envelope(n) for n in range(40)])
    mine = await bus.pull(READER.name, 3, 5)
    for number, delivery in enumerate([*mine, *await bus.pull(other.name, 40, 5)]):
        await bus.bury(READER.name if number < 3 else other.name, delivery, f"{number}")
    assert [letter.reason for letter in await bus.dead(READER.name, limit=2)] == ["2", "1"]
    assert [letter.reason for letter in await bus.dead(limit=4)] == ["42", "41", "40", "39"]


# Reading along


async def test_who_stops_reading_along_leaves_no_consumer_behind(bus: JetStreamBus, url: str) -> None:
    await bus.declare([STEPS], [])
    await bus.publish([envelope(1, "mirage.progress.t.step.v1")])
    stream = bus.replay(["mirage.progress.>"], 0)
    await anext(stream)
    async with bare(url) as client:
        assert len(await client.jsm().consumers_info("PROGRESS")) == 1
        await stream.aclose()
        assert await client.jsm().consumers_info("PROGRESS") == []


async def test_sequences_are_those_of_one_stream(bus: JetStreamBus) -> None:
    await bus.declare([STEPS, FACTS], [])
    with pytest.raises(Invalid, match="sequences of their own"):
        bus.replay(["mirage.>"], 5)
    for each in (envelope(1), envelope(2, "mirage.progress.t.step.v1"), envelope(3)):
        await bus.publish([each])
    stream = bus.replay(["mirage.>"], 0)
    assert [(await anext(stream))[1].time for _ in range(3)] == [1, 2, 3]
    await stream.aclose()


async def test_what_is_delivered_again_is_not_read_along(bus: JetStreamBus) -> None:
    await bus.declare([FACTS], [READER])
    await bus.publish([envelope(1)])
    await bus.bury(READER.name, *await bus.pull(READER.name, 1, 5), "reason")
    await bus.revive([letter.id for letter in await bus.dead()])
    await bus.publish([envelope(2)])
    stream = bus.replay([">"], 0)
    assert [(await anext(stream))[1].time for _ in range(2)] == [1, 2]
    await stream.aclose()


# Users


async def test_a_wrong_password_is_denied_and_not_said(url: str) -> None:
    wrong = url.replace(":secret@", ":guessed@")
    async with opened(wrong) as bus:
        with pytest.raises(Denied, match="does not take the user") as denied:
            await bus.ping()
    assert "guessed" not in f"{denied.value!r}{denied.value.__cause__!r}"


def users(**rights: Rights) -> Kind:
    """A server with these users: what they may do is what their declarations say."""
    listed = [
        {"user": name, "password": f"{name} word", "permissions": permissions(name, each)}
        for name, each in rights.items()
    ]
    return configured({"authorization": {"users": listed}})


def url_of(server: Server, user: str) -> str:
    return server.url.replace("//", f"//{user}:{user}%20word@")


async def test_a_service_may_what_it_declares_and_nothing_of_its_neighbours(own_server: OwnServer) -> None:
    theirs = Stream("EVT_U", ("mirage.evt.u.>",), "facts")
    server = own_server(
        users(
            t=Rights(
                publishes=(f"{FACT}.>", f"{COMMAND}.>"), streams=(FACTS, WORK, STEPS), consumers=(READER, WORKER),
                follows=("PROGRESS",),
            ),
            u=Rights(publishes=("mirage.evt.u.>", "mirage.progress.u.>"), streams=(theirs, STEPS)),
            keeper=Rights(letters=True),
        )
    )  # fmt: skip
    async with (
        opened(url_of(server, "t")) as t,
        opened(url_of(server, "u")) as u,
        opened(url_of(server, "keeper")) as keeper,
    ):
        await t.declare([FACTS, WORK, STEPS], [READER, WORKER])
        await u.declare([theirs, STEPS], [])
        stream = t.replay(["mirage.progress.>"], None)
        await t.publish([envelope(1), envelope(2, COMMAND)])
        await u.publish([envelope(3, "mirage.evt.u.fact.v1"), envelope(4, "mirage.progress.u.step.v1")])
        first = asyncio.create_task(anext(stream))
        (fact,) = await t.pull(READER.name, 10, 5)
        await t.ack(await t.pull(WORKER.name, 10, 5))
        await t.bury(READER.name, fact, "reason")
        (letter,) = await keeper.dead()
        assert await keeper.revive([letter.id, letter.id]) == 1
        (again,) = await t.pull(READER.name, 10, 5)
        assert (again.envelope, again.tries) == (envelope(1), 2)
        await t.extend([again])
        await t.nak([again], 0)
        await t.ack(await t.pull(READER.name, 10, 5))
        assert (await t.lag(READER.name)).in_flight == 0
        await t.bury(READER.name, again, "reason")
        assert (await first)[1].time == 4
        await stream.aclose()

        async with asyncio.timeout(8):
            for call in (
                u.publish([envelope(5, "mirage.evt.u.fact.v1"), envelope(6)]),
                u.declare([], [Consumer("u__spy", "EVT_T", (f"{FACT}.>",))]),
                u.dead(),
                t.publish([envelope(7, "mirage.evt.u.fact.v1")]),
            ):
                with pytest.raises(Denied, match=r"the user '[tu]' may not use"):
                    await call
        assert await keeper.drop_dead([letter.id]) == 1
        await asyncio.gather(t.ping(), u.ping(), keeper.ping())


async def test_nobody_hears_the_answers_of_others(own_server: OwnServer) -> None:
    server = own_server(users(t=Rights(streams=(FACTS,)), u=Rights()))
    async with opened(url_of(server, "t")) as t:
        await t.declare([FACTS], [])
    spy = JetStreamBus(Address.parse(url_of(server, "u")), inbox="_INBOX_t")
    async with asyncio.timeout(8):
        with pytest.raises(Denied, match="_inbox_t"):
            await spy.ping()
    await spy.close()


@pytest.mark.usefixtures("impatient")
async def test_tls_is_asked_for_and_checked(own_server: OwnServer, tmp_path: Path) -> None:
    authority = Authority(1, tmp_path)
    moment = datetime.now(UTC)
    leaf = authority.issue(
        Certificate(
            id="leaf", subject="localhost", names=("localhost",), serial=2, issuer=AUTHORITY,
            not_before=moment - timedelta(1), not_after=moment + timedelta(1),
        )
    )  # fmt: skip
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    tls = {"cert_file": str(tmp_path / "leaf.pem"), "key_file": str(tmp_path / "leaf.key")}
    server, plain = own_server(configured({"tls": tls})), own_server("nats")
    trust = Trust(ca=str(authority.file))
    address = f"nats+tls://localhost:{server.port}"
    for url, trusted, error in (
        (address, trust, None),
        (address, Trust(), Unavailable),
        (address.replace("localhost", "127.0.0.1"), trust, Unavailable),
        (f"nats+tls://me:word@localhost:{plain.port}", trust, Denied),
    ):
        bus = JetStreamBus(Address.parse(url, trust=trusted))
        if error is None:
            await bus.ping()
        else:
            with pytest.raises(error):
                await bus.ping()
        await bus.close()
