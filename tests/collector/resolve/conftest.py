import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import uvloop

from services.collector.resolve import Resolver, dispatch
from services.kernel.egress import Egress, Guard
from tests.collector.resolve.nameserver import Behave, Nameserver


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


Serve = Callable[[Behave], Awaitable[Nameserver]]
Resolve = Callable[..., Resolver]


@pytest.fixture
async def nameserver() -> AsyncIterator[Serve]:
    servers: list[Nameserver] = []

    async def start(behave: Behave) -> Nameserver:
        servers.append(Nameserver(behave))
        await servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late, or was refused, is noticed soon."""
    monkeypatch.setattr(dispatch, "TICK", 0.01)
    monkeypatch.setattr(dispatch, "REFUSED_TIMEOUT", 0.01)


@pytest.fixture
async def resolver() -> AsyncIterator[Resolve]:
    """A resolver over the given name servers."""
    resolvers: list[Resolver] = []

    def over(*servers: Nameserver | tuple[str, int], timeouts: Sequence[float] = (1.5, 2.5, 4.0)) -> Resolver:
        upstreams = [each.upstream if isinstance(each, Nameserver) else each for each in servers]
        resolvers.append(Resolver(Egress(Guard()), upstreams, timeouts=timeouts))
        return resolvers[-1]

    yield over
    for each in resolvers:
        await each.close()
