"""How many look-ups the resolver makes beside bare datagrams.

Starts NSD on loopback with a zone of 20,000 names, on the last core; this process keeps to the first. Of 100,000
look-ups a fifth are for names that do not exist. Evidence on: every 1,000 answers are encoded as a transcript, hashed
and written to a file. The bare limit sends the same queries ready-made on one uvloop transport and only counts what
comes back.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from socket import SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET, socket
from typing import cast

import uvloop

from services.collector.item.dns import CHUNK, CHUNKS_AHEAD
from services.collector.resolve import Answer, Resolver
from services.collector.resolve.transcript import encode
from services.collector.resolve.wire import build_query, build_question
from services.kernel.egress import Egress, Guard
from tests.bench import machine
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span

NAMES, ABSENT, REPEATS, WINDOW, BAR = 20_000, 5_000, 4, 64, 25_000
MANY = 1_000_000
ZONE = "bench.example"
CONFIGURATION = """
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdir: "{folder}"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  logfile: "{folder}/nsd.log"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: {zone}.zone
"""

Rates = tuple[float, float]
"""Look-ups a second, and a second of processor time."""


def free_port() -> int:
    with socket(type=SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nsd(folder: Path, port: int, core: int) -> Iterator[None]:
    records = [f"$ORIGIN {ZONE}.", "$TTL 300", "@ SOA ns root 1 3600 600 86400 300", "@ NS ns", "ns A 192.0.2.1"]
    records += [f"h{number} A 198.18.{number >> 8 & 255}.{number & 255}" for number in range(NAMES)]
    (folder / f"{ZONE}.zone").write_text("\n".join(records) + "\n")
    configuration = folder / "nsd.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, zone=ZONE))
    command = ["taskset", "-c", str(core), shutil.which("nsd") or "/usr/sbin/nsd", "-d", "-c", str(configuration)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


async def until_ready(resolver: Resolver) -> None:
    async with asyncio.timeout(20):
        while (await resolver.ask(f"h1.{ZONE}", "A")).status != "found":
            await asyncio.sleep(0.1)


class Bare(asyncio.DatagramProtocol):
    """Keeps a window of ready-made queries out until all are answered."""

    def __init__(self, queries: list[bytes], done: asyncio.Future[None]) -> None:
        self.queries = iter(queries)
        self.left = len(queries)
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.send = cast("asyncio.DatagramTransport", transport).sendto  # uvloop's transports are no subclass
        for _ in range(WINDOW):
            self.send(next(self.queries))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.left -= 1
        query = next(self.queries, None)
        if query is not None:
            self.send(query)
        elif not self.left:
            self.done.set_result(None)


async def bare(port: int, queries: list[bytes]) -> Rates:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    clock, cpu = time.perf_counter(), time.process_time()
    transport, _ = await loop.create_datagram_endpoint(lambda: Bare(queries, done), sock=connected(port))
    async with asyncio.timeout(60):
        await done
    rates = len(queries) / (time.perf_counter() - clock), len(queries) / (time.process_time() - cpu)
    transport.close()
    await asyncio.sleep(0)
    return rates


def connected(port: int) -> socket:
    client = socket(type=SOCK_DGRAM)
    client.setsockopt(SOL_SOCKET, SO_RCVBUF, 1 << 21)
    client.setblocking(False)
    client.connect(("127.0.0.1", port))
    return client


async def ask(resolver: Resolver, pairs: Iterable[tuple[str, str]]) -> AsyncIterator[list[Answer]]:
    """Chunks of answers as they are complete, with as many under way as a sweep has."""
    coming, asked = iter(pairs), set[asyncio.Task[list[Answer]]]()
    while True:
        while len(asked) < CHUNKS_AHEAD and (chunk := list(islice(coming, CHUNK))):
            asked.add(asyncio.create_task(resolver.ask_all(chunk)))
        if not asked:
            return
        done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            yield task.result()


async def look_up(resolver: Resolver, pairs: list[tuple[str, str]], evidence: Path | None) -> Rates:
    answered = 0
    clock, cpu = time.perf_counter(), time.process_time()
    async for answers in ask(resolver, pairs):
        answered += sum(answer.asked for answer in answers)
        if evidence:
            transcript = encode(answers)
            (evidence / sha256(transcript).hexdigest()).write_bytes(transcript)
    rates = answered / (time.perf_counter() - clock), answered / (time.process_time() - cpu)
    if answered != len(pairs):
        raise RuntimeError(f"only {answered} of {len(pairs)} look-ups were answered")
    return rates


async def stream(resolver: Resolver) -> Figure:
    """A million names: what matters is that memory does not grow with them."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, answered = time.perf_counter(), 0
    names = ((f"h{number}.{ZONE}", "A") for number in range(MANY))
    async for answers in ask(resolver, names):
        answered += sum(answer.asked for answer in answers)
    rate = answered / (time.perf_counter() - clock)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return Figure(what=f"{MANY:,} names streamed", value=rate, unit="look-ups/s", beside=f"memory +{grown:.0f} MB")


def figure(what: str, runs: list[Rates], limits: list[Rates]) -> Figure:
    clocks, cpus = zip(*runs, strict=True)
    bare_clocks, bare_cpus = zip(*limits, strict=True)
    return Figure(
        what=what,
        value=middle(clocks),
        unit="look-ups/s",
        bar=BAR,
        bare=middle(bare_clocks),
        spread=span(clocks),
        beside=f"by second of cpu {middle(cpus):,.0f}, bare {middle(bare_cpus):,.0f}",
    )


async def measure(port: int, folder: Path, runs: int) -> list[Figure]:
    resolver = Resolver(Egress(Guard()), [("127.0.0.1", port)])
    await until_ready(resolver)
    pairs = [(f"h{number}.{ZONE}", "A") for number in range(NAMES + ABSENT)] * REPEATS
    queries = [build_query(at & 0xFFFF, build_question(*pair)) for at, pair in enumerate(pairs)]
    limits, without, with_evidence = [], [], []
    for _ in range(runs):
        limits.append(await bare(port, queries))
        without.append(await look_up(resolver, pairs, None))
        with_evidence.append(await look_up(resolver, pairs, folder))
    figures = [
        figure("answered look-ups, evidence off", without, limits),
        figure("answered look-ups, evidence on", with_evidence, limits),
    ]
    del pairs, queries
    figures.append(await stream(resolver))
    await resolver.close()
    return figures


def run(options: Options) -> list[Figure]:
    missing = [tool for tool in ("nsd", "taskset") if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        raise Unable(f"{' and '.join(missing)} not installed")
    own, other = machine.two_cores()
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        with nsd(Path(name), port, other):
            os.sched_setaffinity(0, {own})
            return uvloop.run(measure(port, Path(name), options.runs))


BENCH = Bench("resolver", "≥ 25,000 answered look-ups/s on one core against NSD, evidence on and off.", run)
