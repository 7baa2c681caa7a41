"""The request journal: what was asked and answered is on disk before anything is made of it."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from services.collector import store
from services.collector.group import GroupCommit
from services.contracts.evidence import EvidenceRecord
from services.kernel.blobs import Blob, Blobs
from services.kernel.messages import now
from services.kernel.outbox import Outbox
from services.kernel.sql import Sql, Tx

#: How many shared answers of a scan, and of how many scans, a process knows without looking into the journal.
ANSWERS_KNOWN: Final = 50_000
SCANS_KNOWN: Final = 64


class Journal:
    """Writes exchanges in groups; `run` is the writer and must be running for `write` to return."""

    def __init__(self, sql: Sql, blobs: Blobs) -> None:
        self._sql = sql
        self._blobs = blobs
        self._group: GroupCommit[tuple[store.JournalRow, bytes | None], EvidenceRecord] = GroupCommit(self._commit)
        self.run = self._group.run
        self._drops = 0
        #: Per scan the keys of all answers that may be shared; None where the journal may have others.
        self._answers: OrderedDict[tuple[UUID, UUID], set[bytes] | None] = OrderedDict()

    async def write(self, row: store.JournalRow, body: bytes | None, *, shared: bool = False) -> EvidenceRecord:
        """Keep an exchange and its body durably; return the record that counts, which is the first one written.

        ``shared``: other items may ask for it by `find_answer`.
        """
        answers = self._answers.get((row.workspace, row.scan))
        if shared and answers is not None:
            answers.add(row.record.key)
            if len(answers) > ANSWERS_KNOWN:
                self._answers[row.workspace, row.scan] = None
        return await self._group.put((row, body))

    async def keep(self, workspace: UUID, content: bytes, outbox: Outbox) -> bytes:
        """Keep bytes that somebody uploaded, whatever scans are deleted meanwhile; return their digest."""
        blob = Blob(digest(content), content)
        drops = await self._put_before(partial(self._blobs.put, workspace, [blob]))
        async with outbox.unit() as unit:
            await store.hold_bodies(unit.tx, [workspace])
            if self._drops != drops:
                await self._blobs.put(workspace, [blob])
            await store.write_upload(unit.tx, workspace, blob.digest, len(content), now())
        return blob.digest

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
        """The latest shared answer in the journal of any item of ``scan`` to the same request."""
        if (workspace, scan) not in self._answers:
            await self._look_into(workspace, scan)
        answers = self._answers.get((workspace, scan))
        if answers is not None and key not in answers:
            return None
        async with self._sql.read() as view:
            return await store.find_answer(view, workspace, scan, key)

    async def _look_into(self, workspace: UUID, scan: UUID) -> None:
        """A scan of which nothing is journalled yet has only the answers that are about to be written, by us."""
        async with self._sql.read() as view:
            begun = await store.is_begun(view, workspace, scan)
        alone = self._sql.sole_writer and not begun
        self._answers.setdefault((workspace, scan), set() if alone else None)
        while len(self._answers) > SCANS_KNOWN:
            self._answers.popitem(last=False)

    async def forget(self, tx: Tx, workspace: UUID, scan: UUID) -> None:
        """Drop the exchanges of a scan, within the transaction that is to forget it, and bodies that only it had."""
        await store.hold_bodies(tx, [workspace], alone=True)
        unreferred = await store.delete_scan(tx, workspace, scan)
        await self._drop(workspace, unreferred)

    async def forget_upload(self, tx: Tx, workspace: UUID, words: bytes, until: int) -> None:
        """Drop a word list that was not uploaded again after a time, and its body where nothing else has it."""
        await store.hold_bodies(tx, [workspace], alone=True)
        await store.delete_upload(tx, workspace, words, until)
        await self._drop(workspace, await store.unreferred(tx, workspace, [words]))

    async def _drop(self, workspace: UUID, digests: Sequence[bytes]) -> None:
        """Drop bodies; only while they are held alone, so that no exchange that has one of them is being written."""
        if digests:
            await self._blobs.drop(workspace, digests)
            self._drops += 1

    async def _commit(self, group: Sequence[tuple[store.JournalRow, bytes | None]]) -> list[EvidenceRecord]:
        drops = await self._put_before(partial(self._put, group))
        async with self._sql.begin() as tx:
            await store.hold_bodies(tx, (row.workspace for row, _ in group))
            if self._drops != drops:
                await self._put(group)
            kept, late = await store.write_exchanges(tx, [row for row, _ in group])
        for workspace in {row.workspace for row in late}:
            bodies = [row.record.blob for row in late if row.workspace == workspace and row.record.blob is not None]
            async with self._sql.begin() as tx:
                await store.hold_bodies(tx, [workspace], alone=True)
                await self._drop(workspace, await store.unreferred(tx, workspace, bodies))
        return [kept.get(row.place, row.record) for row, _ in group]

    async def _put_before(self, put: Callable[[], Awaitable[None]]) -> int:
        """Keep bodies before the transaction that is to refer to them; return what `_drops` is if that was enough.

        A body that was there already may be dropped until the transaction holds them all; where others drop too, nobody
        here knows of it, and bodies are put when they are held.
        """
        if not self._sql.sole_writer:
            return -1
        drops = self._drops
        await put()
        return drops

    async def _put(self, group: Sequence[tuple[store.JournalRow, bytes | None]]) -> None:
        by_workspace: dict[UUID, list[Blob]] = {}
        for row, body in group:
            if body is not None and row.record.blob is not None:
                by_workspace.setdefault(row.workspace, []).append(Blob(row.record.blob, body))
        for workspace, blobs in by_workspace.items():
            await self._blobs.put(workspace, blobs)


def digest(body: bytes) -> bytes:
    """The name of a body among the blobs."""
    return hashlib.sha256(body).digest()
