"""What only the cache on Redis does: is shared, outlives its server, loses a token rather than give two."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from services.kernel.cache import Bucket, Cache
from services.kernel.cache.memory import MemoryCache
from services.kernel.cache.redis import RedisCache
from services.kernel.cache.redis_scripts import EMPTY, TAKE
from services.kernel.cache.redis_users import acl_line
from services.kernel.errors import Denied, Exhausted, Invalid, Unavailable
from services.kernel.server import Server, Trust
from tests.collector.fetch.authority import Signer
from tests.kernel.conftest import Clock
from tests.servers.running import Server as Running

SECONDS = 60  # that a test waits for what has to come
SLOW = Bucket(rate=0.001, burst=5)


def located(running: Running, prefix: str = "mirage", login: str = "") -> Server:
    return Server.parse(f"redis://{login}127.0.0.1:{running.port}/{prefix}")


@pytest.fixture
def place(shared_server: Callable[[str], Running]) -> Server:
    return located(shared_server("redis"), f"test-{uuid4().hex}")


@pytest.fixture
async def bare(place: Server) -> AsyncIterator[Redis]:
    """The library itself, to look at what the adapter does from the other side."""
    async with Redis(port=place.hosts[0].port) as client:
        yield client


@pytest.fixture
async def open_cache() -> AsyncIterator[Callable[..., RedisCache]]:
    opened: list[RedisCache] = []

    def open_one(server: Server, **how: Any) -> RedisCache:
        opened.append(RedisCache(server, **how))
        return opened[-1]

    yield open_one
    for cache in opened:
        await cache.close()


def every_call(cache: Cache) -> list[Awaitable[Any]]:
    return [
        cache.ping(),
        cache.get("key"),
        cache.set("key", b"never acknowledged", 60),
        cache.delete("never"),
        cache.add("other", 1, 60),
        cache.take("other", SLOW),
        cache.empty("another", SLOW, 60),
    ]


async def all_unavailable(*calls: Awaitable[Any]) -> None:
    async with asyncio.timeout(SECONDS):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(calls)


async def settled(cache: Cache) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(Unavailable):
                return await cache.ping()
            await asyncio.sleep(0.02)


# Lives of the server


@pytest.mark.server
async def test_what_was_acknowledged_is_there_after_a_kill(
    own_server: Callable[[str], Running], open_cache: Callable[..., RedisCache]
) -> None:
    running = own_server("redis")
    cache = open_cache(located(running))
    await cache.set("value", b"kept", 600)
    await cache.add("n", 7, 600)
    for _ in range(5):
        assert await cache.take("b", SLOW) == 0
    await cache.empty("paused", SLOW, 600)
    running.kill()
    await all_unavailable(*every_call(cache))
    starting = open_cache(located(running))
    await all_unavailable(*every_call(starting))
    running.start()
    await settled(starting)
    for each in (starting, cache):
        await settled(each)
        assert await each.get("value") == b"kept"
        assert await each.take("b", SLOW) > 500
        assert await each.take("paused", SLOW) > 500
    assert await cache.add("n", 1, 600) == 8


@pytest.mark.server
async def test_an_answer_that_is_lost_may_cost_a_token_and_gives_none(
    own_server: Callable[[str], Running], open_cache: Callable[..., RedisCache]
) -> None:
    running = own_server("redis")
    cache = open_cache(located(running), connections=2)
    bucket = Bucket(rate=0.0001, burst=20)
    for _ in range(3):  # the connections are there and the script is known
        assert await cache.take("b", bucket) == 0
    with running.held():
        await all_unavailable(*(cache.take("b", bucket) for _ in range(30)), *every_call(cache))
    await settled(cache)
    given_out = 0
    while await cache.take("b", bucket) == 0:
        given_out += 1
    assert 20 - 3 - 2 <= given_out <= 20 - 3  # one of each connection was on its way


@pytest.mark.server
async def test_who_is_not_waited_for_any_more_leaves_no_answer_to_others(
    place: Server, open_cache: Callable[..., RedisCache]
) -> None:
    cache = open_cache(place, connections=1)
    await cache.set("a", b"a", 60)
    await cache.set("b", b"b", 60)
    for turns in range(12):
        asking = asyncio.create_task(cache.get("a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        assert await cache.get("b") == b"b"


@pytest.mark.server
async def test_a_server_that_forgot_the_scripts_is_told_them_again(
    place: Server, bare: Redis, open_cache: Callable[..., RedisCache]
) -> None:
    cache = open_cache(place)
    for _ in range(2):
        await bare.script_flush()
        assert await cache.take("b", SLOW) == 0
    assert await cache.add("n", 1, 60) == 1
    assert await cache.take("b", SLOW, 4) > 500


@pytest.mark.server
async def test_closing_lets_what_was_begun_end(place: Server) -> None:
    cache = RedisCache(place, connections=2)
    adding = [asyncio.create_task(cache.add("n", 1, 60)) for _ in range(20)]
    while not cache.measures()["in_flight"]:
        await asyncio.sleep(0)
    await asyncio.gather(cache.close(), cache.close())
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    done = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert done
    assert {type(outcome) for outcome in outcomes} <= {int, Unavailable}
    again = RedisCache(place)
    assert await again.add("n", 0, 60) == len(done)
    await again.close()


# What is shared, and for how long


@pytest.mark.server
async def test_all_with_one_prefix_share_and_no_other_does(
    place: Server, open_cache: Callable[..., RedisCache]
) -> None:
    one, other = open_cache(place), open_cache(place)
    stranger = open_cache(located_at(place, f"{place.path}-2"))
    waits = await asyncio.gather(*(each.take("b", SLOW) for each in (one, other) for _ in range(20)))
    assert waits.count(0) == 5
    await one.set("key", b"x", 60)
    await one.add("n", 5, 60)
    assert await other.get("key") == b"x"
    assert await other.add("n", 1, 60) == 6
    assert await stranger.get("key") is None
    assert await stranger.add("n", 1, 60) == 1
    assert await stranger.take("b", SLOW) == 0


def located_at(place: Server, prefix: str) -> Server:
    return Server.parse(f"redis://{place.address}/{prefix}")


@pytest.mark.server
async def test_everything_expires(place: Server, bare: Redis, open_cache: Callable[..., RedisCache]) -> None:
    cache = open_cache(place)
    quick = Bucket(rate=1, burst=5)
    await cache.set("key", b"x", 60)
    await cache.add("n", 1, 60)
    await cache.take("b", quick, 5)
    await cache.empty("paused", quick, 60)
    left = {key: await bare.pttl(key) async for key in bare.scan_iter(f"{place.path}:*")}
    prefix = place.path.encode()
    assert left.keys() == {prefix + each for each in (b":value:key", b":count:n", b":level:b", b":level:paused")}
    assert all(0 < each < 70_000 for each in left.values())
    assert left[prefix + b":level:b"] < 7_000  # a bucket that is full is as good as none


class ByTheClock:
    """The scripts as they are, but for the time, which a test says."""

    def __init__(self, client: Redis, clock: Clock, key: str) -> None:
        self.clock = clock
        self.key = key
        self._run = {
            each: client.register_script(each.text.replace("redis.call('TIME')", "{ARGV[4], 0}"))
            for each in (TAKE, EMPTY)
        }

    async def take(self, bucket: Bucket, tokens: float) -> float:
        return int(await self._ask(TAKE, bucket, tokens)) / 1e6

    async def empty(self, bucket: Bucket, seconds: float) -> None:
        await self._ask(EMPTY, bucket, seconds * 1e6)

    async def _ask(self, script: Any, bucket: Bucket, value: float) -> Any:
        now = f"{1_800_000_000 + self.clock.now:.6f}"
        return await self._run[script]([self.key], [bucket.rate, bucket.burst, value, now])


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "empty"]), st.floats(0.01, 5), st.floats(0, 4)), max_size=40
)


@pytest.mark.server
@given(rate=st.sampled_from([0.1, 1.0, 7.0, 300.0]), burst=st.integers(1, 8), steps=STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_its_buckets_give_what_those_in_memory_give(
    shared_server: Callable[[str], Running], rate: float, burst: int, steps: list[tuple[str, float, float]]
) -> None:
    clock, bucket = Clock(), Bucket(rate, burst)
    memory = MemoryCache(clock=clock)
    async with Redis(port=shared_server("redis").port) as client:
        scripts = ByTheClock(client, clock, f"test-{uuid4().hex}")
        for what, amount, pause in steps:
            clock.now += round(pause, 3)
            if what == "empty":
                await memory.empty("b", bucket, amount)
                await scripts.empty(bucket, amount)
                continue
            tokens = min(amount, burst)
            expected = await memory.take("b", bucket, tokens)
            found = await scripts.take(bucket, tokens)
            assert found == pytest.approx(expected, abs=1e-4)
        await client.delete(scripts.key)


@pytest.mark.server
async def test_a_clock_that_was_put_back_empties_a_bucket_and_no_more(shared_server: Callable[[str], Running]) -> None:
    clock, bucket = Clock(), Bucket(rate=2, burst=4)
    async with Redis(port=shared_server("redis").port) as client:
        scripts = ByTheClock(client, clock, f"test-{uuid4().hex}")
        assert await scripts.take(bucket, 1) == 0
        clock.now -= 3_600
        assert await scripts.take(bucket, 1) == pytest.approx(0.5, abs=1e-4)
        clock.now += 0.6
        assert await scripts.take(bucket, 1) == 0
        await client.delete(scripts.key)


# Who may do what


@pytest.mark.server
async def test_a_service_reaches_its_own_keys_only(
    place: Server, bare: Redis, open_cache: Callable[..., RedisCache]
) -> None:
    names = [f"{name}-{uuid4().hex}" for name in ("collector", "gateway")]
    servers = [Server.parse(f"redis://{name}:secret-{name}@{place.address}/{name}") for name in names]
    try:
        for server in servers:
            line = acl_line(server)
            assert server.password not in line
            await bare.execute_command("ACL", "SETUSER", *line.split()[1:])
        for server in servers:
            cache = open_cache(server)
            await cache.set("key", b"x", 60)
            assert await cache.get("key") == b"x"
            await cache.delete("key")
            assert await cache.add("n", 1, 60) == 1
            assert await cache.take("b", SLOW) == 0
            await cache.empty("b", SLOW, 60)
            await cache.ping()
        await bare.script_flush()
        assert await open_cache(servers[0]).add("n", 1, 60) == 2

        neighbour = Server.parse(f"redis://{names[0]}:secret-{names[0]}@{place.address}/{names[1]}")
        across = open_cache(neighbour)
        outcomes = await asyncio.gather(*every_call(across), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), *[Denied] * (len(outcomes) - 1)]  # all but ping
        async with Redis(port=place.hosts[0].port, username=names[0], password=servers[0].password) as client:
            for command in (
                ["GET", f"{names[1]}:count:n"], ["KEYS", "*"], ["SCAN", "0"], ["FLUSHALL"], ["CONFIG", "GET", "*"],
                ["EVAL", "return redis.call('GET', ARGV[1])", "0", f"{names[1]}:count:n"],
            ):  # fmt: skip
                with pytest.raises((NoPermissionError, ResponseError)):
                    await client.execute_command(*command)
    finally:
        await bare.execute_command("ACL", "DELUSER", *names)


@pytest.mark.server
async def test_a_login_that_the_server_does_not_know_is_denied(
    place: Server, open_cache: Callable[..., RedisCache]
) -> None:
    cache = open_cache(Server.parse(f"redis://nobody:secret@{place.address}/x"))
    for call in every_call(cache):
        with pytest.raises(Denied) as caught:
            await call
        assert "secret" not in str(caught.value)


@pytest.mark.server
async def test_a_command_that_a_user_lacks_is_denied(
    place: Server, bare: Redis, open_cache: Callable[..., RedisCache]
) -> None:
    server = Server.parse(f"redis://poor-{uuid4().hex}:secret@{place.address}/{place.path}")
    await bare.execute_command("ACL", "SETUSER", *acl_line(server).split()[1:], "-incrby", "-get")
    try:
        cache = open_cache(server)
        for call in (cache.add("n", 1, 60), cache.get("key"), cache.take("b", SLOW)):
            with pytest.raises(Denied):
                await call
    finally:
        await bare.execute_command("ACL", "DELUSER", server.user)


@pytest.mark.server
async def test_it_speaks_tls_with_whom_it_trusts(
    own_server: Callable[[str], Running], open_cache: Callable[..., RedisCache], tmp_path: Path
) -> None:
    running = own_server("redis")
    signer = Signer(tmp_path)
    signer.context("localhost")
    (pem,) = (each for each in tmp_path.iterdir() if each != signer.file)
    key = serialization.load_pem_private_key(pem.read_bytes(), None)
    assert key
    pem.chmod(0o644)
    async with Redis(port=running.port) as client:
        try:
            await client.config_set("tls-cert-file", str(pem), "tls-key-file", str(pem), "tls-auth-clients", "no")
            await client.config_set("tls-port", running.ports[1])
        except ResponseError as error:
            pytest.skip(f"this Redis has no TLS ({error})")
    url = f"redis+tls://localhost:{running.ports[1]}/x"
    cache = open_cache(Server.parse(url, trust=Trust(ca=str(signer.file))))
    await cache.set("key", b"x", 60)
    assert await cache.get("key") == b"x"
    for trust in (Trust(), Trust(ca=str(Signer(folder(tmp_path)).file))):
        with pytest.raises(Unavailable):
            await open_cache(Server.parse(url, trust=trust)).ping()


def folder(path: Path) -> Path:
    made = path / "another"
    made.mkdir()
    return made


# What the server says


@pytest.mark.server
async def test_a_server_without_room_takes_no_more(
    own_server: Callable[[str], Running], open_cache: Callable[..., RedisCache]
) -> None:
    running = own_server("redis")
    cache = open_cache(located(running))
    await cache.set("key", b"x", 60)
    async with Redis(port=running.port) as client:
        await client.config_set("maxmemory", 1)
        for call in (cache.set("other", b"x", 60), cache.take("b", SLOW), cache.add("n", 1, 60)):
            with pytest.raises(Exhausted, match="redis at 127"):
                await call
        assert await cache.get("key") == b"x"
        await client.config_set("maxmemory", 0)
    await cache.set("other", b"x", 60)


@pytest.mark.server
async def test_what_cannot_be_kept_is_invalid(place: Server, open_cache: Callable[..., RedisCache]) -> None:
    cache = open_cache(place)
    for call in (
        cache.add("n", 2**70, 60),
        cache.get("\ud800"),
        cache.empty("b", Bucket(0, 1), 1),
    ):
        with pytest.raises(Invalid):
            await call
    assert cache.measures()["failures"] == 0


@pytest.mark.parametrize("url", ["redis://a,b/x", "redis://a/x*", "redis://a/x y", "redis://a/x?"])
def test_a_place_that_keys_cannot_have_is_invalid(url: str) -> None:
    with pytest.raises(Invalid):
        RedisCache(Server.parse(url))


@pytest.mark.parametrize("url", ["redis://a/x", "redis://u@a/x", "redis://:p@a/x", "redis://u%20v:p@a/x"])
def test_a_user_needs_a_name_and_a_password(url: str) -> None:
    with pytest.raises(Invalid):
        acl_line(Server.parse(url))
