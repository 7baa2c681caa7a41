"""What holds for the directory on Consul alone: instances that die, and a Consul that is away or has forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.kernel.directory import Instance
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.directory.registration import Check
from services.kernel.errors import Unavailable
from services.kernel.server import Server
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server

#: No check comes round while a test runs.
NEVER = Check(interval=1e6)
QUICK = Check(interval=0.2, timeout=1.0, ttl=1.0)

Open = Callable[..., ConsulDirectory]


@pytest.fixture
async def open_directory() -> AsyncIterator[Open]:
    opened: list[ConsulDirectory] = []

    def open_one(url: str, check: Check = NEVER, reconcile: float = 0.2) -> ConsulDirectory:
        opened.append(ConsulDirectory(Server.parse(url), check=check, reconcile=reconcile, patience=60.0))
        return opened[-1]

    yield open_one
    for directory in opened:
        await directory.close()


def instance(id: str, address: str = "127.0.0.1:80", **meta: str) -> Instance:
    return Instance(service="scans", id=id, address=address, meta=meta)


async def until(directory: ConsulDirectory, *wanted: Instance) -> None:
    async with asyncio.timeout(30):
        async for found in directory.watch("scans"):
            if found == list(wanted):
                return


async def note(directory: ConsulDirectory, lists: list[list[Instance]]) -> None:
    """Add every list that a watcher sees."""
    async for found in directory.watch("scans"):
        lists += [found]


async def until_back(directory: ConsulDirectory) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                return await directory.ping()
            except Unavailable:
                await asyncio.sleep(0.05)


async def registered_again(directory: ConsulDirectory, times: int) -> None:
    async with asyncio.timeout(30):
        while directory.measures()["registered_again"] < times:
            await asyncio.sleep(0.01)


class Health:
    """Answers checks as a test says; may be gone."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.asked = ""
        self.checked = asyncio.Event()
        self.address = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked = head.split()[1].decode()
        found = self.asked.startswith("/health/ready?")
        status = self.status if found else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        self.checked.set()


@asynccontextmanager
async def served() -> AsyncIterator[Health]:
    health = Health()
    server = await asyncio.start_server(health, "127.0.0.1", 0)
    health.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield health


async def test_what_one_process_registers_others_find_and_see_leave(consul_url: str, open_directory: Open) -> None:
    here, there = open_directory(consul_url), open_directory(consul_url)
    a, b = instance("scans-a", version="1"), instance("b", "[::1]:8080")
    await until(there)
    await here.register(a)
    await here.register(b)
    await until(there, b, a)
    await here.deregister("scans", "scans-a")
    await until(there, b)
    await there.deregister("scans", "b")
    await until(here)


async def test_fleets_that_share_a_consul_do_not_see_each_other(consul_url: str, open_directory: Open) -> None:
    one, other = open_directory(consul_url), open_directory(consul_url + "-other")
    await one.register(instance("a"))
    assert await other.resolve("scans") == []
    await other.register(instance("a", "127.0.0.1:1"))
    assert await other.resolve("scans") == [instance("a", "127.0.0.1:1")]
    assert await one.resolve("scans") == [instance("a")]


async def test_an_instance_that_is_not_well_is_out_until_it_is_well_again(
    consul_url: str, open_directory: Open
) -> None:
    here, there = open_directory(consul_url, QUICK), open_directory(consul_url)
    async with served() as health:
        known = instance("a", health.address)
        await here.register(known)
        await until(there, known)
        await health.checked.wait()
        assert health.asked == "/health/ready?service=scans&instance=a"
        health.status = "503 Service Unavailable"
        await until(there)
        # Looking after it does not make it well.
        looked = here.measures()["calls"]
        while here.measures()["calls"] < looked + 3:
            await asyncio.sleep(0.05)
        assert here.measures()["registered_not_well"] == 1
        assert here.measures()["registered_again"] == 0
        assert await there.resolve("scans") == []
        health.status = "200 OK"
        await until(there, known)


async def test_one_failure_alone_takes_nobody_out(consul_url: str, open_directory: Open) -> None:
    here, there = open_directory(consul_url, QUICK), open_directory(consul_url)
    async with served() as health:
        known = instance("a", health.address)
        await here.register(known)
        # Consul takes the first result of a check as it is, and counts from then on.
        await health.checked.wait()
        lists: list[list[Instance]] = []
        noting = asyncio.create_task(note(there, lists))
        for status in ("503 Service Unavailable", "200 OK", "503 Service Unavailable", "200 OK"):
            health.status = status
            health.checked.clear()
            await health.checked.wait()
        noting.cancel()
        await asyncio.wait({noting})
        assert lists == [[known]]


async def test_an_instance_that_dies_is_out(consul_url: str, open_directory: Open) -> None:
    here, there = open_directory(consul_url, QUICK), open_directory(consul_url)
    async with served() as health:
        await here.register(instance("a", health.address))
        await here.register(instance("b", "local"))
        await until(there, instance("a", health.address), instance("b", "local"))
        await here.close()
    await until(there)


async def test_an_instance_that_nobody_dials_stays_as_long_as_it_says_that_it_is_well(
    consul_url: str, open_directory: Open
) -> None:
    here, there = open_directory(consul_url, QUICK, reconcile=600), open_directory(consul_url)
    known = instance("a", "local")
    await here.register(known)
    lists = there.watch("scans")
    assert await anext(lists) == [known]
    with pytest.raises(TimeoutError):
        # Long enough for its check to run out.
        async with asyncio.timeout(3 * QUICK.ttl):
            await anext(lists)


