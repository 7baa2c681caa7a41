"""Something written to each store and read again, as its own drivers do it."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from services.cli.fleet.ports import HOST, Ports

Login = Mapping[str, str]


class Probe(Struct, frozen=True):
    """``write`` keeps something durably, ``read`` raises unless it is there."""

    write: Callable[[Ports, Login], Awaitable[None]]
    read: Callable[[Ports, Login], Awaitable[None]]


async def _write_nats(ports: Ports, login: Login) -> None:
    async with _nats(ports, login) as stream:
        await stream.add_stream(name="probe", subjects=["probe"])
        await stream.publish("probe", b"kept")


async def _read_nats(ports: Ports, login: Login) -> None:
    async with _nats(ports, login) as stream:
        assert (await stream.get_msg("probe", 1)).data == b"kept"


@asynccontextmanager
async def _nats(ports: Ports, login: Login) -> AsyncIterator[Any]:
    import nats

    async def quiet(_: Exception) -> None: ...

    url = f"nats://{HOST}:{ports.nats}"
    connection = await nats.connect(
        url, user=login["user"], password=login["password"], error_cb=quiet, allow_reconnect=False
    )
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def _postgresql(ports: Ports, login: Login, statement: str) -> list[Any]:
    import asyncpg

    connection = await asyncpg.connect(
        host=HOST, port=ports.postgresql, user=login["user"], password=login["password"], database="postgres"
    )
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def _write_postgresql(ports: Ports, login: Login) -> None:
    await _postgresql(ports, login, "CREATE TABLE probe AS SELECT 'kept' AS value")


async def _read_postgresql(ports: Ports, login: Login) -> None:
    assert (await _postgresql(ports, login, "SELECT value FROM probe"))[0][0] == "kept"


async def _write_mongodb(ports: Ports, login: Login) -> None:
    with _mongo(ports) as client:
        await client.probe.probe.insert_one({"_id": 1, "value": "kept"})


async def _read_mongodb(ports: Ports, login: Login) -> None:
    with _mongo(ports) as client:
        assert (await client.probe.probe.find_one({"_id": 1}))["value"] == "kept"


def _mongo(ports: Ports) -> Any:
    from motor.motor_asyncio import AsyncIOMotorClient

    return closing(AsyncIOMotorClient(f"mongodb://{HOST}:{ports.mongodb}", serverSelectionTimeoutMS=2_000))


async def _write_elasticsearch(ports: Ports, login: Login) -> None:
    async with _elastic(ports) as client:
        await client.index(index="probe", id="1", document={"value": "kept"}, refresh=True)


async def _read_elasticsearch(ports: Ports, login: Login) -> None:
    async with _elastic(ports) as client:
        assert (await client.get(index="probe", id="1"))["_source"]["value"] == "kept"


def _elastic(ports: Ports) -> Any:
    from elasticsearch import AsyncElasticsearch

    return AsyncElasticsearch(f"http://{HOST}:{ports.elasticsearch}", retry_on_timeout=False, max_retries=0)


async def _write_redis(ports: Ports, login: Login) -> None:
    async with _redis(ports, login) as client:
        await client.set("probe", "kept")


async def _read_redis(ports: Ports, login: Login) -> None:
    async with _redis(ports, login) as client:
        assert await client.get("probe") == b"kept"


def _redis(ports: Ports, login: Login) -> Any:
    from redis.asyncio import Redis

    return Redis(host=HOST, port=ports.redis, username=login["user"], password=login["password"])


async def _neo4j(ports: Ports, login: Login, statement: str) -> Any:
    from neo4j import AsyncGraphDatabase

    login_of = (login["user"], login["password"])
    async with (
        AsyncGraphDatabase.driver(f"bolt://{HOST}:{ports.neo4j}", auth=login_of) as driver,
        driver.session() as session,  # which, unlike execute_query, does not try again by itself
    ):
        result = await session.run(statement)
        return [record async for record in result]


async def _write_neo4j(ports: Ports, login: Login) -> None:
    await _neo4j(ports, login, "CREATE (:Probe {value: 'kept'})")


async def _read_neo4j(ports: Ports, login: Login) -> None:
    assert (await _neo4j(ports, login, "MATCH (p:Probe) RETURN p.value"))[0][0] == "kept"


async def _write_prometheus(ports: Ports, login: Login) -> None:
    """It writes by itself: what it scrapes, such as a service of Mirage, which it is here itself."""
    known = {"Name": "scans", "Address": HOST, "Port": ports.prometheus, "Meta": {"version": "7"}}
    url = f"http://{HOST}:{ports.consul}/v1/agent/service/register"
    token = {"X-Consul-Token": login["consul"]}
    request = urllib.request.Request(url, json.dumps(known).encode(), token, method="PUT")
    (await asyncio.to_thread(urllib.request.urlopen, request, timeout=5)).close()
    await _read_prometheus(ports, login)


async def _read_prometheus(ports: Ports, login: Login) -> None:
    """All that it is to scrape has been up within the last minutes, itself by Consul among them."""
    up = await asyncio.to_thread(_query, ports, "min_over_time(up[5m])")
    assert {series["metric"]["job"] for series in up} == {"services", "consul", "nomad"}
    named = {(series["metric"].get("service"), series["metric"].get("version")) for series in up}
    assert named >= {("mirage-prometheus", None), ("scans", "7")}
    assert {series["value"][1] for series in up} == {"1"}


def _query(ports: Ports, query: str) -> Any:
    url = f"http://{HOST}:{ports.prometheus}/api/v1/query?query={quote(query)}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]["result"]


PROBES = {
    "nats": Probe(_write_nats, _read_nats),
    "postgresql": Probe(_write_postgresql, _read_postgresql),
    "mongodb": Probe(_write_mongodb, _read_mongodb),
    "elasticsearch": Probe(_write_elasticsearch, _read_elasticsearch),
    "redis": Probe(_write_redis, _read_redis),
    "neo4j": Probe(_write_neo4j, _read_neo4j),
    "prometheus": Probe(_write_prometheus, _read_prometheus),
}
