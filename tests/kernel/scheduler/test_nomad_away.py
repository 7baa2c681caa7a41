"""What the facade of Nomad does while servers are away, agents die and nodes are drained."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web

from services.kernel.errors import Unavailable
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server, Trust
from tests.servers.cluster import Cluster
from tests.servers.jobs import job

pytestmark = pytest.mark.server

LIMIT = 90


@pytest.fixture
def own_cluster(own_server: Callable[[str], Cluster]) -> Cluster:
    return own_server("nomad")


@pytest.fixture
async def own(own_cluster: Cluster) -> AsyncIterator[Nomad]:
    opened = Nomad(Server.parse(own_cluster.url))
    yield opened
    await opened.close()


async def begun(nomad: Nomad, name: str = "sleeper") -> str:
    await nomad.register(await nomad.parse(job(name)))
    async with asyncio.timeout(LIMIT):
        return (await nomad.settle(name)).allocations[0].id


async def test_while_the_server_is_away_calls_say_so_and_work_again_when_it_is_back(
    own: Nomad, own_cluster: Cluster
) -> None:
    server = own_cluster.agents["nomad-server"]
    allocation = await begun(own)
    with server.held():
        for ask in (own.ping, own.nodes):
            with pytest.raises(Unavailable):
                async with asyncio.timeout(LIMIT):
                    await ask()
    assert (await own.status("sleeper")).allocations[0].id == allocation
    server.kill()
    for asked in (own.ping(), own.nodes(), own.stop("sleeper"), anext(own.logs(allocation, "main"))):
        with pytest.raises(Unavailable, match="nomad at 127"):
            await asked
    server.start()
    async with asyncio.timeout(LIMIT):
        assert (await own.settle("sleeper")).allocations[0].id == allocation


async def test_a_job_is_watched_and_events_come_on_after_the_server_was_away(own: Nomad, own_cluster: Cluster) -> None:
    await begun(own)
    async with asyncio.timeout(LIMIT), aclosing(own.watch("sleeper")) as seen, aclosing(own.events(["Job"])) as events:
        before = await anext(seen)
        first = await anext(events)
        own_cluster.agents["nomad-server"].restart()
        await _until_answered(own)
        await own.scale("sleeper", "web", 2, "")
        async for status in seen:
            if status.groups[0].count == 2:
                break
        assert status.index > before.index
        last = first.index
        async for event in events:
            assert event.index >= last, "an event came again"
            last = event.index
            if event.payload["Job"]["TaskGroups"][0]["Count"] == 2:
                break
    assert own.measures()["stream_reconnects_total"] > 0


async def test_events_come_on_from_a_server_that_was_set_up_anew(own: Nomad, own_cluster: Cluster) -> None:
    server = own_cluster.agents["nomad-server"]
    async with asyncio.timeout(LIMIT), aclosing(own.events(["Job"])) as events:
        for number in range(20):
            await own.register(await own.parse(job(f"empty-{number}"), {"count": 0}))
        async for last in events:
            if last.key == "empty-19":
                break
        server.kill()
        shutil.rmtree(server.folder)
        server.folder.mkdir()
        await asyncio.to_thread(server.start)
        await _until_answered(own)
        await own.register(await own.parse(job("another")))
        async for event in events:
            if event.key == "another":
                break
    assert event.index < last.index


async def test_whoever_watches_hears_of_the_end(own: Nomad) -> None:
    await begun(own)
    async with aclosing(own.watch("sleeper")) as seen, aclosing(own.events()) as events:
        await anext(seen)
        waiting = asyncio.ensure_future(anext(seen))
        async for _ in events:
            break
        await asyncio.sleep(0)
        await own.close()
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        with pytest.raises((Unavailable, StopAsyncIteration)):
            while True:
                await anext(events)


async def test_allocations_outlive_the_agents_that_began_them(own: Nomad, own_cluster: Cluster) -> None:
    allocation = await begun(own)
    own_cluster.agents["nomad-client"].kill()
    own_cluster.agents["consul"].kill()
    own_cluster.agents["consul"].start()
    own_cluster.agents["nomad-client"].start()
    own_cluster.wait()
    async with asyncio.timeout(LIMIT):
        status = await own.settle("sleeper")
    assert [(each.id, each.tasks[0].restarts) for each in status.allocations] == [(allocation, 0)]


async def test_a_drained_node_gives_its_work_up_and_takes_it_when_it_is_eligible_again(own: Nomad) -> None:
    before = await begun(own)
    (node,) = await own.nodes()
    await own.drain(node.id, deadline=1)
    async with asyncio.timeout(LIMIT), aclosing(own.watch("sleeper")) as seen:
        async for status in seen:
            if not any(each.runs for each in status.allocations) and status.waiting:
                break
    assert status.waiting == ("web: no node is eligible",)
    await own.set_eligible(node.id, eligible=True)
    async with asyncio.timeout(LIMIT):
        after = await own.settle("sleeper")
    assert [each.id for each in after.allocations if each.runs] != [before]
    await own.set_eligible(node.id, eligible=False)
    assert [each.eligible for each in await own.nodes()] == [False]


async def test_another_server_is_asked_when_the_first_cannot_be_reached(own_cluster: Cluster) -> None:
    nomad = Nomad(Server.parse(f"nomad://127.0.0.1:1,127.0.0.1:{own_cluster.port}"))
    at_once = await asyncio.gather(*(nomad.nodes() for _ in range(12)), return_exceptions=True)
    assert [found for found in at_once if isinstance(found, BaseException)] == []
    failed = nomad.measures()["call_failures_total"]
    await nomad.ping()
    assert nomad.measures()["call_failures_total"] == failed > 0
    await nomad.close()


async def test_whoever_cannot_prove_who_it_is_gets_nothing(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response([] if "leader" not in request.path else "127.0.0.1:4647")

    async with Serving(answer, certificate) as port:
        url = f"nomad+tls://127.0.0.1:{port}"
        doubting = Nomad(Server.parse(url))
        for call in (doubting.nodes(), doubting.ping()):
            with pytest.raises(Unavailable):
                await call
        await doubting.close()
        assert asked == []
        trusting = Nomad(Server.parse(url, trust=Trust(ca=str(certificate))))
        assert await trusting.nodes() == []
        await trusting.ping()
        await trusting.close()
        assert asked == ["/v1/nodes", "/v1/status/leader"]


async def _until_answered(nomad: Nomad) -> None:
    while True:
        try:
            return await nomad.ping()
        except Unavailable:
            await asyncio.sleep(0.1)


class Serving:
    """A server with TLS that answers every request alike."""

    def __init__(self, answer: Callable[[web.Request], object], certificate: Path) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)  # type: ignore[arg-type]
        self._runner = web.AppRunner(application)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)

    async def __aenter__(self) -> int:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def _certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody but itself vouches for, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
