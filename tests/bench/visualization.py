"""Layouts and series: 10,000 nodes laid out in two seconds, from the pieces of the graph to those of the answer.

The bare limit is rustworkx's spring layout of the same graph, as many iterations as force takes on the whole of it. The
graph is that of an organisation: hosts with few addresses between them, records and certificates of their own. How good
a layout is: the share of pairs of edges that cross, and of the nodes nearest to one that are its neighbours.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import rustworkx

from services.contracts.claims import Entity
from services.contracts.resources.storage import EntityFacts, Facts
from services.contracts.resources.visualization import LayoutName
from services.visualization.domain.gathered import Gathering, Graph
from services.visualization.domain.layouts.force import LAST, force
from services.visualization.domain.network import Network, adjacency
from services.visualization.domain.picture import Wanted, pictured
from services.visualization.domain.series import TypesCounted
from services.visualization.domain.timeline import EntitiesTimed
from services.visualization.usecases.making import Making
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.services.visualization.worlds import company, edge, gathered, node

#: Hosts of which about as many nodes come as are named.
HOSTS = {1_000: 440, 10_000: 4_450, 100_000: 44_500}
ROWS = 1_000_000
EDGES = 1_000_000


def go_on() -> None:
    """Nobody is gone."""


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def of(size: int) -> tuple[list, list]:
    nodes, edges = company(HOSTS[size])
    kept = {each.id for each in nodes[:size]}
    return nodes[:size], [each for each in edges if each.source in kept and each.target in kept]


def spring(graph: Network, steps: int) -> np.ndarray:
    bare = rustworkx.PyGraph()
    bare.add_nodes_from(range(graph.size))
    bare.add_edges_from_no_data(list(zip(graph.source.tolist(), graph.target.tolist(), strict=True)))
    places = rustworkx.spring_layout(bare, num_iter=steps, seed=1)
    return np.array([places[number] for number in range(graph.size)])


def quality(graph: Network, at: np.ndarray) -> str:
    chance = np.random.default_rng(1)
    one, other = chance.integers(0, len(graph.source), (2, 200_000))
    ends = [at[graph.source[one]], at[graph.target[one]], at[graph.source[other]], at[graph.target[other]]]

    def side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
        along, to = end - start, point - start
        return along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]

    first, second, third, fourth = ends
    cross = (side(first, second, third) * side(first, second, fourth) < 0) & (
        side(third, fourth, first) * side(third, fourth, second) < 0
    )
    around, shares = adjacency(graph), []
    for number in range(0, graph.size, max(1, graph.size // 300)):
        own = around.neighbour[around.start[number] : around.start[number + 1]]
        apart = ((at - at[number]) ** 2).sum(axis=1)
        apart[number] = np.inf
        shares.append(np.isin(np.argsort(apart)[: len(own)], own).mean() if len(own) else 1.0)
    return f"{cross.mean():.2%} cross, {np.mean(shares):.0%} of the nearest are neighbours"


def layouts(options: Options) -> list[Figure]:
    figures = []
    nodes, edges = of(10_000)
    graph = gathered(nodes, edges).network
    springs: list[np.ndarray] = []
    bare = timed(lambda: springs.append(spring(graph, LAST)))
    told = f"force: {quality(graph, force(graph, go_on))}; spring: {quality(graph, springs[0])}"
    names: tuple[LayoutName, ...] = ("force", "layered", "radial")
    for size, layout in [(10_000, name) for name in names] + [(1_000, "force"), (100_000, "force")]:
        nodes, edges = of(size)
        wanted = Wanted(layout=layout, limit=size)
        first = size == 10_000 and layout == "force"
        taken, busy = [], []
        for _ in range(options.runs):
            began = time.process_time()
            taken.append(timed(lambda each=(nodes, edges, wanted): pictured(gathered(*each[:2]), each[2], "", go_on)))
            busy.append(time.process_time() - began)
        figures.append(
            Figure(
                what=f"{layout}, {size:,} nodes, {len(edges):,} edges",
                value=middle(taken),
                unit="s",
                bar=2 if size == 10_000 else None,
                at_most=True,
                bare=bare if first else None,
                spread=span(taken),
                beside=f"cpu {middle(busy):.2f} s" + (f"; {told}" if first else ""),
            )
        )
    return figures


async def pauses(work: Callable[[], object]) -> float:
    """The longest time that the event loop had to wait while the work was done beside it."""
    longest, over = 0.0, False

    async def look() -> None:
        nonlocal longest
        while not over:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - started)

    looking = asyncio.create_task(look())
    await Making().beside(lambda _: work())
    over = True
    await looking
    return longest


def beside() -> list[Figure]:
    whole = gathered(*of(100_000))
    wanted = Wanted(layout="force", limit=2_000)
    waited = asyncio.run(pauses(lambda: pictured(whole, wanted, "", go_on)))
    return [Figure(what="longest wait of the event loop, 100,000 nodes as 2,000", value=waited * 1_000, unit="ms")]


def reduction(options: Options) -> list[Figure]:
    """A graph of random edges, half of which lead to few nodes: read in pieces, reduced, laid out."""
    chance = np.random.default_rng(1)
    ends = (
        np.stack([(chance.random(EDGES) ** 3 * EDGES / 2).astype(int), chance.integers(0, EDGES // 2, EDGES)], axis=1)
        + 1
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gathering = Gathering()
    started = time.perf_counter()
    for begin in range(0, EDGES, 1_000):
        nodes = [node(number + 1) for number in range(begin // 2, begin // 2 + 500)]
        gathering.add(nodes, [edge(*pair) for pair in ends[begin : begin + 1_000].tolist()])
    read = time.perf_counter() - started
    made: list[Graph] = []
    gathered_in = timed(lambda: made.append(gathering.gathered()))
    began = time.process_time()
    taken = timed(lambda: pictured(made[0], Wanted(layout="force", limit=2_000), "", go_on))
    busy = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = f"cpu {busy:.1f} s; reading {read:.1f} s, most of it the making of the pieces; numbering {gathered_in:.1f} s"
    return [
        Figure(what=f"{EDGES:,} edges as 2,000 nodes, laid out", value=taken, unit="s", beside=told),
        Figure(what="memory for that", value=(most - before) / 1_024, unit="MB", at_most=True),
    ]


def series(options: Options) -> list[Figure]:
    kinds = ("hostname", "ip_address", "certificate", "dns_record", "url")
    pieces = [
        Facts(
            entities=tuple(
                EntityFacts(
                    entity=Entity(kinds[number % 5], (f"h{number}",)),
                    role="in_scope",
                    distance=0,
                    first_seen=1_760_000_000_000_000 + number * 30_000_000,
                    last_seen=0,
                )
                for number in range(start, start + 1_000)
            )
        )
        for start in range(0, ROWS, 1_000)
    ]

    def count(counting: TypesCounted | EntitiesTimed) -> None:
        for piece in pieces:
            counting.add(piece)
        counting.made()

    def bare() -> None:
        counts: Counter[str] = Counter()
        for piece in pieces:
            counts.update([each.entity.type for each in piece.entities])

    limit = middle([timed(bare) for _ in range(options.runs)])
    figures = []
    for what, counting in (("by type and role", TypesCounted), ("over time", EntitiesTimed)):
        taken = [timed(lambda each=counting: count(each())) for _ in range(options.runs)]
        figures.append(
            Figure(what=f"{ROWS:,} entities {what}", value=middle(taken), unit="s", bare=limit, spread=span(taken))
        )
    return figures


def measure(options: Options) -> list[Figure]:
    return [*reduction(options), *layouts(options), *beside(), *series(options)]


BENCH = Bench("visualization", "First layout of 10,000 nodes ≤ 2 s.", measure)
