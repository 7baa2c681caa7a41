"""The connection to MongoDB, on the server that the tests have: away, silent, refusing, closed."""

import asyncio
import threading
from collections.abc import Callable
from types import NoneType
from typing import Any

import motor.frameworks.asyncio
import pytest

from services.cli.fleet.ports import free_ports
from services.kernel import mongo as mongo_client
from services.kernel.errors import Denied, Invalid, MirageError, Unavailable
from services.kernel.mongo import Mongo, Scan, insert_new, put_all
from services.kernel.server import Server, Trust
from tests.servers.running import Server as RealServer


def at(server: RealServer) -> Server:
    return Server.parse(f"{server.url}/test")


async def eventually(call: Callable[[], object]) -> None:
    """Until it no longer raises `Unavailable`."""
    async with asyncio.timeout(60):
        while True:
            try:
                await call()
                return
            except Unavailable:
                await asyncio.sleep(0.05)


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if "pymongo" in each.name}


@pytest.mark.server
async def test_it_is_there_while_the_server_is(own_server: Callable[[str], RealServer]) -> None:
    server = own_server("mongodb")
    mongo = Mongo(at(server))
    await mongo.ping()
    server.kill()
    with pytest.raises(Unavailable, match="mongodb at 127"):
        await mongo.ping()
    with pytest.raises(Unavailable):
        async with mongo.call() as database:
            await database["things"].find_one({"_id": "a"})
    server.start()
    await eventually(mongo.ping)
    assert mongo.measures()["heartbeats_failed_total"] > 0
    await mongo.close()


@pytest.mark.server
async def test_calls_to_a_server_that_falls_silent_end_and_work_again(own_server: Callable[[str], RealServer]) -> None:
    server = own_server("mongodb")
    mongo = Mongo(at(server))

    async def insert() -> None:
        async with mongo.call() as database:
            await insert_new(database["things"], [{"_id": "a"}])

    await insert()
    with server.held():
        outcomes = await asyncio.gather(*(insert() for _ in range(100)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} - {NoneType} == {Unavailable}  # it may hear the first ones
        with pytest.raises(Unavailable) as caught:
            await mongo.ping()
        assert caught.value.__cause__ is None  # without asking again
    await eventually(insert)
    await mongo.close()


@pytest.mark.server
async def test_a_server_answers_a_ping_while_all_calls_and_threads_are_taken(mongo_database: Server) -> None:
    mongo = Mongo(mongo_database, calls=2)
    await mongo.ping()
    loop, go_on = asyncio.get_running_loop(), threading.Event()
    async with mongo.call(), mongo.call():
        held = [
            loop.run_in_executor(motor.frameworks.asyncio._EXECUTOR, go_on.wait)
            for _ in range(motor.frameworks.asyncio.max_workers)
        ]
        async with asyncio.timeout(30):
            await mongo.ping()
            await asyncio.gather(*(mongo.ping() for _ in range(10)))
        go_on.set()
        await asyncio.gather(*held)
    assert mongo.measures()["connections_open"] <= 3
    await mongo.close()


async def test_a_server_that_never_was_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_client, "SELECTION", 0.1)
    (port,) = free_ports(1)
    mongo = Mongo(Server.parse(f"mongodb://user:secret@127.0.0.1:{port}"))
    with pytest.raises(Unavailable) as caught:
        await mongo.ping()
    assert "secret" not in str(caught.value)
    await mongo.close()
    assert mongo.measures()["calls_in_flight"] == 0


@pytest.mark.server
async def test_a_login_that_is_refused_is_denied(mongo_database: Server) -> None:
    mongo = Mongo(Server.parse(f"mongodb://user:secret@{mongo_database.address}/test"))
    with pytest.raises(Denied) as caught:
        async with mongo.call() as database:
            await insert_new(database["things"], [{"_id": "a"}])
    assert "secret" not in str(caught.value)
    await mongo.close()


@pytest.mark.parametrize("path", ["a.b", "a b", "x" * 64, "$a"])
def test_what_cannot_be_a_database_is_invalid(path: str) -> None:
    with pytest.raises(Invalid):
        Mongo(Server.parse(f"mongodb://localhost/{path}"))


async def test_certificates_that_cannot_be_read_are_invalid() -> None:
    with pytest.raises(Invalid):
        Mongo(Server.parse("mongodb+tls://localhost", trust=Trust(cert="cert.pem", key="key.pem")))
    mongo = Mongo(Server.parse("mongodb+tls://localhost", trust=Trust(ca="nowhere.pem")))
    with pytest.raises(Invalid):
        await mongo.ping()
    await mongo.close()


