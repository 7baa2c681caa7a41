"""What the gateway adds to a question beside a bare proxy, at a given rate; and what those cost who watch a stream.

Questions come when they are due, whether those before them were answered or not, and each is timed from when it was
due: one that had to wait is as slow as whoever asked found it.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from services.cli.credentials import Token
from services.cli.remote import RemoteCalls
from services.contracts.endpoints import (
    CREATE_ACCOUNT,
    CREATE_FIRST_ACCOUNT,
    CREATE_SCAN,
    INVITE,
    PAUSE_SCAN,
    WATCH_SCAN,
)
from services.contracts.resources import FirstAccount, NewAccount, NewInvitation, NewScan, ScanId
from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from services.kernel.tuning import tune_process
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.bench.gateway_processes import SAY, WATCH, Place, running
from tests.bench.processes import ROOT

RATE: Final = 300
#: Seconds for which one is asked before the other one is, and how often each is in one run.
BLOCK: Final = 1.0
BLOCKS: Final = 10
VIEWERS: Final = 1000
#: Seconds for which they watch, until all is kept of a stream that may be, and of patience with them to be there.
WATCHING: Final = 10.0
PATIENCE: Final = 120.0
CALLER: Final = operator(workspace_id("default"))


class Asking:
    """Asks one address at a rate."""

    def __init__(self, session: aiohttp.ClientSession, place: Place) -> None:
        self._session = session
        self._url = f"http://{place.address}/api{SAY.path}"
        self._headers = bearer(place.tokens[0]) if place.tokens else {}
        self._pid = place.pid
        #: Milliseconds that each answer took, and those of the processor for all of them.
        self.taken: list[float] = []
        self.worked = 0.0

    async def block(self) -> None:
        """Ask for `BLOCK` seconds, and until all was answered."""
        worked = processor(self._pid)
        begin, asked = time.perf_counter(), list[asyncio.Task[None]]()
        for number in range(int(RATE * BLOCK)):
            due = begin + number / RATE
            while (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            asked.append(asyncio.create_task(self._ask(due)))
        await asyncio.gather(*asked)
        self.worked += processor(self._pid) - worked

    async def _ask(self, due: float) -> None:
        async with self._session.get(self._url, headers=self._headers) as answer:
            await answer.read()
            assert answer.status == 200
        self.taken.append((time.perf_counter() - due) * 1000)

    def at(self, part: float) -> float:
        """Milliseconds within which that part was answered."""
        return sorted(self.taken)[int(len(self.taken) * part)]


async def asked(gateway: Place, bare: Place) -> tuple[Asking, Asking]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        ways = (Asking(session, gateway), Asking(session, bare))
        for each in ways:  # connections, tokens, principals
            await each.block()
            each.taken.clear()
            each.worked = 0.0
        for _ in range(BLOCKS):
            for each in ways:
                await each.block()
    return ways


def processor(pid: int) -> float:
    """Milliseconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


# --- those who watch ---


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def watched(pid: int, urls: Sequence[str], tokens: Sequence[str]) -> tuple[float, float]:
    """MB of a process before anybody watches, and while all do who ask these, by turns by each token."""
    before = resident(pid)
    async with watching(urls, tokens):
        await asyncio.sleep(WATCHING)
        return before, resident(pid)


@asynccontextmanager
async def watching(urls: Sequence[str], tokens: Sequence[str]) -> AsyncIterator[None]:
    """While this is open a viewer of each is there, who has seen something."""
    there = asyncio.Semaphore(0)
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def view(url: str, token: str) -> None:
            async with session.get(url, headers=bearer(token)) as answer:
                assert answer.status == 200, await answer.text()
                await answer.content.readany()
                there.release()
                while await answer.content.readany():
                    pass

        viewers = list[asyncio.Task[None]]()
        try:
            async with asyncio.timeout(PATIENCE):
                for first in range(0, len(urls), 50):
                    numbered = enumerate(urls[first : first + 50])
                    some = [asyncio.create_task(view(url, tokens[number % len(tokens)])) for number, url in numbered]
                    viewers += some
                    for _ in some:
                        await there.acquire()
            yield
            assert not any(each.done() for each in viewers)
        finally:
            for each in viewers:
                each.cancel()
            await asyncio.gather(*viewers, return_exceptions=True)


