"""What a report costs: a technical report of 50 pages as PDF, beside bare typst setting as many pages of tables, and a
report of a scan with 5,000 findings.
"""

import asyncio
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pypdf
from msgspec.structs import replace

from services.reporting.usecases.rendering import read_document
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.services.reporting.press import Press

PAGES, BAR = 50, 5.0
#: Findings of which a technical report has 50 pages, or a few more.
FINDINGS = 165
MANY = 5_000
#: As many cells as a page of findings has, in the same fonts.
BARE = """#set page(paper: "a4")
#let rows = json(bytes(sys.inputs.data))
#for page in range(rows.pages) {
  for card in range(3) {
    heading([#rows.title #page.#card])
    table(columns: (1fr, 1fr, 1fr, 1fr), ..range(16).map(place => [#rows.cell #page.#card.#place]))
  }
  pagebreak()
}
"""
BARE_RUN = """import sys, tempfile, typst
from pathlib import Path
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "bare.typ"
    file.write_text(sys.argv[1])
    fonts = typst.Fonts(include_system_fonts=False)
    sys.stdout.buffer.write(typst.compile(file, root=Path(folder), font_paths=fonts, ignore_system_fonts=True,
        format="pdf", sys_inputs={"data": sys.argv[2]}))
"""


def run(options: Options) -> list[Figure]:
    return asyncio.run(measure(options))


async def measure(options: Options) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        press = await Press(Path(folder), FINDINGS).open()
        report = await press.make("technical")
        pdf, took = await timed(lambda: press.read(report, "pdf"), options.runs)
        pages = len(pypdf.PdfReader(io.BytesIO(pdf)).pages)
        assert pages >= PAGES, pages
        html, html_took = await timed(lambda: press.read(report, "html"), options.runs)
        bare = bare_seconds(pages, options.runs)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        await press.close()
    many, grown, told = await make_many()
    return [
        Figure(
            what=f"PDF of {pages} pages, {len(pdf) / 1e6:.1f} MB", value=middle(took), unit="s", bar=BAR, at_most=True,
            bare=middle(bare), spread=span(took), beside=f"peak of typst {peak:.0f} MB, in a process of its own",
        ),
        Figure(what="the same as HTML", value=middle(html_took), unit="s", spread=span(html_took),
               beside=f"{len(html) / 1e6:.1f} MB"),
        Figure(what=f"made of {MANY:,} findings", value=many, unit="s",
               beside=f"{told} told; the process grew by {grown:.0f} MB"),
    ]  # fmt: skip


async def timed(work: Callable[[], Awaitable[bytes]], runs: int) -> tuple[bytes, list[float]]:
    took, made = [], b""
    for _ in range(runs):
        began = time.perf_counter()
        made = await work()
        took.append(time.perf_counter() - began)
    return made, took


def bare_seconds(pages: int, runs: int) -> list[float]:
    """What typst alone takes for as many pages, from the start of its process."""
    data = json.dumps({"pages": pages, "title": "A finding", "cell": "www.example.org resolves to 192.0.2.1"})
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", BARE_RUN, BARE, data], check=True, capture_output=True)
        took.append(time.perf_counter() - began)
        assert len(pypdf.PdfReader(io.BytesIO(done.stdout)).pages) >= pages
    return took


async def make_many() -> tuple[float, float, int]:
    """Seconds, megabytes and findings told of a technical report of a scan with thousands."""
    with tempfile.TemporaryDirectory() as folder:
        press = await Press(Path(folder), 20).open()
        views: list[Any] = press.views
        first = views[0]
        views += [replace(first, finding=replace(first.finding, id=UUID(int=n))) for n in range(20, MANY)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        report = await press.make("technical")
        took = time.perf_counter() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        told = len(read_document(await press.read(report, "json")).findings)
        await press.close()
    return took, grown, told


BENCH = Bench("reports", "A PDF of 50 pages in 5 s, beside bare typst with as many pages.", run)
