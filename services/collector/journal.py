"""The request journal: what was asked and answered is on disk before anything is made of it."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from services.collector import store
from services.collector.group import GroupCommit
from services.contracts.evidence import EvidenceRecord
from services.kernel.blobs import Blob, Blobs
from services.kernel.sql import Sql


class Journal:
    """Writes exchanges in groups; `run` is the writer and must be running for `write` to return."""

    def __init__(self, sql: Sql, blobs: Blobs) -> None:
        self._sql = sql
        self._blobs = blobs
        self._group: GroupCommit[tuple[store.JournalRow, bytes | None], EvidenceRecord] = GroupCommit(self._commit)
        self.run = self._group.run

    async def write(self, row: store.JournalRow, body: bytes | None) -> EvidenceRecord:
        """Keep an exchange and its body durably; return the record that counts, which is the first one written."""
        return await self._group.put((row, body))

    async def body(self, workspace: UUID, record: EvidenceRecord) -> bytes:
        """The body of a recorded exchange; empty when it has none."""
        return b"" if record.blob is None else await self._blobs.get(workspace, record.blob)

    async def recorded(
        self, workspace: UUID, items: Sequence[UUID]
    ) -> dict[UUID, dict[bytes, tuple[int, EvidenceRecord]]]:
        """What is journalled for ``items``: per item, request key to turn and record."""
        async with self._sql.read() as view:
            return await store.read_exchanges(view, workspace, items)

    async def find_answer(self, workspace: UUID, scan: UUID, key: bytes) -> EvidenceRecord | None:
        """The latest answer in the journal of any item of ``scan`` to the same request."""
        async with self._sql.read() as view:
            return await store.find_answer(view, workspace, scan, key)

    async def _commit(self, group: Sequence[tuple[store.JournalRow, bytes | None]]) -> list[EvidenceRecord]:
        by_workspace: dict[UUID, list[Blob]] = {}
        for row, body in group:
            if body is not None and row.record.blob is not None:
                by_workspace.setdefault(row.workspace, []).append(Blob(row.record.blob, body))
        for workspace, blobs in by_workspace.items():
            await self._blobs.put(workspace, blobs)
        async with self._sql.begin() as tx:
            kept = await store.write_exchanges(tx, [row for row, _ in group])
        return [kept.get(row.place, row.record) for row, _ in group]


def digest(body: bytes) -> bytes:
    """The name of a body among the blobs."""
    return hashlib.sha256(body).digest()
