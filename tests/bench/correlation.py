"""How long it takes to judge a scan by the rules that come with Mirage, whole and after a change, and to find a path.

The world is one of hosts, each with an address shared by three, a service, a certificate, a page and a record of the
DNS, all with what collectors say of them; a fact is an existence, a value or a relation. One host in twenty has
something that a rule finds. Judging reads the graph in SQLite, matches, and writes findings; the bare limit reads the
same graph and does nothing with it. Paths are looked for between hosts in a graph of a million relations.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation
from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidBy, SaidValue
from services.correlation.store import graph as graphs
from services.correlation.store.graph import GraphWorld
from services.correlation.store.shipped import shipped_rules
from services.kernel.graph import Edge, Node
from services.kernel.graph.sqlite import SqliteGraph
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.services.correlation.observatory import BEGAN, DAY, SCAN, WORKSPACE, Observatory, observatory

SMALL, LARGE, CHANGED = 50_000, 1_000_000, 1_000
EDGES, HOSTS, PATHS = 1_000_000, 250_000, 200
Facts = EntityFacts | RelationFacts

SAID = (SaidBy("dns_records", 2, BEGAN, 100, b"s" * 16, (b"e" * 32,)),)


def place(about: Entity, **values: object) -> EntityFacts:
    return EntityFacts(
        entity=about,
        role="in_scope",
        distance=0,
        first_seen=BEGAN,
        last_seen=BEGAN,
        said=SAID,
        attributes=tuple(SaidValue(name, value, SAID) for name, value in values.items()),
    )


def tie(made: Relation) -> RelationFacts:
    return RelationFacts(type=made.type, source=made.source, target=made.target, qualifiers=made.qualifiers, said=SAID)


def hosts(first: int, count: int) -> Iterator[list[Facts]]:
    """What is said of one host after the other."""
    domain = entities.domain("example.org")
    for number in range(first, first + count):
        odd = number % 20 == 0
        host = entities.hostname(f"h{number}.example.org")
        at = f"198.{18 + number // 3 // 65536 % 2}.{number // 3 // 256 % 256}.{number // 3 % 256}"
        address, service = entities.ip_address(at), entities.service(at, "tcp", "5432" if odd else "443")
        certificate = entities.certificate(f"{number:064x}")
        page = entities.url(f"https://h{number}.example.org/")
        record = entities.dns_record(f"h{number}.example.org", "TXT", f"v={number}")
        yield [
            place(host, resolution="resolved"),
            place(address, country="DE", network_name="NET"),
            place(service, state="open", tls=True, protocol="https"),
            place(
                certificate,
                subject=f"CN=h{number}.example.org",
                issuer="CN=R3",
                not_before=BEGAN - 30 * DAY,
                not_after=BEGAN + (-1 if odd else 60) * DAY,
                key_algorithm="RSA",
                key_size=2048,
            ),
            place(page, title="Welcome", http_status=200, server="nginx/1.26.1", login_form=False),
            place(record),
            tie(relations.resolves_to(host, address)),
            tie(relations.part_of(host, domain)),
            tie(relations.exposes(address, service)),
            tie(relations.serves(service, page)),
            tie(relations.presents(service, certificate)),
            tie(relations.covers_name(certificate, host)),
            tie(relations.has_record(host, record)),
        ]


#: Facts of one host: 6 existences, 17 values and 7 relations.
FACTS_OF_HOST = 30


async def fill(watch: Observatory, facts: int) -> None:
    """Put a world of so many facts into the graph and the book."""
    space = graphs.space_of(WORKSPACE, SCAN)
    batch: list[Facts] = [place(entities.domain("example.org"), registrar="R")]
    for said in hosts(0, facts // FACTS_OF_HOST):
        batch += said
        if len(batch) > 5_000:
            await put(watch, space, batch)
            batch = []
    await put(watch, space, batch)


async def put(watch: Observatory, space: object, batch: list[Facts]) -> None:
    places = [each for each in batch if isinstance(each, EntityFacts)]
    ties = [each for each in batch if isinstance(each, RelationFacts)]
    await graphs.put_facts(watch.graph, space, places, ties)  # type: ignore[arg-type]


async def judge_whole(watch: Observatory) -> float:
    """Seconds until all of a scan was judged."""
    async with watch.sql.begin() as tx:
        await tx.execute("UPDATE scan SET work = 2, wishes = wishes + 1, due = 0")
    started = time.perf_counter()
    await watch.work()
    return time.perf_counter() - started


async def read_whole(watch: Observatory) -> float:
    """Seconds to read all places once, and all ties once."""
    world = GraphWorld(watch.graph, graphs.space_of(WORKSPACE, SCAN))
    started = time.perf_counter()
    async for places in world.of_types(list(ENTITY_TYPES)):
        async for _ in world.ties([each.id for each in places], (), "out"):
            pass
    return time.perf_counter() - started


async def change(watch: Observatory, first: int) -> float:
    """Seconds until a thousand new facts are in the graph and judged."""
    for said in hosts(first, CHANGED // FACTS_OF_HOST):
        for each in said:
            watch.book().put(each)
    started = time.perf_counter()
    await watch.catch_up()
    return time.perf_counter() - started


async def judged(facts: int, runs: int) -> tuple[list[float], float, list[float], int]:
    with tempfile.TemporaryDirectory() as folder:
        async with observatory(Path(folder)) as watch:
            await watch.start()
            await fill(watch, facts)
            whole = [await judge_whole(watch) for _ in range(runs)]
            bare = await read_whole(watch)
            first = facts // FACTS_OF_HOST
            some = [await change(watch, first + turn * CHANGED) for turn in range(max(runs, 3))]
            async with watch.sql.read() as view:
                row = await view.fetch_one("SELECT COUNT(*) FROM occurrence")
            return whole, bare, some, row[0] if row else 0


async def paths(runs: int) -> list[float]:
    """Milliseconds that each of many paths took."""
    source = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        graph = SqliteGraph(Path(folder) / "graph.db")
        await graphs.declare(graph)
        ids = [n.to_bytes(16, "big") for n in range(HOSTS)]
        for start in range(0, HOSTS, 5_000):
            await graph.put_nodes(WORKSPACE, [Node(each, "hostname", {}) for each in ids[start : start + 5_000]])
        for start in range(0, EDGES, 5_000):
            made = [
                Edge("alias_of", ids[source.randrange(HOSTS)], ids[source.randrange(HOSTS)], n.to_bytes(16, "big"))
                for n in range(start, start + 5_000)
            ]
            await graph.put_edges(WORKSPACE, made)
        took = []
        for _ in range(PATHS * runs // 5 + 20):
            begin = source.choice(ids)
            end = begin
            for _ in range(4):
                near = await graph.neighbours(WORKSPACE, [end], limit=50)
                edge = source.choice(near.edges)
                end = edge.target if edge.source == end else edge.source
            started = time.perf_counter()
            await graph.paths(WORKSPACE, begin, end, max_hops=6, limit=5)
            took.append(1000 * (time.perf_counter() - started))
        await graph.close()
        return took


def run(options: Options) -> list[Figure]:
    rules = len(shipped_rules())
    figures = []
    for facts, bar, runs in ((SMALL, 2.0, options.runs), (LARGE, 60.0, 1)):
        whole, bare, some, found = uvloop.run(judged(facts, runs))
        figures.append(
            Figure(
                what=f"{rules} rules over {facts:,} facts",
                value=middle(whole),
                unit="s",
                bar=bar,
                at_most=True,
                bare=bare,
                spread=span(whole),
                beside=f"{found:,} findings",
            )
        )
        figures.append(
            Figure(
                what=f"{CHANGED:,} new facts in a graph of {facts:,}",
                value=middle(some),
                unit="s",
                bar=1.0 if facts == LARGE else None,
                at_most=True,
                spread=span(some),
            )
        )
    took = sorted(uvloop.run(paths(options.runs)))
    figures.append(
        Figure(
            what=f"shortest paths among {EDGES:,} relations, p95",
            value=took[int(len(took) * 0.95)],
            unit="ms",
            bar=50.0,
            at_most=True,
            beside=f"median {middle(took):.1f} ms",
        )
    )
    return figures


BENCH = Bench(
    "correlation",
    "40 rules over 50,000 facts in 2 s, over 1,000,000 in 60 s; 1,000 more facts in 1 s; a path in 50 ms (p95).",
    run,
)
