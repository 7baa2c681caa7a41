"""How soon another process knows that an instance is there, has left, has died or hangs, on a Consul of its own.

The bare limit registers and deregisters by plain HTTP while a thread waits in a plain blocking query.
"""

import asyncio
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.kernel.directory import Instance
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.server import Server
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.processes import ROOT
from tests.bench.serving import serving

#: Comings and goings a run.
TIMES = 20

#: Prints when a list was seen, on the clock that all processes share, and how many are on it.
WATCHER = """
import asyncio, sys, time
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.server import Server

async def main():
    async for found in ConsulDirectory(Server.parse(sys.argv[1])).watch(sys.argv[2]):
        print(time.monotonic(), len(found), flush=True)

asyncio.run(main())
"""

#: A service that is well as long as it runs.
SERVICE = """
import asyncio, sys
from services.kernel.directory import Instance
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.server import Server

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await ConsulDirectory(Server.parse(sys.argv[1])).register(Instance(sys.argv[2], "dying", address, {}))
    await server.serve_forever()

asyncio.run(main())
"""


class Watching:
    """Another process that watches a service."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def sees(self, count: int) -> float:
        """Wait until it sees so many instances; return when it did."""
        assert self._process.stdout is not None
        while True:
            at, seen = self._process.stdout.readline().split()
            if int(seen) == count:
                return float(at)


@contextmanager
def process(script: str, url: str, service: str) -> Iterator["subprocess.Popen[str]"]:
    running = subprocess.Popen(
        [sys.executable, "-c", script, url, service],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def orderly(url: str, service: str) -> tuple[list[float], list[float]]:
    """Milliseconds from the call to the other process's list, for coming and leaving."""
    came, left = [], []
    directory = ConsulDirectory(Server.parse(url))
    with process(WATCHER, url, service) as running:
        watching = Watching(running)
        await asyncio.to_thread(watching.sees, 0)
        for number in range(TIMES):
            known = Instance(service, f"{number}", "127.0.0.1:1", {})
            begun = time.monotonic()
            await directory.register(known)
            came.append(1000 * (await asyncio.to_thread(watching.sees, 1) - begun))
            begun = time.monotonic()
            await directory.deregister(service, known.id)
            left.append(1000 * (await asyncio.to_thread(watching.sees, 0) - begun))
    await directory.close()
    return came, left


def dying(url: str, service: str, number: signal.Signals) -> float:
    """Seconds from the signal until another process does not see the instance any more."""
    with process(WATCHER, url, service) as watcher, process(SERVICE, url, service) as running:
        watching = Watching(watcher)
        watching.sees(1)
        # Anywhere between two checks.
        time.sleep(random.uniform(5, 10))
        begun = time.monotonic()
        running.send_signal(number)
        return watching.sees(0) - begun


def bare(port: int, service: str) -> tuple[list[float], list[float]]:
    """Milliseconds from a plain request to the answer of a plain blocking query in another thread."""
    came, left = [], []
    asking = http.client.HTTPConnection("127.0.0.1", port)
    changing = http.client.HTTPConnection("127.0.0.1", port)

    def ask(index: int) -> int:
        asking.request("GET", f"/v1/health/service/{service}?index={index}&wait=30s&stale=")
        answer = asking.getresponse()
        answer.read()
        return int(answer.headers["X-Consul-Index"])

    def change(path: str, body: str = "") -> float:
        changed: list[float] = []
        index = ask(0)
        waiting = threading.Thread(target=lambda: (ask(index), changed.append(time.monotonic())))
        waiting.start()
        time.sleep(0.01)
        begun = time.monotonic()
        changing.request("PUT", path, body)
        changing.getresponse().read()
        waiting.join()
        return 1000 * (changed[0] - begun)

    for number in range(TIMES):
        known = json.dumps({"Name": service, "ID": f"{service}-{number}", "Address": "127.0.0.1", "Port": 1})
        came.append(change("/v1/agent/service/register", known))
        left.append(change(f"/v1/agent/service/deregister/{service}-{number}"))
    asking.close()
    changing.close()
    return came, left


def measure(options: Options) -> list[Figure]:
    came, left, bare_came, bare_left, dead, hanging = [], [], [], [], [], []
    with serving("consul") as running:
        for run in range(options.runs):
            for into, found in zip((came, left), asyncio.run(orderly(running.url, f"orderly-{run}")), strict=True):
                into.append(middle(found))
            for into, found in zip((bare_came, bare_left), bare(running.port, f"bare-{run}"), strict=True):
                into.append(middle(found))
            dead.append(dying(running.url, f"dead-{run}", signal.SIGKILL))
            hanging.append(dying(running.url, f"hanging-{run}", signal.SIGSTOP))
    return [
        Figure(what="registered to seen", value=middle(came), unit="ms", bare=middle(bare_came), spread=span(came)),
        Figure(
            what="left in order to gone", value=middle(left), unit="ms", bar=100, at_most=True,
            bare=middle(bare_left), spread=span(left),
        ),
        Figure(what="killed (-9) to gone", value=max(dead), unit="s", bar=15, at_most=True, spread=span(dead)),
        Figure(what="hanging to gone", value=max(hanging), unit="s", bar=15, at_most=True, spread=span(hanging)),
    ]  # fmt: skip


BENCH = Bench(
    "directory",
    "An instance that dies is out of every directory within 15 s, and within 100 ms when it leaves in order.",
    measure,
)
