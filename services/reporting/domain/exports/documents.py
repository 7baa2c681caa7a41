"""Exports that are read line by line: JSON lines, JSON, CSV, and the canonical form."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from services.contracts.claims import claim_line
from services.contracts.resources.storage import ClaimView, EntityFacts, Facts, RelationFacts, SaidBy, SaidValue
from services.reporting.domain.exports.export import Export, all_said
from services.reporting.domain.exports.texts import sound, sound_all, unformulated
from services.reporting.domain.exports.waiting import Scratch, Sorted, key_of

CSV_HEAD: Final = ("type", "value", "scope_role", "distance", "first_seen", "last_seen", "attributes", "modules")

_encode = msgspec.json.Encoder().encode


class Lines(Export):
    """Documents by type and value of entities, each followed by the relations that lead from it."""

    def __init__(self, scratch: Scratch) -> None:
        self._sorted = Sorted(scratch)

    def add(self, facts: Facts) -> Iterator[bytes]:
        self._sorted.add((key_of(each.entity), self.entity(each)) for each in facts.entities)
        self._sorted.add((key_of(each.source, each), self.relation(each)) for each in facts.relations)
        yield from ()

    def end(self) -> Iterator[bytes]:
        for documents in self._sorted.documents():
            yield self.written(documents)

    def entity(self, facts: EntityFacts) -> bytes:
        return encoded(entity_document(facts))

    def relation(self, facts: RelationFacts) -> bytes:
        return encoded(relation_document(facts))

    def written(self, documents: Sequence[bytes]) -> bytes:
        return b"\n".join(documents) + b"\n"

    def close(self) -> None:
        self._sorted.close()


class Json(Lines):
    """The same as one list, a member a line."""

    def __init__(self, scratch: Scratch) -> None:
        super().__init__(scratch)
        self._list = List()

    def begin(self) -> Iterator[bytes]:
        yield self._list.begin()

    def written(self, documents: Sequence[bytes]) -> bytes:
        return self._list.add(documents)

    def end(self) -> Iterator[bytes]:
        yield from super().end()
        yield self._list.end()


class List:
    """A JSON list of members that are JSON already, one a line."""

    def __init__(self) -> None:
        self._between = b"\n"

    def begin(self) -> bytes:
        return b"["

    def add(self, members: Sequence[bytes]) -> bytes:
        """The next members, of which there is one at least."""
        between, self._between = self._between, b",\n"
        return between + b",\n".join(members)

    def end(self) -> bytes:
        return b"\n]\n"


class Csv(Lines):
    """Entities as rows, in which no cell is a formula."""

    def begin(self) -> Iterator[bytes]:
        yield _row(CSV_HEAD)

    def add(self, facts: Facts) -> Iterator[bytes]:
        self._sorted.add((key_of(each.entity), self.entity(each)) for each in facts.entities)
        yield from ()

    def entity(self, facts: EntityFacts) -> bytes:
        document = entity_document(facts)
        modules = sorted({each["module"] for each in document["assertions"]})
        attributes = encoded(document["attributes"]).decode()
        return _row([*(document[name] for name in CSV_HEAD[:6]), attributes, " ".join(modules)])

    def written(self, documents: Sequence[bytes]) -> bytes:
        return b"".join(documents)


class Canonical:
    """What was claimed by which module, without when, where and by which scan: equal for equal scans.

    Takes claims in the order of their keys, and says each once.
    """

    def __init__(self, *, as_list: bool) -> None:
        self._list = List() if as_list else None
        self._last = ""

    def begin(self) -> Iterator[bytes]:
        if self._list is not None:
            yield self._list.begin()

    def add(self, claims: Sequence[ClaimView]) -> Iterator[bytes]:
        fresh = []
        for claim in claims:
            if claim.key != self._last:
                self._last = claim.key
                fresh.append(claim)
        if not fresh:
            return
        said = [(claim_line(claim.claim), claim.module, claim.version) for claim in fresh]
        if self._list is None:
            yield "".join(f"{line} {module}@{version}\n" for line, module, version in said).encode()
        else:
            form = '{{"claim":{},"module":"{}","version":{}}}'
            yield self._list.add([form.format(*each).encode() for each in said])

    def end(self) -> Iterator[bytes]:
        if self._list is not None:
            yield self._list.end()


def encoded(document: Any) -> bytes:
    """A document as JSON."""
    try:
        return _encode(document)
    except UnicodeEncodeError:
        return _encode(sound_all(document))


def entity_document(facts: EntityFacts) -> dict[str, Any]:
    """An entity, as `mirage export` has documented it since its first version."""
    entity = facts.entity
    return {
        "layer": "entity",
        "type": entity.type,
        "key": list(entity.key),
        "value": entity.value,
        "scope_role": facts.role,
        "distance": facts.distance,
        "first_seen": facts.first_seen,
        "last_seen": facts.last_seen,
        "attributes": attributes_of(facts),
        "assertions": assertions(all_said(facts)),
    }


def relation_document(facts: RelationFacts) -> dict[str, Any]:
    """A relation, likewise."""
    return {
        "layer": "relation",
        "type": facts.type,
        "source": {"type": facts.source.type, "value": facts.source.value},
        "target": {"type": facts.target.type, "value": facts.target.value},
        "qualifiers": facts.qualifiers,
        "assertions": assertions(facts.said),
    }


def attributes_of(facts: EntityFacts) -> dict[str, list[str | int | float | bool]]:
    """The values of each attribute, by name, in the order in which they were said."""
    found: dict[str, list[str | int | float | bool]] = {}
    for each in sorted(facts.attributes, key=_age):
        found.setdefault(each.name, []).append(each.value)
    return found


def _age(each: SaidValue) -> tuple[str, int]:
    return each.name, min((said.at for said in each.said), default=0)


def assertions(said: Sequence[SaidBy]) -> list[dict[str, Any]]:
    """Who said it: one entry for each module, version and evidence."""
    seen: dict[tuple[object, ...], dict[str, Any]] = {}
    for each in said:
        seen.setdefault(
            (each.module, each.version, each.evidence),
            {
                "module": each.module,
                "version": each.version,
                "at": each.at,
                "confidence": each.confidence,
                "evidence": [identity.hex() for identity in each.evidence],
            },
        )
    return list(seen.values())


def _row(cells: Iterable[Any]) -> bytes:
    out = Written()
    csv.writer(out, lineterminator="\n").writerow("" if cell is None else unformulated(str(cell)) for cell in cells)
    return sound("".join(out)).encode()


class Written(list[str]):
    """What is written, as a file would have it."""

    write = list.append
