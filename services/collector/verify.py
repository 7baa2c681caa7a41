"""Checks every byte that the claims of a scan rest on."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from services.contracts.claims import claim_line
from services.contracts.endpoints import GET_SCAN, LIST_CLAIMS, LIST_RECORDS
from services.contracts.evidence import EvidenceRecord, merkle_root, record_digest
from services.contracts.resources import ClaimsQuery, ScanId, ScanRef, Verified
from services.kernel.calls import Caller
from services.kernel.errors import Corrupt, NotFound
from services.kernel.service import Ports

CLAIMS_NAMED = 1000


async def verify_scan(ports: Ports, caller: Caller, scan: UUID) -> AsyncGenerator[Verified, None]:
    """Yield each fault with the claims that rest on it, and at the end the counts of what was sound."""
    ids: list[bytes] = []
    blobs = 0
    async with aclosing(ports.calls.follow(LIST_RECORDS, ScanId(scan), caller)) as views:
        async for view in views:
            record = view.record
            ids.append(record.id)
            if record_digest(record) != record.id:
                yield await _fault(ports, caller, scan, "record altered", record)
            if record.blob is not None:
                blobs += 1
                fault = await _blob_fault(ports, caller.workspace, record.blob)
                if fault:
                    yield await _fault(ports, caller, scan, fault, record)
    found = await ports.calls.ask(GET_SCAN, ScanRef(str(scan)), caller)
    if found.evidence_root is not None and merkle_root(ids) != found.evidence_root:
        yield Verified(fault="root differs", artefact=found.evidence_root.hex())
    yield Verified(fault="", records=len(ids), blobs=blobs)


async def _blob_fault(ports: Ports, workspace: UUID, digest: bytes) -> str:
    try:
        content = await ports.blobs.get(workspace, digest)
    except NotFound:
        return "blob missing"
    except Corrupt:
        return "blob altered"
    return "" if hashlib.sha256(content).digest() == digest else "blob altered"


async def _fault(ports: Ports, caller: Caller, scan: UUID, fault: str, record: EvidenceRecord) -> Verified:
    lines: list[str] = []
    query = ClaimsQuery(scan=scan, record=record.id.hex())
    async with aclosing(ports.calls.follow(LIST_CLAIMS, query, caller)) as claims:
        async for view in claims:
            lines.append(f"{view.module}: {claim_line(view.claim)}")
            if len(lines) == CLAIMS_NAMED:
                break
    artefact = record.id if fault == "record altered" or record.blob is None else record.blob
    return Verified(fault=fault, artefact=artefact.hex(), request=record.request, claims=tuple(lines))  # type: ignore[arg-type]
