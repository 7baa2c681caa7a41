"""A scan as a graph for Gephi, networkx and others: GEXF 1.3 (https://gexf.net) and GraphML (graphdrawing.org).

Both are written as they come: nodes at once, edges into a file of their own that follows, since readers want to know
of nodes first. Ids are those of entities and relations.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Final

from services.contracts.claims import Entity
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts
from services.reporting.domain.exports.export import About, Export, all_said, evidence_of, modules_of
from services.reporting.domain.exports.texts import in_xml
from services.reporting.domain.exports.times import stamp
from services.reporting.domain.exports.waiting import Ends, Scratch, Spool

#: What nodes and edges say of themselves, and as what.
NODE: Final = {
    "type": "string", "role": "string", "distance": "integer", "confidence": "integer", "first_seen": "string",
    "last_seen": "string", "modules": "string", "evidence": "string",
}  # fmt: skip
EDGE: Final = {
    "type": "string", "confidence": "integer", "first_seen": "string", "last_seen": "string", "qualifiers": "string",
    "modules": "string", "evidence": "string",
}  # fmt: skip
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

Said = Mapping[str, str | int]


class Graph(Export):
    """What both have in common: an entity is a node, a relation an edge."""

    def __init__(self, about: About, scratch: Scratch) -> None:
        self._about = about
        self._ends = Ends(scratch)
        self._edges = Spool(scratch)

    def add(self, facts: Facts) -> Iterator[bytes]:
        nodes = [self._node_of(each) for each in facts.entities]
        self._edges.write([self._edge_of(each).encode() for each in facts.relations])
        yield "".join(nodes).encode()

    def end(self) -> Iterator[bytes]:
        for entities in self._ends.unwritten():
            yield "".join([self._node(entity, {"type": entity.type}) for entity in entities]).encode()
        yield self._between().encode()
        yield from self._edges.read()
        yield self._tail().encode()

    def close(self) -> None:
        self._ends.close()
        self._edges.close()

    @abstractmethod
    def _node(self, entity: Entity, said: Said) -> str: ...

    @abstractmethod
    def _edge(self, facts: RelationFacts, said: Said) -> str: ...

    @abstractmethod
    def _between(self) -> str:
        """What is between nodes and edges."""

    @abstractmethod
    def _tail(self) -> str: ...

    def _node_of(self, facts: EntityFacts) -> str:
        self._ends.write(facts.entity)
        said = all_said(facts)
        told: dict[str, str | int] = {"type": facts.entity.type}
        if facts.role is not None:
            told["role"] = facts.role
        if facts.distance is not None:
            told["distance"] = facts.distance
        if said:
            told["confidence"] = max(each.confidence for each in said)
        told |= {"first_seen": stamp(facts.first_seen), "last_seen": stamp(facts.last_seen)}
        if said:
            told |= {"modules": " ".join(modules_of(said)), "evidence": " ".join(evidence_of(said))}
        return self._node(facts.entity, told)

    def _edge_of(self, facts: RelationFacts) -> str:
        self._ends.name(facts.source)
        self._ends.name(facts.target)
        told: dict[str, str | int] = {"type": facts.type}
        if facts.said:
            times = [each.at for each in facts.said]
            told["confidence"] = max(each.confidence for each in facts.said)
            told |= {"first_seen": stamp(min(times)), "last_seen": stamp(max(times))}
        if facts.qualifiers:
            told["qualifiers"] = " ".join(f"{name}={value}" for name, value in sorted(facts.qualifiers.items()))
        if facts.said:
            told |= {"modules": " ".join(modules_of(facts.said)), "evidence": " ".join(evidence_of(facts.said))}
        return self._edge(facts, told)


class Gexf(Graph):
    """``start`` and ``end`` are the days on which a thing was seen first and last: Gephi moves through them."""

    def begin(self) -> Iterator[bytes]:
        day = stamp(self._about.at)[:10]
        yield (
            f'{_HEAD}<gexf xmlns="http://gexf.net/1.3" version="1.3">\n<meta lastmodifieddate="{day}">'
            f"<creator>Mirage</creator><description>Scan {self._about.scan}</description></meta>\n"
            '<graph defaultedgetype="directed" mode="dynamic" timeformat="date">\n'
            f"{_gexf_attributes('node', NODE)}{_gexf_attributes('edge', EDGE)}<nodes>\n"
        ).encode()

    def _node(self, entity: Entity, said: Said) -> str:
        label = in_xml(entity.value)
        return f'<node id="{entity.id.hex()}" label="{label}"{_days(said)}>{_attvalues(said, NODE)}</node>\n'

    def _edge(self, facts: RelationFacts, said: Said) -> str:
        # Edges of one kind between the same nodes are one for Gephi.
        ends = f'source="{facts.source.id.hex()}" target="{facts.target.id.hex()}"'
        kind = in_xml(facts.type)
        return (
            f'<edge id="{facts.id.hex()}" {ends} kind="{kind}" label="{kind}"{_days(said)}>'
            f"{_attvalues(said, EDGE)}</edge>\n"
        )

    def _between(self) -> str:
        return "</nodes>\n<edges>\n"

    def _tail(self) -> str:
        return "</edges>\n</graph>\n</gexf>\n"


class GraphMl(Graph):
    """``label`` is what Gephi and yEd show."""

    def begin(self) -> Iterator[bytes]:
        keys = "".join(
            f'<key id="{kind[0]}_{name}" for="{kind}" attr.name="{name}" attr.type="{_GRAPHML.get(form, form)}"/>\n'
            for kind, names in (("node", {"label": "string", **NODE}), ("edge", {"label": "string", **EDGE}))
            for name, form in names.items()
        )
        yield (
            f'{_HEAD}<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="'
            "http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd"
            f'">\n{keys}<graph id="scan_{self._about.scan}" edgedefault="directed">\n'
        ).encode()

    def _node(self, entity: Entity, said: Said) -> str:
        return f'<node id="{entity.id.hex()}">{_data("n", {"label": entity.value, **said})}</node>\n'

    def _edge(self, facts: RelationFacts, said: Said) -> str:
        ends = f'source="{facts.source.id.hex()}" target="{facts.target.id.hex()}"'
        return f'<edge id="{facts.id.hex()}" {ends}>{_data("e", {"label": facts.type, **said})}</edge>\n'

    def _between(self) -> str:
        return ""

    def _tail(self) -> str:
        return "</graph>\n</graphml>\n"


_GRAPHML: Final = {"integer": "int"}


def _gexf_attributes(kind: str, names: Mapping[str, str]) -> str:
    each = "".join(f'<attribute id="{name}" title="{name}" type="{form}"/>' for name, form in names.items())
    return f'<attributes class="{kind}">{each}</attributes>\n'


def _attvalues(said: Said, names: Mapping[str, str]) -> str:
    values = "".join(f'<attvalue for="{name}" value="{in_xml(str(said[name]))}"/>' for name in names if name in said)
    return f"<attvalues>{values}</attvalues>"


def _days(said: Said) -> str:
    if "first_seen" not in said:
        return ""
    return f' start="{str(said["first_seen"])[:10]}" end="{str(said["last_seen"])[:10]}"'


def _data(kind: str, said: Said) -> str:
    return "".join(f'<data key="{kind}_{name}">{in_xml(str(value))}</data>' for name, value in said.items())
