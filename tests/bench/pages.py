"""Pages fetched, parsed and kept: module `web` on every host of a lab that serves pages.

A page is a front page that was read with status 200; with it come its icon, its scripts and the other scheme, which
are counted as answers. First the collector by itself, from a batch of work to the results in its outbox, on one core
and the lab on the other; then the same as a scan of a list of names, from its start to its end, with claims stored. The
bare limit asks for the same front pages over TLS, sixteen at once, on asyncio's streams, and does nothing with them:
most of it is handshakes.
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
from typing import TypeVar

import msgspec

from tests.bench import machine
from tests.bench.collecting import Brought
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.laboratory import Laboratory, laboratory
from tests.bench.processes import ROOT, pinned
from tests.bench.scanning import scan

HOSTS, BAR, AT_ONCE = 1_500, 300, 16
T = TypeVar("T")


def run(options: Options) -> list[Figure]:
    own, _ = machine.two_cores()
    alone: list[Brought] = []
    whole: list[Brought] = []
    limits: list[float] = []
    with laboratory(hosts=HOSTS, seed=options.seeds[0]) as lab:
        names = [host["name"] for host in lab.truth["names"] if host["web"] and host["resolves"]]
        for _ in range(options.runs):
            limits.append(apart(("tests.bench.pages",), fronts(lab), lab, own, float))
            alone.append(collect(lab, names, own))
            whole.append(read(lab, names))
    return [
        figure("collector alone", alone, limits, BAR),
        Figure(
            what="collector alone: answers",
            value=middle([each.answers / each.seconds for each in alone]),
            unit="answers/s",
            beside="pages, icons, scripts, redirects",
        ),
        figure("as a scan, claims stored", whole, limits),
    ]


def figure(what: str, runs: Sequence[Brought], limits: Sequence[float], bar: float | None = None) -> Figure:
    rates = [each.pages / each.seconds for each in runs]
    cpu = middle([each.cpu / each.pages for each in runs]) * 1e3
    return Figure(
        what=what,
        value=middle(rates),
        unit="pages/s",
        bar=bar,
        bare=middle(limits),
        spread=span(rates),
        beside=f"{runs[-1].pages} pages; cpu {cpu:.1f} ms for a page and what comes with it",
    )


def collect(lab: Laboratory, names: Sequence[str], core: int) -> Brought:
    with tempfile.TemporaryDirectory(prefix="bench-data-") as folder:
        asked = {"names": names, "resolver": lab.resolver}
        return apart(("tests.bench.collecting", folder), asked, lab, core, Brought)


def read(lab: Laboratory, names: Sequence[str]) -> Brought:
    with tempfile.TemporaryDirectory() as name:
        targets = Path(name) / "targets.txt"
        targets.write_text("\n".join(names) + "\n")
        arguments = (str(targets), "--module", "web", "--profile", "deep", "--authorised", "benchmark")
        with scan(lab, *arguments) as scanned:
            (web,) = (source for source in scanned.scan["sources"] if source["module"] == "web")
            pages = sum(map(is_page, map(json.loads, scanned.export("jsonl").splitlines())))
            return Brought(pages, web["requests"], scanned.seconds, scanned.used.cpu)


def is_page(line: dict[str, object]) -> bool:
    attributes = line.get("attributes")
    return line.get("type") == "url" and isinstance(attributes, dict) and 200 in attributes.get("http_status", ())


def apart(module: Sequence[str], asked: object, lab: Laboratory, core: int, kind: type[T]) -> T:
    """What a module of this folder prints, run in a process of its own on one core."""
    done = subprocess.run(
        pinned([sys.executable, "-m", *module], core),
        cwd=ROOT,
        env={**os.environ, **lab.environment},
        input=json.dumps(asked).encode(),
        check=True,
        stdout=subprocess.PIPE,
    )
    return msgspec.json.decode(done.stdout, type=kind)


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


BENCH = Bench("pages", "Pages fetched, parsed, evidence kept: ≥ 300/s.", run)

if __name__ == "__main__":
    main()
