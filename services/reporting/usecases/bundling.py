"""Bundles: a report in all its forms with everything that it rests on, in one archive, signed by the workspace.

Nothing of a bundle is kept. It is made of the report as it was kept, of facts as they were at its instant, and of
evidence, which never changes: so it has the same bytes each time.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from tempfile import TemporaryFile
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from services.contracts import bundles
from services.contracts import endpoints as e
from services.contracts.bundles import Manifest, Member, ReportStatement
from services.contracts.claims import Entity
from services.contracts.resources import BlobQuery, NewStatement, RecordView, ScanId, ScanRef, WorkspaceRef
from services.contracts.resources.reports import BundleQuery, ReportFormat, ReportRef, ReportView
from services.contracts.resources.storage import EntityFacts, FactsQuery, RelationFacts, SaidBy
from services.kernel.calls import Caller, Piece
from services.kernel.errors import Exhausted, NotFound
from services.kernel.service import Ports
from services.kernel.trail import say_about
from services.reporting.domain.reports.citing import statements
from services.reporting.domain.reports.document import Document
from services.reporting.domain.reports.words import cut
from services.reporting.store import reports as store
from services.reporting.usecases.gathering import authorisation_of
from services.reporting.usecases.rendering import render
from services.reporting.usecases.reports import PIECE, document_of, get, name_of

FORMS: Final[tuple[ReportFormat, ...]] = ("pdf", "html", "md", "json")
#: Bytes of an archive: what a zip without extensions has room for.
LARGEST: Final = 2_000_000_000
#: Bundles that are made at once by a process of the service: each may fill a disk with its archive.
AT_ONCE: Final = 2
_NEVER: Final = (1980, 1, 1, 0, 0, 0)

_encode = msgspec.json.Encoder(order="deterministic").encode


class Archive:
    """A zip as bundles are: the same members make the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zip = ZipFile(file, "w", ZIP_DEFLATED)
        self.members: list[Member] = []

    async def add(self, name: str, content: bytes) -> None:
        """Put a member in, which the manifest is to name."""
        await asyncio.to_thread(self._zip.writestr, _info(name), content)
        self.members.append(Member(name=name, size=len(content), sha256=bundles.digest(content)))
        self._check()

    async def add_lines(self, name: str, lines: AsyncIterator[bytes]) -> None:
        """Put a member in line by line, of each of which the manifest is to have the digest."""
        whole, size, digests = hashlib.sha256(), 0, []
        with self._zip.open(_info(name), "w") as member:
            async for line in lines:
                digests.append(bundles.digest(line))
                member.write(line + b"\n")
                whole.update(line + b"\n")
                size += len(line) + 1
        self.members.append(Member(name=name, size=size, sha256=whole.hexdigest(), lines=tuple(digests)))
        self._check()

    def close(self, *last: tuple[str, bytes]) -> None:
        """Put in what the manifest does not name, and end the archive."""
        for name, content in last:
            self._zip.writestr(_info(name), content)
        self._zip.close()

    def _check(self) -> None:
        if self._file.tell() > LARGEST:
            raise Exhausted("a bundle of all that is larger than one may be; make it without bodies")


async def read_bundle(ports: Ports, caller: Caller, query: BundleQuery) -> AsyncGenerator[Piece, None]:
    """The archive, piece by piece; the file begins before it is made."""
    report = await get(ports, caller, ReportRef(query.report))
    say_about(report=report.id, scan=report.scan)
    document = await document_of(ports, caller, report)
    yield Piece(data=b"", media_type="application/zip", name=name_of(report, "zip"))
    places: asyncio.Semaphore = ports.state.setdefault("bundling", asyncio.Semaphore(AT_ONCE))
    with TemporaryFile() as file:
        async with places:
            await Bundle(ports, caller, report, document).write(file, bodies=query.bodies)
        file.seek(0)
        while content := await asyncio.to_thread(file.read, PIECE):
            yield Piece(data=content)


