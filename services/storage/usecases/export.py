"""Exports of a scan, in constant memory: lists of host names, JSON lines, CSV, JSON, and the canonical form."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from services.contracts.claims import Entity, claim_line
from services.contracts.endpoints import GET_PLAN
from services.contracts.resources import Chunk, ExportQuery, ScanId
from services.contracts.scope import Role
from services.kernel.calls import Caller
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.domain import ABSENCE, ATTRIBUTE, ENTITY, record_ids
from services.storage.store import reading, sightings
from services.storage.store.reading import StoredClaim, StoredEntity, StoredRelation
from services.storage.store.when import NOW, When

IN_SCOPE: Final[tuple[Role, ...]] = ("target", "in_scope")
NAMES: Final = ("domain", "hostname")
RESOLVES: Final = "resolves_to"
#: How often a module is shown to have said the same of one thing: of a hub, thousands of items do.
ASSERTED: Final = 50
CSV_HEAD: Final = ("type", "value", "scope_role", "distance", "first_seen", "last_seen", "attributes", "modules")

_encode = msgspec.json.Encoder().encode


async def export_scan(ports: Ports, caller: Caller, query: ExportQuery) -> AsyncGenerator[Chunk, None]:
    """Stream an export of what is stored now."""
    plan = await ports.calls.ask(GET_PLAN, ScanId(query.scan), caller)
    resolving = {module.id for module in plan.modules if module.activity != "passive" and RESOLVES in module.produces}
    async with ports.sql.read() as view:
        async for text in export(view, caller.workspace, query, resolving=resolving):
            yield Chunk(text)


async def export(
    view: Reader, workspace: UUID, query: ExportQuery, *, resolving: Collection[str]
) -> AsyncIterator[str]:
    """Yield the export piece by piece; ``resolving``: the scan's modules that ask the DNS for addresses of names."""
    if query.canonical:
        lines = _canonical(view, workspace, query.scan, When(query.as_of))
        pieces = _document(lines) if query.format == "json" else _text(lines)
    elif query.format == "hosts":
        pieces = _hosts(view, workspace, query, resolving)
    elif query.format == "csv":
        pieces = _csv(view, workspace, query)
    elif query.format == "json":
        pieces = _json(view, workspace, query)
    else:
        pieces = _jsonl(view, workspace, query)
    async for piece in pieces:
        yield piece


async def _canonical(
    view: Reader, workspace: UUID, scan: UUID, when: When
) -> AsyncIterator[list[tuple[str, str, int]]]:
    """What was claimed by which module, without when, where and by which scan: equal for equal scans.

    Yields (line of the claim, module, version).
    """
    last = b""
    async for rows in reading.claims_of(view, workspace, scan, when=when):
        fresh: list[StoredClaim] = []
        for row in rows:
            if row.claim != last:
                fresh.append(row)
                last = row.claim
        spoken = await reading.spoken(view, workspace, fresh)
        yield [(claim_line(claim), row.module, row.version) for row, claim in zip(fresh, spoken, strict=True)]


async def _text(batches: AsyncIterator[list[tuple[str, str, int]]]) -> AsyncIterator[str]:
    async for lines in batches:
        yield "".join(f"{line} {module}@{version}\n" for line, module, version in lines)


async def _document(batches: AsyncIterator[list[tuple[str, str, int]]]) -> AsyncIterator[str]:
    async for piece in _listed(
        [f'{{"claim":{line},"module":"{module}","version":{version}}}' for line, module, version in lines]
        async for lines in batches
    ):
        yield piece


async def _hosts(view: Reader, workspace: UUID, query: ExportQuery, resolving: Collection[str]) -> AsyncIterator[str]:
    when = When(query.as_of)
    async for names in sightings.sighted(view, workspace, query.scan, when, roles=IN_SCOPE, types=NAMES):
        numbers = [stored.number for stored in names]
        states = await resolutions(view, workspace, query.scan, numbers, resolving, when)
        lines = []
        for stored in names:
            state = states[stored.number]
            if state == "resolved":
                lines.append(stored.entity.value)
            elif not resolving:
                lines.append(f"{stored.entity.value}\tnot-asked")
            elif query.all:
                lines.append(f"{stored.entity.value}\t{state}")
        if lines:
            yield "\n".join(lines) + "\n"


async def resolutions(
    view: Reader, workspace: UUID, scan: UUID, names: Sequence[int], resolving: Collection[str], when: When = NOW
) -> dict[int, str]:
    """What a scan found of the addresses of names: resolved, wildcard, stale, unresolved, unknown.

    Only what ``resolving`` modules say counts as an answer: others tell where a name was once.
    """
    addressed = await reading.relations_from(view, workspace, names, "resolves_to")
    about = [*names, *(relation.number for relation in addressed)]
    claims = await reading.claims_about(view, workspace, about, scan, ASSERTED, when)
    said = {claim.about for claim in claims if claim.module in resolving}
    resolved = {relation.source for relation in addressed if relation.number in said}
    states = dict.fromkeys(names, "unknown")
    for claim in claims:
        if claim.kind == ABSENCE and claim.name == "resolves_to":
            states[claim.about] = "unresolved" if states[claim.about] == "unknown" else states[claim.about]
        elif claim.kind == ATTRIBUTE and claim.name == "response_code" and claim.plain == "NXDOMAIN":
            states[claim.about] = "stale"
    states.update(dict.fromkeys(resolved, "resolved"))
    for claim in claims:
        if claim.kind == ATTRIBUTE and claim.name == "covered_by_wildcard" and claim.plain is True:
            states[claim.about] = "wildcard"
    return states