async def test_one_process_watches_a_service_once(consul_url: str, open_directory: Open) -> None:
    directory = open_directory(consul_url)
    await directory.register(instance("a"))
    await directory.resolve("scans")
    calls = directory.measures()["calls"]
    async with AsyncExitStack() as stack:
        for _ in range(20):
            lists = directory.watch("scans")
            stack.push_async_callback(lists.aclose)
            assert await anext(lists) == await directory.resolve("scans") == [instance("a")]
    assert directory.measures()["watched"] == 1
    assert directory.measures()["calls"] <= calls + 2


async def test_a_registration_that_the_agent_lost_or_that_is_another_is_made_again(
    consul_url: str, open_directory: Open
) -> None:
    here, there = open_directory(consul_url), open_directory(consul_url)
    known = instance("a", version="2")
    await here.register(known)
    await there.deregister("scans", "a")
    await until(there, known)
    await there.register(instance("a", version="1"))
    await until(there, known)
    await registered_again(here, 2)


async def test_what_has_left_does_not_come_back(consul_url: str, open_directory: Open) -> None:
    here, there = open_directory(consul_url, reconcile=0.01), open_directory(consul_url)
    for number in range(20):
        await here.register(instance(f"a{number}"))
        await asyncio.sleep(number / 1000)
        await here.deregister("scans", f"a{number}")
    assert await there.resolve("scans") == []
    assert here.measures()["registered"] == 0


async def test_a_registration_that_is_under_way_does_not_come_after_the_leaving(
    consul_url: str, open_directory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = open_directory(consul_url, reconcile=0.001), open_directory(consul_url)

    async def lost(id: str) -> None:
        """Whatever is looked after is registered again."""

    monkeypatch.setattr(here._consul, "registered", lost)
    for number in range(30):
        await here.register(instance(f"a{number}"))
        await asyncio.sleep(number / 2000)
        await here.deregister("scans", f"a{number}")
    assert await there.resolve("scans") == []


async def test_a_consul_that_is_killed_and_comes_back_is_not_missed(
    own_server: Callable[[str], Running], open_directory: Open
) -> None:
    consul = own_server("consul")
    here, there = open_directory(consul.url), open_directory(consul.url)
    await here.register(instance("a"))
    lists = there.watch("scans")
    assert await anext(lists) == [instance("a")]
    consul.kill()
    with pytest.raises(Unavailable, match=f"consul at 127.0.0.1:{consul.port} does not answer"):
        await there.ping()
    with pytest.raises(Unavailable):
        await there.resolve("storage")
    with pytest.raises(Unavailable):
        await here.register(instance("b"))
    assert await there.resolve("scans") == [instance("a")]
    assert there.measures()["stale_seconds"] > 0
    following = asyncio.ensure_future(anext(lists))
    consul.start()
    await until_back(there)
    await here.register(instance("c"))
    async with asyncio.timeout(30):
        assert await following == [instance("a"), instance("c")]
    assert await there.resolve("storage") == []
    assert there.measures()["stale_seconds"] == 0
    assert here.measures()["registered_again"] == 0


async def test_a_consul_that_has_forgotten_all_learns_again_and_no_list_is_empty_meanwhile(
    own_server: Callable[[str], Running], open_directory: Open
) -> None:
    consul = own_server("consul")
    here, there = open_directory(consul.url, reconcile=1.0), open_directory(consul.url)
    known = [instance("a"), instance("b", "local")]
    for each in known:
        await here.register(each)
    assert await there.resolve("scans") == known
    lists: list[list[Instance]] = []
    noting = asyncio.create_task(note(there, lists))
    consul.kill()
    for path in sorted(consul.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    consul.start()
    await until(open_directory(consul.url), *known)
    await registered_again(here, 2)
    # Whoever has been named again may leave, and is seen to.
    new = instance("c")
    await here.register(new)
    await until(there, *known, new)
    await here.deregister("scans", "b")
    async with asyncio.timeout(30):
        while lists[-1] != [known[0], new]:
            await asyncio.sleep(0.01)
    noting.cancel()
    await asyncio.wait({noting})
    assert lists == [known, [*known, new], [known[0], new]]


async def test_a_consul_that_hangs_holds_nobody_up(own_server: Callable[[str], Running], open_directory: Open) -> None:
    consul = own_server("consul")
    here, there = open_directory(consul.url), open_directory(consul.url)
    await here.register(instance("a"))
    assert await there.resolve("scans") == [instance("a")]
    with consul.held():
        async with asyncio.timeout(30):
            assert await there.resolve("scans") == [instance("a")]
            results = await asyncio.gather(
                there.ping(), there.resolve("storage"), here.register(instance("b")), return_exceptions=True
            )
        assert [type(result) for result in results] == [Unavailable] * 3
    await until_back(there)
    await here.register(instance("c"))
    async with asyncio.timeout(30):
        async for found in there.watch("scans"):
            if instance("c") in found:
                break


async def test_what_was_registered_outlasts_closing_and_is_left_alone(consul_url: str, open_directory: Open) -> None:
    here, there = open_directory(consul_url), open_directory(consul_url)
    await here.register(instance("a"))
    await here.close()
    assert await there.resolve("scans") == [instance("a")]
    await there.deregister("scans", "a")
    assert await there.resolve("scans") == []