class Bundle:
    """The bundle of a report, written once."""

    def __init__(self, ports: Ports, caller: Caller, report: ReportView, document: Document) -> None:
        self._ports = ports
        self._caller = caller
        self._report = report
        self._document = document
        self._cited = {record for claim in document.claims for record in claim.evidence}
        self._blobs: list[str] = []
        self._found: set[str] = set()

    async def write(self, file: IO[bytes], *, bodies: bool) -> None:
        archive, scan_id = Archive(file), ScanId(self._report.scan)
        for form in FORMS:
            await archive.add(f"report.{form}", await render(self._ports, self._document, form))
        signed = await authorisation_of(self._ports, self._caller, scan_id)
        if signed is not None:
            await archive.add(bundles.AUTHORISATION, signed.encode())
        await archive.add("findings.json", await self._findings())
        await archive.add_lines(bundles.STATEMENTS, _lines(map(_encode, statements(self._document))))
        await archive.add_lines(bundles.CLAIMS, _lines(map(_encode, self._document.claims)))
        await archive.add_lines(bundles.FACTS, self._facts())
        await archive.add_lines(bundles.RECORDS, self._records())
        absent = sorted(self._cited - self._found)
        if bodies:
            absent += [each async for each in self._add_bodies(archive)]
        manifest = bundles.write_manifest(await self._manifest(archive.members, absent, bodies=bodies))
        signature, keys = await self._sign(manifest)
        archive.close((bundles.KEYS, keys), (bundles.MANIFEST, manifest), (bundles.SIGNATURE, signature))

    async def _findings(self) -> bytes:
        found = store.findings(self._ports.documents, self._caller.workspace, self._report.id)
        return _encode([finding async for finding in found])

    async def _facts(self) -> AsyncIterator[bytes]:
        """What the scan said, at the report's instant, of the things that are cited; of relations, those that are."""
        entities = {claim.entity for claim in self._document.claims}
        relations = {(claim.entity, claim.predicate, claim.value) for claim in self._document.claims}
        query = FactsQuery(scan=self._report.scan, all=True, as_of=self._report.as_of)
        async with aclosing(self._ports.calls.follow(e.READ_FACTS, query, self._caller)) as pieces:
            async for facts in pieces:
                for each in facts.entities:
                    if each.entity.id.hex() in entities:
                        yield _encode(entity_line(each))
                for relation in facts.relations:
                    ends = ((relation.source, relation.target), (relation.target, relation.source))
                    if any((a.id.hex(), relation.type, cut(b.value)) in relations for a, b in ends):
                        yield _encode(relation_line(relation))

    async def _records(self) -> AsyncIterator[bytes]:
        """The evidence records that are cited, each once."""
        records = self._ports.calls.follow(e.LIST_RECORDS, ScanId(self._report.scan), self._caller)
        async with aclosing(records) as views:
            async for view in views:
                if view.id in self._cited and view.id not in self._found:
                    self._note(view)
                    yield _encode(view)

    def _note(self, view: RecordView) -> None:
        self._found.add(view.id)
        if view.blob is not None and view.blob not in self._blobs:
            self._blobs.append(view.blob)

    async def _add_bodies(self, archive: Archive) -> AsyncIterator[str]:
        """Put in the bodies of records; those that are kept no more are what this yields."""
        for blob in sorted(self._blobs):
            try:
                body = await self._ports.calls.ask(e.GET_BLOB, BlobQuery(blob), self._caller)
            except NotFound:
                yield blob
            else:
                await archive.add(f"{bundles.BODIES}{blob}", body.content)

    async def _manifest(self, members: Iterable[Member], absent: list[str], *, bodies: bool) -> Manifest:
        report, caller = self._report, self._caller
        scan = await self._ports.calls.ask(e.GET_SCAN, ScanRef(str(report.scan)), caller)
        plan = await self._ports.calls.ask(e.GET_PLAN, ScanId(report.scan), caller)
        modules = sorted(f"{module.id}@{module.version}" for module in plan.modules)
        return Manifest(
            form=bundles.FORM,
            report=report.id,
            workspace=caller.workspace,
            scan=report.scan,
            template=report.template,
            tlp=report.tlp,
            title=report.title,
            as_of=report.as_of,
            evidence_root=scan.evidence_root,
            versions=(f"mirage@{report.version}", *modules),
            members=tuple(members),
            absent=tuple(absent),
            bodies=bodies,
        )

    async def _sign(self, manifest: bytes) -> tuple[bytes, bytes]:
        """The signature of the workspace, and the keys by which it is verified."""
        statement = ReportStatement(
            workspace=self._caller.workspace,
            report=self._report.id,
            scan=self._report.scan,
            as_of=self._report.as_of,
            manifest=bundles.digest(manifest),
        )
        calls, workspace = self._ports.calls, WorkspaceRef(self._caller.workspace)
        question = NewStatement(bundles.write_statement(statement))
        signed = await calls.ask(e.SIGN_STATEMENT, question, self._caller)
        keys = await calls.ask(e.PUBLISH_WORKSPACE_KEYS, workspace, self._caller)
        return signed.signed.encode(), _encode(keys)


def entity_line(facts: EntityFacts) -> dict[str, Any]:
    """What is said of an entity, as a line of a bundle."""
    return {
        "layer": "entity",
        **_named(facts.entity),
        "role": facts.role,
        "distance": facts.distance,
        "first_seen": facts.first_seen,
        "last_seen": facts.last_seen,
        "said": _said(facts.said),
        "attributes": [{"name": a.name, "value": a.value, "said": _said(a.said)} for a in facts.attributes],
        "absences": [{"predicate": a.predicate, "said": _said(a.said)} for a in facts.absences],
    }


def relation_line(facts: RelationFacts) -> dict[str, Any]:
    return {
        "layer": "relation",
        "id": facts.id.hex(),
        "type": facts.type,
        "source": _named(facts.source),
        "target": _named(facts.target),
        "qualifiers": dict(sorted(facts.qualifiers.items())),
        "details": dict(sorted(facts.details.items())),
        "said": _said(facts.said),
    }


def _named(entity: Entity) -> dict[str, Any]:
    return {"id": entity.id.hex(), "type": entity.type, "key": entity.key, "value": entity.value}


def _said(said: Iterable[SaidBy]) -> list[dict[str, Any]]:
    return [
        {
            "module": f"{each.module}@{each.version}",
            "at": each.at,
            "confidence": each.confidence,
            "evidence": [record.hex() for record in each.evidence],
        }
        for each in said
    ]


async def _lines(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def _info(name: str) -> ZipInfo:
    info = ZipInfo(name, _NEVER)
    info.compress_type = ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o600 << 16
    return info
