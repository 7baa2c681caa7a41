"""A scan as a bundle of STIX 2.1 (OASIS standard, 10 June 2021), object by object.

An entity is an observable and, for each module that spoke of it, an `observed-data` with when and on which evidence; or
a domain object, which says that itself. A relation is a `relationship`, a finding a `note`, or an `indicator` where it
says that something is malicious. Ids are the same whenever the same is exported (`stix_ids`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from services.contracts.claims import Entity
from services.contracts.resources.correlation import FindingView
from services.contracts.resources.exports import StixProfile, Tlp
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidBy
from services.reporting.domain.exports.export import About, Export, all_said, evidence_of, modules_of
from services.reporting.domain.exports.findings import packed, unpacked
from services.reporting.domain.exports.stix_extension import (
    EXTENSION,
    MIRAGE_IDENTITY,
    definition,
    marking,
    mirage,
)
from services.reporting.domain.exports.stix_findings import finding_object
from services.reporting.domain.exports.stix_ids import mirage_id
from services.reporting.domain.exports.stix_objects import Made, Stix, Values, id_of, is_standard, made
from services.reporting.domain.exports.stix_relations import relationship_type
from services.reporting.domain.exports.texts import sound_all
from services.reporting.domain.exports.times import stamp
from services.reporting.domain.exports.waiting import Ends, Scratch, Spool

#: As much as ``number_observed`` may be.
MOST: Final = 999_999_999

_encode = msgspec.json.Encoder().encode


class StixBundle(Export):
    """``profile``: *opencti* has all that Mirage knows, by an extension; *strict* what the standard has objects for."""

    def __init__(self, about: About, scratch: Scratch, *, profile: StixProfile, tlp: Tlp | None) -> None:
        self._about = about
        self._strict = profile == "strict"
        self._marking = marking(tlp) if tlp else None
        self._ends = Ends(scratch)
        self._findings = Spool(scratch)
        self._between = b"\n"
        self._sources: dict[str, str] = {}
        self._mentioned: dict[bytes, Entity | None] = {}
        self._without_object: Counter[str] = Counter()
        self._untold = 0

    def begin(self) -> Iterator[bytes]:
        identity = mirage_id("bundle", self._about.scan)
        yield f'{{"type":"bundle","id":"{identity}","objects":['.encode()
        yield from self._written([mirage()], marked=False)
        if not self._strict:
            yield from self._written([definition()], marked=False)
        if self._marking is not None:
            yield from self._written([self._marking], marked=False)

    def find(self, findings: Sequence[FindingView]) -> Iterator[bytes]:
        for view in findings:
            self._findings.keep(packed(view))
            self._mentioned.update((bytes.fromhex(entity.id), None) for entity in view.finding.entities)
        yield from ()

    def add(self, facts: Facts) -> Iterator[bytes]:
        found: list[Stix] = []
        for entity in facts.entities:
            found += self._objects(entity)
        for relation in facts.relations:
            found += self._relationship(relation)
        yield from self._written(found)

    def end(self) -> Iterator[bytes]:
        more = True
        while more:  # what is named may name its parts
            more = False
            for entities in self._ends.unwritten():
                more = True
                yield from self._written([each for entity in entities for each in self._named(entity)])
        for kept in self._findings.kept():
            yield from self._written(list(self._finding(unpacked(kept))))
        yield b"\n]}\n"

    @property
    def left_out(self) -> str:
        said: list[str] = []
        if self._without_object:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._without_object.items()))
            said.append(f"what STIX has no object of its own for (profile strict): {kinds}")
        if self._untold:
            said.append(f"findings about what is not exported (--all exports it): {self._untold}")
        return "; ".join(said)

    def close(self) -> None:
        self._ends.close()
        self._findings.close()

    def _written(self, objects: Sequence[Stix], *, marked: bool = True) -> Iterator[bytes]:
        if not objects:
            return
        if marked and self._marking is not None:
            objects = [{**each, "object_marking_refs": [self._marking["id"]]} for each in objects]
        between, self._between = self._between, b",\n"
        try:
            lines = [_encode(each) for each in objects]
        except UnicodeEncodeError:
            lines = [_encode(sound_all(each)) for each in objects]
        yield between + b",\n".join(lines)

    # Entities

    def _objects(self, facts: EntityFacts) -> Iterator[Stix]:
        entity = facts.entity
        if self._mentioned and entity.id in self._mentioned:
            self._mentioned[entity.id] = entity
        if self._strict and not is_standard(entity):
            self._without_object[entity.type] += 1
            return
        values: dict[str, list[Any]] = {}
        for each in facts.attributes:
            values.setdefault(each.name, []).append(each.value)
        form = self._made(entity, values)
        if form.domain:
            yield self._domain_object(form, facts)
        else:
            yield self._observable(form)
            yield from self._observed(form, facts)

    def _made(self, entity: Entity, values: Values) -> Made:
        form = made(entity, values)
        for part in form.parts:
            self._ends.name(part)
        self._ends.write(entity)
        return form

    def _observable(self, form: Made) -> Stix:
        found = {"type": form.kind, "spec_version": "2.1", "id": form.id, **form.properties}
        if self._strict:
            found.pop("extensions", None)
        return found

    def _named(self, entity: Entity) -> Iterator[Stix]:
        """The object of an entity of which nothing is known but that something refers to it."""
        form = self._made(entity, {})
        if not form.domain:
            yield self._observable(form)
            return
        at = self._about.at
        yield self._domain_object(
            form, EntityFacts(entity=entity, role=None, distance=None, first_seen=at, last_seen=at)
        )

    def _domain_object(self, form: Made, facts: EntityFacts) -> Stix:
        said = all_said(facts)
        key = _encode(facts.entity.key).decode()
        references = [
            {"source_name": f"mirage:{facts.entity.type}", "external_id": key},
            *form.properties.get("external_references", ()),
            *_references(said),
        ]
        found = {
            "type": form.kind,
            "spec_version": "2.1",
            "id": form.id,
            "created_by_ref": MIRAGE_IDENTITY,
            "created": stamp(facts.first_seen),
            "modified": stamp(max(facts.first_seen, facts.last_seen)),
            **form.properties,
            "external_references": references,
        }
        if said:
            found["confidence"] = max(each.confidence for each in said)
        return found | self._extension(facts, "")

    def _observed(self, form: Made, facts: EntityFacts) -> Iterator[Stix]:
        """What each module has said of an observable: when it was seen, and on which evidence."""
        told = [*facts.said, *facts.named]
        told += [each for statement in facts.attributes for each in statement.said]
        told += [each for statement in facts.absences for each in statement.said]
        by_source: dict[str, list[SaidBy]] = {}
        for each in told:
            by_source.setdefault(f"{each.module}@{each.version}", []).append(each)
        for source, said in by_source.items():
            yield from self._source(source)
            first, last = min(each.at for each in said), max(each.at for each in said)
            yield {
                "type": "observed-data",
                "spec_version": "2.1",
                "id": mirage_id("observed-data", f"{self._about.scan}|{facts.entity.id.hex()}|{source}"),
                "created_by_ref": self._sources[source],
                "created": stamp(first),
                "modified": stamp(last),
                "first_observed": stamp(first),
                "last_observed": stamp(last),
                "number_observed": min(MOST, len({(each.subject, each.at) for each in said})),
                "object_refs": [form.id],
                "confidence": max(each.confidence for each in said),
                "external_references": _references(said),
            } | self._extension(facts, source)

    def _extension(self, facts: EntityFacts, source: str) -> Stix:
        """What STIX has no property for; of one source, or of all with their names."""
        if self._strict:
            return {}
        said: Stix = {"extension_type": "property-extension"}
        if facts.role is not None:
            said["mirage_role"] = facts.role
        if facts.distance is not None:
            said["mirage_distance"] = facts.distance
        attributes = []
        for each in facts.attributes:
            sources = modules_of(each.said)
            if not source:
                proof = {"said_by": sources, "evidence": evidence_of(each.said)}
                attributes.append({"name": each.name, "value": each.value, **proof})
            elif source in sources:
                attributes.append({"name": each.name, "value": each.value})
        absences = [each.predicate for each in facts.absences if not source or source in modules_of(each.said)]
        if attributes:
            said["mirage_attributes"] = attributes
        if absences:
            said["mirage_absences"] = absences
        return {"extensions": {EXTENSION: said}} if len(said) > 1 else {}

    def _source(self, source: str) -> Iterator[Stix]:
        """The identity of a module, where it is named first."""
        if source not in self._sources:
            self._sources[source] = mirage_id("identity", f"module|{source}")
            yield mirage() | {"id": self._sources[source], "name": source, "created_by_ref": MIRAGE_IDENTITY}

    # Relations and findings

    def _relationship(self, facts: RelationFacts) -> Iterator[Stix]:
        if self._strict and not (is_standard(facts.source) and is_standard(facts.target)):
            self._without_object[facts.type] += 1
            return
        self._ends.name(facts.source)
        self._ends.name(facts.target)
        source, target = id_of(facts.source), id_of(facts.target)
        sources = modules_of(facts.said)
        for each in sources if len(sources) == 1 else ():
            yield from self._source(each)
        times = [each.at for each in facts.said] or [self._about.at]
        found: Stix = {
            "type": "relationship",
            "spec_version": "2.1",
            "id": mirage_id("relationship", facts.id.hex()),
            "created_by_ref": self._sources[sources[0]] if len(sources) == 1 else MIRAGE_IDENTITY,
            "created": stamp(min(times)),
            "modified": stamp(max(times)),
            "relationship_type": relationship_type(facts.type, source, target),
            "source_ref": source,
            "target_ref": target,
        }
        if facts.said:
            found["confidence"] = max(each.confidence for each in facts.said)
            found["external_references"] = _references(facts.said)
        yield found | self._held(facts) | self._named_so(facts)

    def _held(self, facts: RelationFacts) -> Stix:
        """From when until when a relation held, where a source says so."""
        begun = [each.valid_from for each in facts.said if each.valid_from is not None]
        ended = [each.valid_to for each in facts.said if each.valid_to is not None]
        held = {"start_time": stamp(min(begun))} if begun else {}
        if ended and len(ended) == len(facts.said) and stamp(max(ended)) > held.get("start_time", ""):
            held["stop_time"] = stamp(max(ended))
        return held

    def _named_so(self, facts: RelationFacts) -> Stix:
        """Which relation of Mirage it is; in words where only the standard is wanted."""
        more = {**facts.qualifiers, **facts.details}
        if self._strict:
            told = ", ".join(f"{name}: {value}" for name, value in more.items())
            return {"description": f"{facts.type} ({told})" if told else facts.type}
        said: Stix = {"extension_type": "property-extension", "mirage_relation": facts.type}
        if facts.qualifiers:
            said["mirage_qualifiers"] = facts.qualifiers
        if facts.details:
            said["mirage_details"] = facts.details
        return {"extensions": {EXTENSION: said}}

    def _finding(self, view: FindingView) -> Iterator[Stix]:
        found = (self._mentioned.get(bytes.fromhex(each.id)) for each in view.finding.entities)
        about = [entity for entity in found if entity is not None and (is_standard(entity) or not self._strict)]
        if about:
            yield finding_object(view, about)
        else:  # what a finding is about may lie outside of what is exported
            self._untold += 1


def _references(said: Sequence[SaidBy]) -> list[Stix]:
    """Who has said it, on which evidence record."""
    seen: dict[tuple[str, str], Stix] = {}
    for each in said:
        name = f"{each.module}@{each.version}"
        for identity in each.evidence:
            evidence = identity.hex()
            seen.setdefault((name, evidence), {"source_name": name, "external_id": evidence})
        if not each.evidence:
            seen.setdefault((name, ""), {"source_name": name, "description": "Said without evidence."})
    return list(seen.values())
