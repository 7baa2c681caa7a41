"""GEXF and GraphML: networkx reads back every node and edge, with what is said of them."""

import io
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import pytest

from services.contracts import entities
from services.contracts.resources.storage import Facts
from services.reporting.domain.exports.graphs import Gexf, Graph, GraphMl
from tests.services.reporting.worlds import (
    ABOUT,
    every_entity,
    every_relation,
    everything,
    facts,
    led,
    network,
    said,
    written,
)

WWW = entities.hostname("www.example.org")
ADDRESS = entities.ip_address("192.0.2.1")


def read_gexf(text: bytes) -> Any:
    return nx.read_gexf(io.BytesIO(text), version="1.3")


def read_graphml(text: bytes) -> Any:
    return nx.read_graphml(io.BytesIO(text))


Read = Callable[[bytes], Any]
FORMATS = pytest.mark.parametrize(
    ("form", "read"), [(Gexf, read_gexf), (GraphMl, read_graphml)], ids=["gexf", "graphml"]
)


def told(graph: Any) -> Any:
    """Edges with their keys, which in GraphML are their ids."""
    return graph.edges(keys=True, data=True)


@FORMATS
def test_every_entity_is_a_node_and_every_relation_an_edge(form: type[Graph], read: Read) -> None:
    graph = read(written(form(ABOUT, TemporaryFile), everything()))
    assert set(graph) == {each.id.hex() for each in every_entity()}
    edges = {(source, target, data["type"], data.get("id", key)) for source, target, key, data in told(graph)}
    assert edges == {
        (each.source.id.hex(), each.target.id.hex(), each.type, each.id.hex()) for each in every_relation()
    }
    assert {data["label"] for _, data in graph.nodes(data=True)} == {each.value for each in every_entity()}


@FORMATS
def test_nodes_and_edges_have_what_is_said_of_them(form: type[Graph], read: Read) -> None:
    host = facts(WWW, role="target", distance=0, said=(said("web", confidence=60), said("crtsh", confidence=90)))
    relation = led("resolves_to", WWW, ADDRESS, qualifiers={"record": "A"}, said=(said("dns_records"),))
    graph = read(written(form(ABOUT, TemporaryFile), [Facts(entities=(host,)), Facts(relations=(relation,))]))
    node = graph.nodes[WWW.id.hex()]
    assert {name: node[name] for name in ("type", "role", "distance", "confidence", "modules")} == {
        "type": "hostname", "role": "target", "distance": 0, "confidence": 90, "modules": "crtsh@1 web@1",
    }  # fmt: skip
    assert (node["first_seen"], node["last_seen"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:25.000Z")
    assert node["evidence"] == host.said[0].evidence[0].hex()
    edge = graph.edges[WWW.id.hex(), ADDRESS.id.hex()]
    assert (edge["type"], edge["qualifiers"], edge["modules"]) == ("resolves_to", "record=A", "dns_records@1")
    assert edge["evidence"] == relation.said[0].evidence[0].hex()
    assert graph.nodes[ADDRESS.id.hex()]["label"] == "192.0.2.1", "what only a relation names is a node as well"


@FORMATS
def test_there_are_as_many_nodes_and_edges_as_things(form: type[Graph], read: Read) -> None:
    graph = read(written(form(ABOUT, TemporaryFile), network(700)))
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (1 + 3 * 700, 3 * 700)


def test_gephi_moves_through_the_days_on_which_a_thing_was_seen() -> None:
    (root,) = [ET.fromstring(written(Gexf(ABOUT, TemporaryFile), [Facts(entities=(facts(WWW),))]))]
    space = {"g": "http://gexf.net/1.3"}
    graph = root.find("g:graph", space)
    assert graph is not None
    assert (graph.get("mode"), graph.get("timeformat")) == ("dynamic", "date")
    node = graph.find("g:nodes/g:node", space)
    assert node is not None
    assert (node.get("start"), node.get("end")) == ("2023-11-14", "2023-11-14")


def test_relations_of_several_types_between_the_same_ends_stay_apart_for_gephi() -> None:
    other = entities.hostname("other.example.org")
    relations = tuple(led(kind, WWW, other) for kind in ("uses_nameserver", "uses_mailserver"))
    text = written(Gexf(ABOUT, TemporaryFile), [Facts(entities=(facts(WWW),), relations=relations)])
    kinds = {each.get("kind") for each in ET.fromstring(text).iter("{http://gexf.net/1.3}edge")}
    assert kinds == {"uses_nameserver", "uses_mailserver"}
