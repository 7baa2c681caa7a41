"""A scan as an event of MISP: an entity is an object, a relation a reference between objects, a finding an annotation.

An event is written as it comes: an object is open until all references from it were taken. Ids are the same whenever
the same is exported, so that MISP updates what it has.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from services.contracts.claims import Entity
from services.contracts.resources.correlation import FindingView
from services.contracts.resources.exports import Tlp
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidBy
from services.reporting.domain.exports.export import (
    About,
    Export,
    Following,
    all_said,
    evidence_of,
    modules_of,
)
from services.reporting.domain.exports.findings import packed, unpacked
from services.reporting.domain.exports.misp_objects import Part, category_of, parts_of, template_of
from services.reporting.domain.exports.texts import sound, sound_all
from services.reporting.domain.exports.times import stamp
from services.reporting.domain.exports.waiting import Ends, Scratch, Spool

#: How bad an event is (4: undefined), how far it was looked into (2: completed), and who is to get it (0: who has it).
UNDEFINED, COMPLETED, OWN = "4", "2", "0"
#: What ids of objects are made of, and templates that MISP does not have.
MIRAGE: Final = uuid5(UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), "https://mirage.invalid/misp")
#: As much as a comment of MISP holds.
LONGEST: Final = 65_000

_encode = msgspec.json.Encoder().encode

Misp = dict[str, Any]


class MispEvent(Export):
    """One event of a scan."""

    def __init__(self, about: About, scratch: Scratch, *, tlp: Tlp | None) -> None:
        self._about = about
        self._tlp = tlp
        self._event = uuid5(MIRAGE, f"event|{about.scan}")
        self._following = Following()
        self._ends = Ends(scratch)
        self._findings = Spool(scratch)
        self._open: Entity | None = None
        self._objects = self._references = 0

    def begin(self) -> Iterator[bytes]:
        day = datetime.fromtimestamp(self._about.at // 1_000_000, UTC)
        head: Misp = {
            "uuid": str(self._event),
            "info": f"Mirage: scan {self._about.scan[:8]}",
            "date": f"{day:%Y-%m-%d}",
            "timestamp": str(self._about.at // 1_000_000),
            "threat_level_id": UNDEFINED,
            "analysis": COMPLETED,
            "distribution": OWN,
            "published": False,
        }
        if self._tlp is not None:
            head["Tag"] = [{"name": f"tlp:{self._tlp.replace('-', '+')}"}]
        yield b'{"Event":' + _encode(head)[:-1] + b',"Object":['

    def find(self, findings: Sequence[FindingView]) -> Iterator[bytes]:
        for view in findings:
            self._findings.keep(packed(view))
        yield from ()

    def add(self, facts: Facts) -> Iterator[bytes]:
        yield b"".join(piece for each in self._following.add(facts) for piece in self._taken(each))

    def end(self) -> Iterator[bytes]:
        yield b"".join(piece for each in self._following.end() for piece in self._taken(each))
        yield self._closed()
        for entities in self._ends.unwritten():
            yield b"".join(self._begun(self._object(entity, "", {})) + b"]}" for entity in entities)
        for kept in self._findings.kept():
            yield self._annotation(unpacked(kept))
        yield b"\n]}}\n"

    def close(self) -> None:
        self._ends.close()
        self._findings.close()

    def _taken(self, facts: EntityFacts | RelationFacts) -> Iterator[bytes]:
        if isinstance(facts, RelationFacts):
            yield self._reference(facts)
            return
        yield self._closed()
        if facts.attributes:
            yield self._described(facts)
        self._open = facts.entity
        said = all_said(facts)
        place = f"{facts.role}, {facts.distance} steps away" if facts.role else "outside of the scope"
        seen = {"first_seen": stamp(facts.first_seen), "last_seen": stamp(max(facts.first_seen, facts.last_seen))}
        self._ends.write(facts.entity)
        yield self._begun(self._object(facts.entity, f"{place}; {_who(said)}", seen))

    def _described(self, facts: EntityFacts) -> bytes:
        """What an entity is like, as an object of its own: the templates of MISP have no place for most of it."""
        identity = uuid5(self._event, f"attributes|{facts.entity.id.hex()}")
        made = self._head("mirage-attributes", identity, facts.entity.value)
        told = [(each.name, sound(str(each.value)), _who(each.said)) for each in facts.attributes]
        made["Attribute"] = [
            self._attribute(identity, f"{name}|{value}", Part(name, "text", value), who) for name, value, who in told
        ]
        begun = self._begun(made)
        return begun + self._referred(_reference(identity, self._uuid(facts.entity), "describes")) + b"]}"

    def _begun(self, made: Misp) -> bytes:
        """An object with the beginning of its references."""
        between = b",\n" if self._objects else b"\n"
        self._objects += 1
        self._references = 0
        return between + _sound(made)[:-1] + b',"ObjectReference":['

    def _closed(self) -> bytes:
        opened, self._open = self._open, None
        return b"" if opened is None else b"]}"

    def _object(self, entity: Entity, comment: str, seen: dict[str, str]) -> Misp:
        name, parts = parts_of(entity)
        identity = self._uuid(entity)
        return {
            **self._head(name, identity, comment),
            **seen,
            "Attribute": [self._attribute(identity, str(n), part, comment) | seen for n, part in enumerate(parts)],
        }

    def _head(self, name: str, identity: UUID, comment: str) -> Misp:
        template = template_of(name)
        return {
            "name": name,
            "meta-category": template.category if template else "misc",
            "template_uuid": template.uuid if template else str(uuid5(MIRAGE, f"template|{name}")),
            "template_version": template.version if template else "1",
            "uuid": str(identity),
            "timestamp": str(self._about.at // 1_000_000),
            "distribution": "5",
            "comment": comment[:LONGEST],
        }

    def _attribute(self, owner: UUID, which: str, part: Part, comment: str) -> Misp:
        return {
            "uuid": str(uuid5(owner, which)),
            "object_relation": part.relation,
            "type": part.type,
            "category": category_of(part.type),
            "value": part.value,
            "to_ids": False,
            "distribution": "5",
            "disable_correlation": part.type == "text",
            "comment": comment[:LONGEST],
        }

    def _reference(self, facts: RelationFacts) -> bytes:
        self._ends.name(facts.target)
        more = {**facts.qualifiers, **facts.details}
        told = "".join(f"{name}: {value}; " for name, value in more.items())
        ends = self._uuid(facts.source), self._uuid(facts.target)
        made = _reference(*ends, facts.type.replace("_", "-"), (told + _who(facts.said))[:LONGEST])
        return self._referred(made | {"uuid": str(uuid5(self._event, facts.id.hex()))})

    def _referred(self, reference: Misp) -> bytes:
        between = b"," if self._references else b""
        self._references += 1
        return between + _sound(reference)

    def _annotation(self, view: FindingView) -> bytes:
        """A finding, with references to what it is about."""
        finding = view.finding
        identity = uuid5(self._event, f"finding|{finding.id.hex}")
        head = f"{finding.title} ({finding.severity}, {finding.confidence} %, {finding.status})"
        text = "\n\n".join(each for each in (head, view.description, view.advice, finding.reason) if each)
        evidence = " ".join(dict.fromkeys(proof for ground in view.grounds for proof in ground.evidence))
        modules = " ".join(sorted({module for ground in view.grounds for module in ground.modules}))
        rule = f"rule {finding.rule}@{finding.rule_version}"
        comment = f"{rule}; said by {modules}; evidence {evidence}" if evidence else rule
        parts = [Part("text", "text", text), Part("type", "text", "Other")]
        parts += [Part("ref", "link", each) for each in view.references]
        made = self._head("annotation", identity, comment)
        made["Attribute"] = [self._attribute(identity, str(n), part, comment) for n, part in enumerate(parts)]
        begun = self._begun(made)
        references = b"".join(
            self._referred(_reference(identity, uuid5(self._event, f"entity|{entity.id}"), "annotates"))
            for entity in finding.entities
        )
        return begun + references + b"]}"

    def _uuid(self, entity: Entity) -> UUID:
        return uuid5(self._event, f"entity|{entity.id.hex()}")


def _reference(owner: UUID, other: UUID, relationship: str, comment: str = "") -> Misp:
    """A reference from one object to another one."""
    return {
        "uuid": str(uuid5(owner, f"{relationship}|{other}")),
        "object_uuid": str(owner),
        "referenced_uuid": str(other),
        "relationship_type": relationship,
        "comment": comment,
    }


def _who(said: Sequence[SaidBy]) -> str:
    """Who said it, and on which evidence records."""
    if not said:
        return ""
    evidence = evidence_of(said)
    told = f"said by {' '.join(modules_of(said))}"
    return f"{told}; evidence {' '.join(evidence)}" if evidence else told


def _sound(document: Misp) -> bytes:
    try:
        return _encode(document)
    except UnicodeEncodeError:
        return _encode(sound_all(document))