async def _jsonl(view: Reader, workspace: UUID, query: ExportQuery) -> AsyncIterator[str]:
    async for documents in _documents(view, workspace, query):
        yield "".join(_encode(document).decode() + "\n" for document in documents)


async def _json(view: Reader, workspace: UUID, query: ExportQuery) -> AsyncIterator[str]:
    async for piece in _listed(
        [_encode(document).decode() for document in documents] async for documents in _documents(view, workspace, query)
    ):
        yield piece


async def _listed(batches: AsyncIterator[list[str]]) -> AsyncIterator[str]:
    """A JSON list of members that are JSON already, one a line."""
    yield "["
    between = "\n"
    async for members in batches:
        if members:
            yield between + ",\n".join(members)
            between = ",\n"
    yield "\n]\n"


async def _csv(view: Reader, workspace: UUID, query: ExportQuery) -> AsyncIterator[str]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    async for documents in _documents(view, workspace, query):
        for document in documents:
            if document["layer"] == "entity":
                modules = sorted({assertion["module"] for assertion in document["assertions"]})
                writer.writerow(
                    [
                        *(_cell(document[name]) for name in CSV_HEAD[:6]),
                        _cell(_encode(document["attributes"]).decode()),
                        _cell(" ".join(modules)),
                    ]
                )
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value).replace("\r", "\\r")  # the one break that csv leaves unquoted
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


async def _documents(view: Reader, workspace: UUID, query: ExportQuery) -> AsyncIterator[list[dict[str, Any]]]:
    """Entities, each followed by the relations that lead from it; without ``all`` only those in scope."""
    when, roles = When(query.as_of), None if query.all else IN_SCOPE
    async for batch in sightings.sighted(view, workspace, query.scan, when, roles=roles):
        told = await _told(view, workspace, query.scan, [stored.number for stored in batch], when)
        following = iter(batch)
        source = next(following)
        documents = [_entity_document(source, told.get(source.number, []))]
        async for led in _leading(view, workspace, query.scan, batch, when):
            for relation, target, claims in led:
                while relation.source != source.number:
                    source = next(following)
                    documents.append(_entity_document(source, told.get(source.number, [])))
                documents.append(_relation_document(source, relation, target, claims))
            yield documents
            documents = []
        documents += [_entity_document(stored, told.get(stored.number, [])) for stored in following]
        yield documents


async def _told(
    view: Reader, workspace: UUID, scan: UUID, numbers: Sequence[int], when: When
) -> dict[int, list[StoredClaim]]:
    """What a scan says of entities; where it says nothing, the claims of relations that vouch for them."""
    told: dict[int, list[StoredClaim]] = {}
    for claim in await reading.claims_about(view, workspace, numbers, scan, ASSERTED, when):
        told.setdefault(claim.about, []).append(claim)
    unsaid = [number for number in numbers if number not in told]
    return told | await reading.vouching(view, workspace, scan, unsaid, ASSERTED, when) if unsaid else told


async def _leading(
    view: Reader, workspace: UUID, scan: UUID, batch: Sequence[StoredEntity], when: When
) -> AsyncIterator[list[tuple[StoredRelation, Entity, list[StoredClaim]]]]:
    """The relations from a batch of entities, in its order, with their targets and claims."""
    async for led in reading.leading(view, workspace, scan, [stored.number for stored in batch], when):
        about: dict[int, list[StoredClaim]] = {}
        numbers = [relation.number for relation, _ in led]
        for claim in await reading.claims_about(view, workspace, numbers, scan, ASSERTED, when):
            about.setdefault(claim.about, []).append(claim)
        yield [(relation, target, about[relation.number]) for relation, target in led]


def _entity_document(stored: StoredEntity, claims: Sequence[StoredClaim]) -> dict[str, Any]:
    attributes: dict[str, list[Any]] = {}
    for claim in claims:
        if claim.kind == ATTRIBUTE and claim.about == stored.number:
            values = attributes.setdefault(claim.name, [])
            if claim.plain not in values:
                values.append(claim.plain)
    existence = [claim for claim in claims if claim.kind == ENTITY] or claims
    return {
        "layer": "entity",
        "type": stored.entity.type,
        "key": list(stored.entity.key),
        "value": stored.entity.value,
        "scope_role": stored.role,
        "distance": stored.distance,
        "first_seen": stored.first_seen,
        "last_seen": stored.last_seen,
        "attributes": dict(sorted(attributes.items())),
        "assertions": assertions(existence),
    }


def _relation_document(
    source: StoredEntity, relation: StoredRelation, target: Entity, claims: Sequence[StoredClaim]
) -> dict[str, Any]:
    return {
        "layer": "relation",
        "type": relation.type,
        "source": {"type": source.entity.type, "value": source.entity.value},
        "target": {"type": target.type, "value": target.value},
        "qualifiers": relation.qualifiers,
        "assertions": assertions(claims),
    }


def assertions(claims: Sequence[StoredClaim]) -> list[dict[str, Any]]:
    """Who said it: one entry for each module, version and evidence."""
    seen: dict[tuple[object, ...], dict[str, Any]] = {}
    for claim in claims:
        seen.setdefault(
            (claim.module, claim.version, claim.evidence),
            {
                "module": claim.module,
                "version": claim.version,
                "at": claim.at,
                "confidence": claim.confidence,
                "evidence": [identity.hex() for identity in record_ids(claim.evidence)],
            },
        )
    return list(seen.values())
