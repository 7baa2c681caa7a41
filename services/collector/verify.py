"""Checks every byte that the claims of a scan rest on, and that the claims are those that were made."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts.claims import claim_key, claim_line
from services.contracts.endpoints import GET_SCAN, LIST_CLAIMS, LIST_RECORDS
from services.contracts.evidence import DIGEST_BYTES, Digests, EvidenceRecord, merkle_root, record_digest
from services.contracts.resources import Checked, ClaimsQuery, ClaimView, Fault, FaultKind, ScanId, ScanRef, Verified
from services.kernel.calls import Caller
from services.kernel.errors import Corrupt, NotFound
from services.kernel.service import Ports

#: How many claims one piece of an answer names; a fault has as many pieces as that takes.
CLAIMS_IN_PIECE: Final = 1000
BODIES_REMEMBERED: Final = 1000


async def verify_scan(ports: Ports, caller: Caller, scan: UUID) -> AsyncGenerator[Verified, None]:
    """Yield each fault with the claims that rest on it, and at the end the counts of what was looked at."""
    ids = Digests()
    bodies = Bodies(ports, caller.workspace)
    records = blobs = 0
    async with aclosing(ports.calls.follow(LIST_RECORDS, ScanId(scan), caller)) as views:
        async for view in views:
            record = view.record
            records += 1
            if len(record.id) == DIGEST_BYTES:
                ids.add(record.id)
            blobs += record.blob is not None
            for kind in await _faults_in(record, bodies):
                async for piece in _pieces(_fault(kind, record), _resting_on(ports, caller, scan, record)):
                    yield Verified(fault=piece)
    root = (await ports.calls.ask(GET_SCAN, ScanRef(str(scan)), caller)).evidence_root
    if root is not None and merkle_root(ids).hex() != root:
        differs = Fault(kind="root differs", artefact=root)
        async for piece in _pieces(differs, _resting_on_nothing(ports, caller, scan, set(ids))):
            yield Verified(fault=piece)
    claims = 0
    async with aclosing(ports.calls.follow(LIST_CLAIMS, ClaimsQuery(scan=scan, withdrawn=True), caller)) as told:
        async for claim in told:
            claims += 1
            if claim_key(claim.claim, claim.module, claim.version).hex() != claim.key:
                yield Verified(fault=Fault(kind="claim altered", artefact=claim.key, claims=(_line(claim),)))
    yield Verified(checked=Checked(records=records, blobs=blobs, claims=claims))


class Bodies:
    """Bodies of a workspace, each looked at once for those records in a row that share it."""

    def __init__(self, ports: Ports, workspace: UUID) -> None:
        self._ports = ports
        self._workspace = workspace
        self._faults: OrderedDict[bytes, FaultKind | None] = OrderedDict()

    async def fault(self, digest: bytes) -> FaultKind | None:
        """What is wrong with a body; None when nothing is."""
        if digest not in self._faults:
            self._faults[digest] = await self._look_at(digest)
            while len(self._faults) > BODIES_REMEMBERED:
                self._faults.popitem(last=False)
        return self._faults[digest]

    async def _look_at(self, digest: bytes) -> FaultKind | None:
        try:
            content = await self._ports.blobs.get(self._workspace, digest)
        except NotFound:
            return "blob missing"
        except Corrupt:
            return "blob altered"
        return None if hashlib.sha256(content).digest() == digest else "blob altered"


async def _faults_in(record: EvidenceRecord, bodies: Bodies) -> list[FaultKind]:
    found: list[FaultKind] = ["record altered"] if record_digest(record) != record.id else []
    fault = None if record.blob is None else await bodies.fault(record.blob)
    return found if fault is None else [*found, fault]


def _fault(kind: FaultKind, record: EvidenceRecord) -> Fault:
    artefact = record.id if kind == "record altered" or record.blob is None else record.blob
    return Fault(kind=kind, artefact=artefact.hex(), request=record.request)


async def _pieces(fault: Fault, claims: AsyncGenerator[ClaimView, None]) -> AsyncGenerator[Fault, None]:
    """Yield a fault with all of ``claims``, in as many pieces as that takes."""
    lines: list[str] = []
    async with aclosing(claims):
        async for view in claims:
            if len(lines) == CLAIMS_IN_PIECE:
                yield replace(fault, claims=tuple(lines), more=True)
                lines.clear()
            lines.append(_line(view))
    yield replace(fault, claims=tuple(lines))


def _line(view: ClaimView) -> str:
    return f"{view.module}: {claim_line(view.claim)}"


async def _resting_on(
    ports: Ports, caller: Caller, scan: UUID, record: EvidenceRecord
) -> AsyncGenerator[ClaimView, None]:
    """The claims that cite a record."""
    query = ClaimsQuery(scan=scan, record=record.id.hex())
    async with aclosing(ports.calls.follow(LIST_CLAIMS, query, caller)) as claims:
        async for view in claims:
            yield view


async def _resting_on_nothing(
    ports: Ports, caller: Caller, scan: UUID, ids: Collection[bytes]
) -> AsyncGenerator[ClaimView, None]:
    """The claims that cite a record which is not there."""
    async with aclosing(ports.calls.follow(LIST_CLAIMS, ClaimsQuery(scan=scan), caller)) as claims:
        async for view in claims:
            if any(bytes.fromhex(identity) not in ids for identity in view.evidence):
                yield view
