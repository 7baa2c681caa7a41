"""Every exchange of a work item with the outside: journalled before it is used, made once, found again in a replay."""

import asyncio
import hashlib
import html
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import quote, quote_plus
from uuid import UUID

from msgspec import Struct

from services.collector.budget import PATIENCE, Account, Budget, Wait
from services.collector.context import (
    Blocked,
    Nameless,
    RateLimited,
    Refused,
    Skipped,
    SourceError,
    Unauthorised,
    Unreachable,
)
from services.collector.journal import Journal, digest
from services.collector.manifest import Manifest
from services.collector.store import JournalRow, may_pass
from services.contracts.evidence import EvidenceRecord, seal
from services.kernel.messages import now

#: How a failure is written into a record, and read from it.
FAILURES: Final[dict[str, type[SourceError]]] = {
    "nameless": Nameless,
    "refused": Refused,
    "unreachable": Unreachable,
    "blocked": Blocked,
    "unauthorised": Unauthorised,
    "skipped": Skipped,
}
MASK: Final = "***"


class Performed(Struct, frozen=True, kw_only=True):
    """What became of a request: an answer, a failure, or an answer that is one.

    ``shared``: another item made the request, and what it says of the source was noted then.
    """

    at: int = 0
    elapsed: int = 0
    peer: str = ""
    status: str = ""
    head: str = ""
    body: bytes | None = None
    failure: SourceError | None = None
    tls_error: str = ""
    truncated: bool = False
    egress: str = "direct"
    shared: bool = False


class Owner(Struct, frozen=True):
    """Whose journal an exchange is in."""

    workspace: UUID
    scan: UUID
    item: UUID
    turn: int


Recorded = dict[bytes, tuple[int, EvidenceRecord]]