@pytest.mark.server
async def test_closing_waits_for_calls_and_leaves_no_thread(mongo_database: Server) -> None:
    before = threads()
    mongo = Mongo(mongo_database)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with mongo.call() as database:
            begun.set()
            await go_on.wait()
            await insert_new(database["things"], [{"_id": "a"}])

    working = asyncio.create_task(work())
    await begun.wait()
    closing = asyncio.create_task(mongo.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await mongo.ping()
    assert not closing.done()
    go_on.set()
    await closing
    await working
    await mongo.close()
    async with asyncio.timeout(60):
        while not threads() <= before:  # they end when they wake up
            await asyncio.sleep(0.05)
    assert mongo.measures()["connections_open"] == 0


@pytest.mark.server
async def test_what_a_document_cannot_be_is_invalid(mongo_database: Server) -> None:
    mongo = Mongo(mongo_database)
    for value in (2**63, {"a\0b": 1}, object()):
        with pytest.raises(Invalid):
            async with mongo.call() as database:
                await insert_new(database["things"], [{"_id": "a", "value": value}])
    await mongo.close()


@pytest.mark.server
async def test_only_documents_that_are_there_are_not_inserted(mongo_database: Server) -> None:
    mongo = Mongo(mongo_database)
    async with mongo.call() as database:
        things = database["things"]
        assert await insert_new(things, [{"_id": f"{n}"} for n in range(0, 2_500, 2)]) == set()
        there = await insert_new(things, [{"_id": f"{n}"} for n in range(2_500)])
        assert there == {f"{n}" for n in range(0, 2_500, 2)}
        assert await things.count_documents({}) == 2_500
        await things.create_index([("n", 1)], unique=True)
    with pytest.raises(MirageError):
        async with mongo.call() as database:
            await insert_new(database["things"], [{"_id": "a", "$bad.name": 1}])
    await mongo.close()


@pytest.mark.server
async def test_many_that_set_the_same_documents_all_end(mongo_database: Server) -> None:
    mongo = Mongo(mongo_database)

    async def put(turn: int) -> None:
        async with mongo.call() as database:
            await put_all(database["things"], [{"_id": f"{n}", "turn": turn} for n in range(200)])

    await asyncio.gather(*(put(turn) for turn in range(8)))
    async with mongo.call() as database:
        assert await database["things"].count_documents({}) == 200
    await mongo.close()


@pytest.mark.server
async def test_a_document_that_is_deleted_while_it_is_set_is_there_in_the_end(
    mongo_database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo = Mongo(mongo_database)
    async with mongo.call() as database:
        things = database["things"]
        await insert_new(things, [{"_id": "a", "v": 1}, {"_id": "b", "v": 1}])

        async def delete_after(collection: Any, documents: Any) -> set[Any]:
            there = await insert_new(collection, documents)
            monkeypatch.undo()
            await things.delete_one({"_id": "a"})
            return there

        monkeypatch.setattr("services.kernel.mongo.insert_new", delete_after)
        await put_all(things, [{"_id": "a", "v": 2}, {"_id": "b", "v": 2}, {"_id": "c", "v": 2}])
        assert [each["_id"] async for each in things.find({"v": 2})] == ["b", "c", "a"]
    await mongo.close()


@pytest.mark.server
async def test_what_one_changes_is_not_deleted_by_another_who_looked_for_what_it_was(mongo_database: Server) -> None:
    """What blobs stand on; a server that finds documents and then deletes whatever they are by then fails here."""
    mongo = Mongo(mongo_database)
    async with mongo.call() as database:
        things = database["things"]
        for _ in range(20):
            await things.insert_many([{"_id": str(number), "place": "here"} for number in range(100)])
            moved, deleted = await asyncio.gather(
                things.update_many({"place": "here"}, {"$set": {"place": "there"}}),
                things.delete_many({"place": "here"}),
            )
            assert moved.modified_count + deleted.deleted_count == 100
            assert await things.count_documents({"place": "there"}) == moved.modified_count
            await things.delete_many({})
    await mongo.close()


@pytest.mark.server
async def test_a_cursor_that_the_server_forgot_goes_on_where_it_was(mongo_database: Server) -> None:
    mongo = Mongo(mongo_database)
    ids = [f"{n:04}" for n in range(1_000)]
    async with mongo.call() as database:
        await insert_new(database["things"], [{"_id": each} for each in ids])
    scan = Scan(mongo, "things", "0", "1", fields=["_id"], batch=100)
    found = [each["_id"] for each in await scan.take(250)]
    async with mongo.call() as database:
        await database.command({"killCursors": "things", "cursors": [scan._cursor.cursor_id]})
    while taken := await scan.take(250):
        found += [each["_id"] for each in taken]
    assert found == ids
    await scan.close()
    await mongo.close()
