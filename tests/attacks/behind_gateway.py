"""The gateway before all services over HTTP, as in a fleet, in a process that needs no server: a hull for attacks.

The services run on a data folder, and a gateway that finds them in a directory asks them by principals.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from services.catalogue import load_embedded
from services.contracts.endpoints import OFFER_FIRST_ACCOUNT
from services.gateway.api import public
from services.gateway.service import service as gateway
from services.kernel.app import create_app, identify_principal, serve_hosts
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import LocalCalls, Nothing, operator
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.http_limits import Limits
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.live import Live
from services.kernel.messages import EVERYWHERE
from services.kernel.observe import configure_logs
from services.kernel.principals import (
    Signer,
    Verifier,
    private_key,
    read_public_keys,
    write_private_key,
    write_public_key,
)
from services.kernel.runtime import Runtime
from services.kernel.service import Ports, load
from services.kernel.settings import read_settings
from services.kernel.trail import open_trail
from tests.kernel.keys import seed_of

ENDING = (signal.SIGINT, signal.SIGTERM)


async def serve(folder: Path) -> None:
    """Serve until a signal; the address and the code of the first account are said as `mirage up` says them."""
    key = write_private_key("gateway", seed_of("gateway"))
    settings = replace(read_settings({"data": str(folder)}, {}), signing_keys=(key,))
    peers = read_public_keys(write_public_key(name, seed_of(name)) for name in ("gateway", "operator"))
    ended = asyncio.Event()
    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(Runtime(load_embedded(), settings, others=(gateway,)))
        names = [service.name for service in runtime.services]
        answered = [endpoint for service in runtime.services for endpoint in service.answers]
        inside, outside = open_listener("127.0.0.1:0"), open_listener("127.0.0.1:0")
        place = f"127.0.0.1:{inside.getsockname()[1]}"
        app = create_app(
            runtime.calls,
            answered,
            hosts=serve_hosts(place),
            identify=identify_principal(Verifier(names, peers)),
            ready=runtime.ready,
            instances=frozenset((name, f"{name}-1") for name in names),
        )
        directory = LocalDirectory()
        for name in names:
            await directory.register(Instance(name, f"{name}-1", place, {}))
        calls = HttpCalls(LocalCalls(), directory, Signer({"gateway": private_key(seed_of("gateway"))}))
        stack.push_async_callback(calls.close)
        ports = Ports("gateway", settings=settings, calls=calls)
        for name in gateway.needs:
            setattr(ports, name, {"bus": runtime.bus, "directory": directory, "cache": MemoryCache()}[name])
        open_trail(gateway, ports)
        tasks = [ports.trail.run, *(partial(task, ports) for task in load(gateway.tasks))]
        if gateway.live is not None:
            ports.live = Live("gateway", gateway.live, settings.log)
            tasks.append(partial(ports.live.follow, runtime.ports["configuration"].values, logs=False))
        door = public(ports)
        for server in (HttpServer(app, inside), HttpServer(door, outside, Limits())):
            server.begin()
            stack.push_async_callback(server.close, 1.0)
        for task in tasks:
            stack.callback(asyncio.create_task(task()).cancel)
        offered = await runtime.calls.ask(OFFER_FIRST_ACCOUNT, Nothing(), operator(EVERYWHERE))
        said = f"Mirage is up: http://localhost:{outside.getsockname()[1]}/api/docs"
        sys.stderr.write(f"{said}\n\nIts code: {offered.code}\n")
        sys.stderr.flush()
        await ended.wait()


if __name__ == "__main__":
    configure_logs("debug")
    import uvloop

    uvloop.run(serve(Path(sys.argv[1])))
