"""How fast the `search` port is on Elasticsearch beside its library alone.

Bare puts are the same documents, made before, as ``_bulk`` of the library; bare questions are the same ``_msearch``.
"""

import time
import uuid
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec
import uvloop
from elasticsearch import AsyncElasticsearch

from services.kernel.search import Indexed, elastic_index
from services.kernel.search.elastic import ElasticsearchSearch
from services.kernel.search.elastic_index import Question
from services.kernel.search.words import terms
from services.kernel.server import Server
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.serving import serving

WORKSPACE = uuid.uuid4()
BATCH, BATCHES = 500, 40
STORED = 100_000
ASKED = 30
WORDS = ("mail", "www", "api", "dev", "vpn", "stage", "cdn", "shop", "git", "db", "auth", "eu", "us", "asia", "node")
#: One word of all documents, part of a word of all, and what one of them alone has.
QUESTIONS = (("a common word", "example"), ("a common part of a word", "xampl"), ("a rare word", "mail 4711"))

Timed = Callable[[], Awaitable[float]]


def documents(start: int, count: int, seed: int = 1) -> list[Indexed]:
    """Names of hosts, as most of what is searched are."""
    source = Random(seed + start)
    return [
        Indexed(
            number.to_bytes(8, "big"),
            f"{source.choice(WORDS)}-{number}.{source.choice(WORDS)}.{source.choice(WORDS)}.example.org",
            {"type": "hostname"},
        )
        for number in range(start, start + count)
    ]


def bare_operations(found: list[Indexed]) -> list[Any]:
    """Documents as the library takes them."""
    pieces = elastic_index.put_pieces(WORKSPACE, found)
    return [msgspec.json.decode(line) for piece in pieces for both in piece for line in both.split(b"\n")]


async def puts(server: Server, client: AsyncElasticsearch, runs: int) -> Figure:
    search = ElasticsearchSearch(server)
    batches = [documents(number * BATCH, BATCH) for number in range(BATCHES)]
    bare_batches = [bare_operations(batch) for batch in batches]
    figures, limits = [], []
    for run in range(runs + 1):  # the first warms the server up
        for through_port, found in ((True, figures), (False, limits)):
            index = f"run{run}_{'port' if through_port else 'bare'}"
            await search.declare(index, ["type"])
            started = time.perf_counter()
            if through_port:
                for batch in batches:
                    await search.put(WORKSPACE, index, batch)
            else:
                for operations in bare_batches:
                    answer = await client.bulk(index=f"{server.path}-{index}", operations=operations)
                    assert not answer["errors"]
            found.append(BATCH * BATCHES / (time.perf_counter() - started))
    await search.close()
    return Figure(
        what=f"put, {BATCH} documents a batch",
        value=middle(figures[1:]),
        unit="documents/s",
        bar=5_000,
        bare=middle(limits[1:]),
        spread=span(figures[1:]),
    )


async def finds(server: Server, client: AsyncElasticsearch, runs: int) -> list[Figure]:
    search = ElasticsearchSearch(server)
    await search.declare("stored", ["type"])
    for start in range(0, STORED, BATCH):
        await search.put(WORKSPACE, "stored", documents(start, BATCH))
    await search.refresh("stored")
    figures = []
    for what, text in QUESTIONS:
        question = Question(WORKSPACE, terms(text), {}, ("type",), 50, None)
        asked: Any = elastic_index.searches(f"{server.path}-stored", question)

        async def find(text: str = text) -> float:
            started = time.perf_counter()
            await search.find(WORKSPACE, "stored", text, facets=("type",))
            return 1000 * (time.perf_counter() - started)

        async def bare(asked: Any = asked) -> float:
            started = time.perf_counter()
            await client.msearch(searches=asked)
            return 1000 * (time.perf_counter() - started)

        found, limits = await by_turns(find, bare, runs * ASKED)
        figures.append(
            Figure(
                what=f"find {what} in {STORED:,} documents",
                value=middle(found),
                unit="ms",
                bare=middle(limits),
                spread=span(found),
            )
        )
    await search.close()
    return figures


async def by_turns(one: Timed, other: Timed, times: int) -> tuple[list[float], list[float]]:
    for _ in range(ASKED):  # the server learns what it is asked
        await one()
        await other()
    both = [(await one(), await other()) for _ in range(times)]
    return [first for first, _ in both], [second for _, second in both]


async def measure(options: Options) -> list[Figure]:
    with serving("elasticsearch") as running:
        server = Server.parse(f"{running.url}/bench")
        async with AsyncElasticsearch(f"http://127.0.0.1:{running.port}") as client:
            return [await puts(server, client, options.runs), *await finds(server, client, options.runs)]


BENCH = Bench("search", "≥ 5,000 documents/s into Elasticsearch.", lambda options: uvloop.run(measure(options)))
