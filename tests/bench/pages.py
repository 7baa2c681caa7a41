"""Pages fetched, parsed and kept: module `web` on every host of a lab that serves pages, as a scan of a list of names.

The scan runs on one core and the lab on the other. A page is a front page that was read, by the ``http_status`` it has
in the export; with it come the icon, scripts, and the other scheme, which are counted as answers. Time is from the
scan's start to its end, as it says itself. The bare limit asks for the same front pages over TLS, sixteen at once, on
bare asyncio streams, and does nothing with them: most of it is the TLS handshakes.
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.bench import machine
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.laboratory import Laboratory, laboratory
from tests.bench.processes import ROOT, pinned
from tests.bench.scanning import scan

HOSTS, BAR, AT_ONCE = 1_500, 300, 16


class Read(Struct, frozen=True):
    pages: int
    answers: int
    seconds: float
    cpu: float


def run(options: Options) -> list[Figure]:
    own, _ = machine.two_cores()
    runs, limits = [], []
    with laboratory(hosts=HOSTS, seed=options.seeds[0]) as lab, tempfile.TemporaryDirectory() as name:
        targets = Path(name) / "targets.txt"
        names = [host["name"] for host in lab.truth["names"] if host["web"] and host["resolves"]]
        targets.write_text("\n".join(names) + "\n")
        for _ in range(options.runs):
            limits.append(bare(lab, own))
            runs.append(read(lab, targets, own))
    rates = [each.pages / each.seconds for each in runs]
    answers = middle([each.answers / each.seconds for each in runs])
    cpu = middle([each.cpu / each.pages for each in runs]) * 1e3
    beside = f"{runs[-1].pages} pages, {answers:,.0f} answers/s, cpu {cpu:.1f} ms a page and what came with it"
    rate = Figure(
        what="pages fetched, parsed, kept",
        value=middle(rates),
        unit="pages/s",
        bar=BAR,
        bare=middle(limits),
        spread=span(rates),
        beside=beside,
    )
    return [rate]


def read(lab: Laboratory, targets: Path, core: int) -> Read:
    arguments = (str(targets), "--module", "web", "--profile", "deep", "--authorised", "benchmark")
    with scan(lab, *arguments, core=core) as scanned:
        (web,) = (source for source in scanned.scan["sources"] if source["module"] == "web")
        pages = sum(map(is_page, map(json.loads, scanned.export("jsonl").splitlines())))
        return Read(pages, web["requests"], scanned.seconds, scanned.used.cpu)


def is_page(line: dict[str, object]) -> bool:
    attributes = line.get("attributes")
    return line.get("type") == "url" and isinstance(attributes, dict) and 200 in attributes.get("http_status", ())


def bare(lab: Laboratory, core: int) -> float:
    """Pages a second without Mirage, in a process of its own."""
    command = pinned([sys.executable, "-m", "tests.bench.pages"], core)
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **lab.environment}, input=json.dumps(fronts(lab)).encode(), check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return float(done.stdout)


def fronts(lab: Laboratory) -> list[tuple[str, str, int]]:
    """Each name with the loopback address and port where it is served over TLS."""
    table = json.loads(Path(lab.environment["MIRAGE_DIAL_TABLE"]).read_bytes())
    secure = {
        entry["network"].partition("/")[0]: (entry["address"], entry["to_port"])
        for entry in table["entries"]
        if entry["transport"] == "tcp" and entry["port"] == 443
    }
    return [
        (host["name"], *secure[host["addresses"][0]])
        for host in lab.truth["names"]
        if host["web"] and host["addresses"] and host["addresses"][0] in secure
    ]


async def fetch_all(fronts: Iterable[tuple[str, str, int]]) -> int:
    """Fetch every front page; return how many answered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    waiting = iter(list(fronts))
    return sum(await asyncio.gather(*(fetch_some(waiting, context) for _ in range(AT_ONCE))))


async def fetch_some(waiting: Iterable[tuple[str, str, int]], context: ssl.SSLContext) -> int:
    answered = 0
    for name, address, port in waiting:
        try:
            reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        except OSError:
            continue
        writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answered += bool(await reader.read())
        writer.close()
    return answered


def main() -> None:
    import uvloop

    asked: Sequence[tuple[str, str, int]] = json.load(sys.stdin)
    started = time.perf_counter()
    answered = uvloop.run(fetch_all(asked))
    print(answered / (time.perf_counter() - started))


BENCH: Final = Bench("pages", "Pages fetched, parsed, evidence kept: ≥ 300/s.", run)

if __name__ == "__main__":
    main()