def resident(pid: int) -> float:
    """Resident MB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


@contextmanager
def up() -> Iterator[tuple[str, str, int]]:
    """`mirage up` in a new data folder: where it is, the code for its first account, and its process."""
    with tempfile.TemporaryDirectory(prefix="bench-up-") as folder:
        command = [sys.executable, "-m", "services", "up", "--data", folder, "--listen", "127.0.0.1:0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        url = code = ""
        try:
            while not (url and code):
                if not (line := process.stderr.readline()):
                    raise Unable("mirage up does not begin")
                url = line.partition("http")[2].partition("/api")[0] if "is up" in line else url
                code = next((word for word in line.split() if word.startswith("mirage_one_")), code)
            yield f"http{url}", code, process.pid
        finally:
            process.terminate()
            process.wait(30)
            process.stderr.close()


async def watched_up(url: str, code: str, pid: int) -> tuple[float, float]:
    outside = RemoteCalls(url, Token(""))
    account = FirstAccount(code=code, email="jo@example.org", name="Jo", password="a-password-of-a-benchmark")
    session = await outside.ask(CREATE_FIRST_ACCOUNT, account, CALLER)
    await outside.close()
    outside = RemoteCalls(url, Token(session.access))
    scan = await outside.ask(CREATE_SCAN, NewScan(targets=("example.invalid",), modules=("crtsh",)), CALLER)
    await outside.ask(PAUSE_SCAN, ScanId(scan.id), CALLER)
    tokens = [session.access]
    for number in range(3):  # one account alone takes not all of the connections
        invited = await outside.ask(INVITE, NewInvitation(f"{number}@example.org", "viewer"), CALLER)
        made = NewAccount(code=invited.code, name="Mo", password="a-password-of-a-benchmark")
        tokens.append((await outside.ask(CREATE_ACCOUNT, made, CALLER)).access)
    await outside.close()
    return await watched(pid, [f"{url}/api{WATCH_SCAN.path.format(scan=scan.id)}"] * VIEWERS, tokens)


def run(options: Options) -> list[Figure]:
    tune_process()
    found: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    with running("service") as service, running("bare", service.address) as bare:
        with running("gateway", service.address) as gateway:
            for _ in range(options.runs):
                through, beside = uvloop.run(asked(gateway, bare))
                note(p50=through.at(0.5), p99=through.at(0.99), bare50=beside.at(0.5), bare99=beside.at(0.99))
                note(added=through.at(0.5) - beside.at(0.5))
                note(cpu=through.worked / len(through.taken), bare_cpu=beside.worked / len(beside.taken))
        shared = WATCH.path.format(name="one")
        each_own = [WATCH.path.format(name=str(number)) for number in range(VIEWERS)]
        for name, paths in (("one", [shared] * VIEWERS), ("each", each_own)):
            with running("gateway", service.address) as gateway:
                urls = [f"http://{gateway.address}/api{path}" for path in paths]
                before, beside_them = uvloop.run(watched(gateway.pid, urls, gateway.tokens))
            note(**{name: beside_them, f"{name}_before": before})
    with up() as (url, code, pid):
        before, beside_them = uvloop.run(watched_up(url, code, pid))
        note(up=beside_them, up_before=before)
    return figures({name: middle(values) for name, values in found.items()}, found)


def figures(middles: dict[str, float], found: dict[str, list[float]]) -> list[Figure]:
    spans = {name: span(values) for name, values in found.items()}
    at = f"at {RATE} questions a second"
    return [
        Figure(
            what=f"added to a question {at}, p50", value=middles["added"], unit="ms", bar=0.7, at_most=True,
            spread=spans["added"],
            beside=f"processor: {middles['cpu']:.2f} ms of the gateway, {middles['bare_cpu']:.2f} ms of the bare proxy",
        ),
        Figure(
            what=f"a question {at}, p50", value=middles["p50"], unit="ms", bare=middles["bare50"], spread=spans["p50"],
        ),
        Figure(
            what=f"a question {at}, p99", value=middles["p99"], unit="ms", bar=2 * middles["bare99"], at_most=True,
            bare=middles["bare99"], spread=spans["p99"],
        ),
        *(
            Figure(
                what=f"{VIEWERS} viewers of {what}", value=middles[name], unit="MB", bar=300, at_most=True,
                bare=middles[f"{name}_before"], beside="bare: without them",
            )
            for name, what in (
                ("one", "one stream, the gateway"),
                ("each", "a stream each, the gateway"),
                ("up", "one scan, mirage up"),
            )
        ),
    ]  # fmt: skip


BENCH = Bench(
    name="gateway",
    bar="at 300 requests/s p50 + ≤ 0.7 ms and p99 ≤ 2 × a bare proxy; 1,000 viewers of streams on one process ≤ 300 MB",
    run=run,
)