class Exchanges:
    """The exchanges of one work item.

    ``recorded`` is what its journal has already; ``offline``: only that. ``made`` counts requests that left.
    """

    def __init__(
        self, journal: Journal, budget: Budget, manifest: Manifest, owner: Owner, recorded: Recorded, *, offline: bool
    ) -> None:
        self._journal = journal
        self._budget = budget
        self._manifest = manifest
        self._owner = owner
        self._recorded = recorded
        self._offline = offline
        self._ordinals: dict[bytes, int] = {}
        self.made = 0
        self.records: dict[bytes, EvidenceRecord] = {}
        self._raised: SourceError | None = None
        self._secrets: tuple[str, ...] = ()
        self._key_used = ""
        self._asked: Account | None = None

    @property
    def workspace(self) -> UUID:
        return self._owner.workspace

    @property
    def turn(self) -> int:
        return self._owner.turn

    async def make(
        self,
        protocol: str,
        request: str,
        perform: Callable[[], Awaitable[Performed]],
        payload: bytes = b"",
        *,
        host: str = "",
        shared: bool = False,
        counted: bool = True,
    ) -> tuple[EvidenceRecord, bytes]:
        """Return the record and body of ``request``, from the journal or by ``perform``; raise its failure.

        What counts is what was written first, be it by another attempt at the same item. ``request`` names it without
        secrets; ``payload`` is what else tells it from others; ``host`` is who is asked. ``shared``: other items may
        take the answer, and ``perform`` pays itself, if the request leaves at all. ``counted``: to make it again is to
        make another one.
        """
        key = self._request_key(protocol, request, payload) if counted else digest_of(protocol, request, payload)
        recorded = self._recorded.get(key)
        if recorded is not None and (recorded[0] >= self._owner.turn or not may_pass(recorded[1])):
            record = recorded[1]
            self.records[record.id] = record
            self._raise_failure(record)
            return record, await self._journal.body(self._owner.workspace, record)
        if self._offline:
            raise Skipped("not recorded")
        if not shared:
            await self.pay(host)
        performed = await perform()
        record, body = self._record(protocol, request, key, performed)
        owner = self._owner
        row = JournalRow(owner.workspace, owner.item, owner.scan, owner.turn, record)
        kept = await self._journal.write(row, body, shared=shared)
        self.records[kept.id] = kept
        if not performed.shared:
            await self._note(performed, self._account(host))
        self._raise_failure(kept)
        if kept.id != record.id:
            return kept, await self._journal.body(self._owner.workspace, kept)
        return record, body or b""

    async def find_answer(self, protocol: str, request: str, payload: bytes, seconds: int) -> Performed | None:
        """What another item of the scan was answered to the same request within the last ``seconds``.

        So what items share stays shared when the process that asked has died.
        """
        owner = self._owner
        record = await self._journal.find_answer(owner.workspace, owner.scan, digest_of(protocol, request, payload))
        if record is None or record.at < now() - seconds * 1_000_000:
            return None
        return Performed(
            at=record.at,
            elapsed=record.elapsed,
            peer=record.peer,
            status=record.status,
            head=record.head,
            body=None if record.blob is None else await self._journal.body(owner.workspace, record),
            tls_error=record.tls_error,
            truncated=record.truncated,
            egress=record.egress,
            shared=True,
        )

    def conceal(self, secret: str) -> None:
        """Keep a secret out of all that is written from now on, in every spelling that an answer may echo it in."""
        spellings = {
            *self._secrets,
            secret,
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            html.escape(secret),
        }
        self._secrets = tuple(sorted(filter(None, spellings), key=len, reverse=True))

    def mask(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def _request_key(self, protocol: str, request: str, payload: bytes) -> bytes:
        key = digest_of(protocol, request, payload)
        ordinal = self._ordinals[key] = self._ordinals.get(key, -1) + 1
        return key if not ordinal else hashlib.sha256(key + ordinal.to_bytes(4, "big")).digest()

    def use_key(self, secret: str) -> None:
        """Count what is asked from now on under a key, and keep it out of all that is written."""
        self.conceal(secret)
        self._key_used = secret

    def _account(self, host: str) -> Account:
        return self._budget.account(self._manifest, host, self._key_used)

    async def pay(self, host: str = "") -> None:
        """Take one request to ``host`` from the budget of the source and count it as made.

        Raises:
            Wait: there will be one soon. RateLimited: there will be none for long. Unreachable: the source is away.
        """
        self._asked = account = self._account(host)
        if self._manifest.hosts and (broken := await self._budget.broken(account)) is not None:
            raise Unreachable(broken)
        while (wait := await self._budget.take(account)) > 0:
            if (refused := account.too_long(wait)) is not None:
                self._raised = RateLimited(*refused)
                raise self._raised
            if wait > PATIENCE:
                raise Wait(wait)
            await asyncio.sleep(wait)
        used_up = await self._budget.spend(account, self.workspace)
        if used_up is not None:
            self._raised = RateLimited(used_up.reason, used_up.seconds)
            raise self._raised
        self.made += 1

    def _record(
        self, protocol: str, request: str, key: bytes, performed: Performed
    ) -> tuple[EvidenceRecord, bytes | None]:
        body = performed.body
        if body is not None:
            body = self._mask_bytes(body)
        record = EvidenceRecord(
            id=b"",
            protocol=protocol,
            request=self.mask(request),
            key=key,
            at=performed.at or now(),
            elapsed=performed.elapsed,
            egress=performed.egress,
            peer=performed.peer,
            status=performed.status,
            head=self.mask(performed.head),
            blob=None if body is None else digest(body),
            size=0 if body is None else len(body),
            error="" if performed.failure is None else self.mask(describe(performed.failure)),
            tls_error=performed.tls_error,
            truncated=performed.truncated,
        )
        return seal(record), body

    def _mask_bytes(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret.encode(), MASK.encode())
        return body

    async def _note(self, performed: Performed, account: Account) -> None:
        """Tell the budget how the source fared; one that answers with a refusal is not away, and targets have none."""
        failure = performed.failure
        if isinstance(failure, RateLimited):
            await self._budget.pause(account, failure.after)
        elif isinstance(failure, Unreachable) and performed.status[:1] in {"", "5"}:
            if self._manifest.hosts:
                await self._budget.failed(account, self.mask(str(failure)))
        else:
            self._budget.answered(account)

    async def rest(self, failure: RateLimited) -> None:
        """Leave the source alone for as long as a module read in an answer; what was raised here is known already."""
        if failure is not self._raised and not self._offline:
            await self._budget.pause(self._asked or self._account(""), failure.after)

    def _raise_failure(self, record: EvidenceRecord) -> None:
        if record.error:
            self._raised = recall(record.error)
            raise self._raised


def digest_of(protocol: str, request: str, payload: bytes) -> bytes:
    """The request key, the same in every item; an item that asks again counts on from it."""
    return hashlib.sha256(f"{protocol}\n{request}\n".encode() + payload).digest()


def describe(failure: SourceError) -> str:
    """Write a failure down so that `recall` finds it again."""
    if isinstance(failure, RateLimited):
        after = "" if failure.after is None else f"{failure.after:g}"
        return f"rate_limited {after}: {failure}"
    kind = next(name for name, form in FAILURES.items() if isinstance(failure, form))
    return f"{kind}: {failure}"


def recall(error: str) -> SourceError:
    """The failure that a record's ``error`` stands for."""
    kind, _, reason = error.partition(": ")
    name, _, after = kind.partition(" ")
    if name == "rate_limited":
        with suppress(ValueError):
            return RateLimited(reason, float(after) if after else None)
    return FAILURES.get(name, Unreachable)(reason)
