"""Graphs to lay out, and what others are asked for by visualization, answered from lists."""

import random
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import numpy as np

from services.contracts import endpoints as e
from services.contracts.resources.correlation import (
    FindingPage,
    FindingRow,
    GraphEdge,
    GraphNode,
    GraphPiece,
    GraphQuery,
    JudgedOf,
    Named,
)
from services.contracts.resources.storage import Facts, FactsQuery, Stored
from services.contracts.resources.visualization import LayoutHead, LayoutPiece, LayoutQuery
from services.kernel.cache import Cache
from services.kernel.calls import Caller, LocalCalls, operator
from services.kernel.errors import NotFound
from services.kernel.service import Ports
from services.visualization.api import DOORS
from services.visualization.domain.gathered import Gathering, Graph
from services.visualization.domain.network import Network, network
from services.visualization.service import service

WORKSPACE = UUID(int=7)
SCAN = UUID(int=11)
CALLER = operator(WORKSPACE)


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def node(number: int, type: str = "hostname", *, role: str = "in_scope", value: str = "") -> GraphNode:
    return GraphNode(name(number), type, value or f"h{number}.example.org", role, 1_790_000_000_000_000 + number, 100)


def edge(source: int, target: int, type: str = "resolves_to") -> GraphEdge:
    return GraphEdge(name(source << 32 | target), type, name(source), name(target), 0, 100)


def gathered(nodes: Iterable[GraphNode], edges: Iterable[GraphEdge]) -> Graph:
    gathering = Gathering()
    gathering.add(nodes, edges)
    return gathering.gathered()


def company(hosts: int, seed: int = 1) -> tuple[list[GraphNode], list[GraphEdge]]:
    """A domain, its hosts, few addresses that they share, and what only one host has: records and certificates."""
    chance = random.Random(seed)
    nodes, edges = [node(1, "domain", role="target", value="example.org")], []
    addresses = range(2, 2 + max(2, hosts // 12))
    nodes += [node(each, "ip_address", role="affiliate", value=f"192.0.2.{each}") for each in addresses]
    number = addresses[-1] + 1
    for _ in range(hosts):
        host, number = number, number + 1
        nodes.append(node(host))
        edges += [edge(host, 1, "part_of"), edge(host, chance.choice(addresses))]
        for kind, relation in (("dns_record", "has_record"), ("certificate", "presents")):
            for _ in range(chance.choice((0, 0, 1, 2))):
                nodes.append(node(number, kind))
                edges.append(edge(host, number, relation))
                number += 1
    return nodes, edges


def hub(leaves: int, kinds: int = 1) -> tuple[list[GraphNode], list[GraphEdge]]:
    """One node with leaves of so many types, and another beside it."""
    nodes = [node(1, "domain", role="target"), node(2)]
    nodes += [node(3 + each, f"kind{each % kinds}") for each in range(leaves)]
    return nodes, [edge(1, 2), *(edge(1, 3 + each) for each in range(leaves))]


def random_network(size: int, edges: int, seed: int) -> Network:
    chance = np.random.default_rng(seed)
    return network(size, chance.integers(0, size, edges), chance.integers(0, size, edges))


def finding(number: int, category: str, severity: Any, at: int = 1_790_000_000_000_000) -> FindingRow:
    return FindingRow(
        id=UUID(int=number),
        scan=SCAN,
        rule="open_database",
        rule_version=1,
        category=category,
        severity=severity,
        confidence=90,
        title="A database is open",
        status="new",
        entities=(Named(name(number).hex(), "service", "192.0.2.1:5432/tcp"),),
        first_found=at,
        last_found=at,
    )


class World:
    """What correlation and storage would say of a scan, in whatever workspace; it counts how often it is asked."""

    def __init__(self, cache: Cache) -> None:
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self.facts: list[Facts] = []
        self.findings: list[FindingRow] = []
        self.changes, self.waiting = 0, 1
        self.read: list[Any] = []
        self.calls = LocalCalls({"visualization": service.asks})
        self.ports = Ports("visualization", calls=self.calls, cache=cache)
        self.calls.serve(self, {e.READ_GRAPH: read_graph, e.READ_FACTS: read_facts})
        self.calls.serve(self, {e.GET_STORED: get_stored, e.GET_JUDGED: get_judged, e.LIST_FINDINGS: list_findings})
        self.calls.serve(self.ports, DOORS)

    def has(self, graph: tuple[Sequence[GraphNode], Sequence[GraphEdge]]) -> None:
        self.nodes, self.edges = list(graph[0]), list(graph[1])


async def read_graph(world: World, caller: Caller, question: GraphQuery) -> AsyncGenerator[GraphPiece, None]:
    world.read.append(question)
    if question.scan != SCAN:
        raise NotFound("there is no such scan")
    for start in range(0, max(len(world.nodes), len(world.edges)), 300):
        yield GraphPiece(nodes=tuple(world.nodes[start : start + 300]), edges=tuple(world.edges[start : start + 300]))


async def read_facts(world: World, caller: Caller, question: FactsQuery) -> AsyncGenerator[Facts, None]:
    world.read.append(question)
    for facts in world.facts:
        yield facts


async def get_stored(world: World, caller: Caller, question: Any) -> Stored:
    return Stored(scan=SCAN, results=1, admissions=1, entities={}, claims=1, changes=world.changes)


async def get_judged(world: World, caller: Caller, question: Any) -> JudgedOf:
    if question.scan != SCAN:
        raise NotFound("there is no such scan")
    return JudgedOf(scan=SCAN, changes=world.changes, waiting=world.waiting, findings=0)


async def list_findings(world: World, caller: Caller, question: Any) -> FindingPage:
    world.read.append(question)
    start = int(question.cursor or 0)
    after = start + question.limit
    return FindingPage(
        findings=tuple(world.findings[start:after]),
        counts={},
        judged=True,
        cursor=str(after) if after < len(world.findings) else None,
    )


async def pieces(world: World, caller: Caller = CALLER, **asked: object) -> list[LayoutPiece]:
    """A layout, as a page gets it."""
    question = LayoutQuery(scan=SCAN, **asked)  # type: ignore[arg-type]
    async with aclosing(world.calls.follow(e.LAY_OUT, question, caller)) as parts:
        return [part async for part in parts]


def head(parts: list[LayoutPiece]) -> LayoutHead:
    """What the first piece, and no other, says of all of them."""
    assert parts[0].head is not None
    assert all(part.head is None for part in parts[1:])
    return parts[0].head
