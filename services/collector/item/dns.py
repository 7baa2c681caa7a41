"""The DNS that a module sees: chunks of questions with their evidence, and wildcards known for what they are."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from services.collector.context import Dns, DnsAnswer, Skipped, Unreachable
from services.collector.item.exchange import Exchanges, Performed
from services.collector.item.http import failure_of
from services.collector.item.permit import Permit
from services.collector.resolve import Answer, Resolver, TransferFailed, Wildcards, transcript
from services.contracts.evidence import EvidenceRecord
from services.kernel import egress
from services.kernel.egress import EgressError
from services.kernel.messages import now

CHUNK: Final = 1000
#: Chunks that one sweep is ahead, where all sweeps together leave room for them.
CHUNKS_AHEAD: Final = 16
ADDRESS_TYPES: Final = frozenset({"A", "AAAA", "CNAME"})

#: Asks, and returns the answers and whom they came from.
Ask = Callable[[], Awaitable[tuple[list[Answer], str]]]


class Verdict(Struct, frozen=True):
    """Names whose answer a wildcard gives, names whose level could not be probed, and the probes that show it."""

    members: frozenset[str] = frozenset()
    unjudged: frozenset[str] = frozenset()
    probes: dict[bytes, EvidenceRecord] = {}


class ScanWildcards:
    """The wildcards of one scan: probed once per level, journalled under the scan itself."""

    def __init__(self, resolver: Resolver, exchanges: Exchanges, salt: str) -> None:
        self._resolver = resolver
        self._exchanges = exchanges
        self._wildcards = Wildcards(self._ask, salt.encode())
        self._learning = asyncio.Lock()
        self._records: dict[str, dict[bytes, EvidenceRecord]] = {}

    async def judge(self, answers: Sequence[Answer], turn: int) -> "Verdict":
        """Tell an item in its ``turn`` which of ``answers`` a wildcard gives, and of which names nobody can say."""
        found = [answer for answer in answers if answer.status == "found" and answer.type in ADDRESS_TYPES]
        if not found:
            return Verdict()
        async with self._learning:
            await self._wildcards.learn(found, turn)
        judged = [answer for answer in found if not self._wildcards.is_unknown(answer.name, answer.type)]
        members = frozenset(answer.name for answer in judged if self._wildcards.is_member(answer.name, answer))
        # A host by one type is one by all: a wildcard answers only for names that do not exist (RFC 4592).
        unjudged = frozenset(answer.name for answer in found) - {answer.name for answer in judged}
        records: dict[bytes, EvidenceRecord] = {}
        for name in sorted(members | unjudged):
            level = name
            while "." in level:
                level = level.partition(".")[2]
                records.update(self._records.get(level, {}))
        return Verdict(members, unjudged, records)

    async def _ask(self, pairs: Sequence[tuple[str, str]]) -> list[Answer]:
        by_level: dict[str, list[tuple[str, str]]] = {}
        for name, kind in pairs:
            by_level.setdefault(name.partition(".")[2], []).append((name, kind))
        answers: list[Answer] = []
        for level, asked in sorted(by_level.items()):
            record, given = await ask_chunk(
                self._resolver, self._exchanges, sorted(asked), f"probes below {level}", probes=True
            )
            self._records.setdefault(level, {})[record.id] = record
            answers += given
        return answers


class ItemDns(Dns):
    """DNS for one work item."""

    def __init__(self, resolver: Resolver, exchanges: Exchanges, permit: Permit, wildcards: ScanWildcards) -> None:
        self._resolver = resolver
        self._exchanges = exchanges
        self._permit = permit
        self._wildcards = wildcards

    async def ask(self, name: str, *types: str) -> DnsAnswer:
        """See `Dns.ask`."""
        record, answers = await ask_chunk(
            self._resolver, self._exchanges, [(name, kind) for kind in types], f"{','.join(types)} {name}"
        )
        return await self._answer(record, answers, judged=self._permit.scope.covers_name(name))

    async def ask_each(self, names: Sequence[str], type: str = "A") -> DnsAnswer:
        """See `Dns.ask_each`."""
        pairs = [(name, type) for name in names]
        record, answers = await ask_chunk(self._resolver, self._exchanges, pairs, f"{type} {' '.join(names)}")
        return await self._answer(record, answers, judged=False)

    async def sweep(self, names: Iterable[str], type: str = "A") -> AsyncIterator[DnsAnswer]:
        """See `Dns.sweep`; chunks come as they are complete, so that a slow name holds up only its own."""
        remaining = self._not_excluded(names)
        room = self._resolver.room
        asked: set[asyncio.Task[DnsAnswer]] = set()
        held, more = 0, True
        try:
            while True:
                while more and (not asked or (len(asked) < CHUNKS_AHEAD and not room.locked())):
                    await room.acquire()
                    held += 1
                    chunk = list(islice(remaining, CHUNK))
                    more = bool(chunk)
                    if chunk:
                        asked.add(asyncio.create_task(self._sweep_chunk(chunk, type)))
                if not asked:
                    return
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
                while held > len(asked):
                    room.release()
                    held -= 1
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            for _ in range(held):
                room.release()

    def _not_excluded(self, names: Iterable[str]) -> Iterator[str]:
        """Made up names are nobody's subject, so what was ruled out of the scope is left out here."""
        scope = self._permit.scope
        return (name for name in names if not scope.excludes_name(name)) if scope.excludes else iter(names)

    async def _sweep_chunk(self, names: list[str], type: str) -> DnsAnswer:
        fingerprint = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        record, answers = await ask_chunk(
            self._resolver,
            self._exchanges,
            [(name, type) for name in names],
            f"{type} of {len(names)} names from {names[0]} to {names[-1]} ({fingerprint})",
        )
        return await self._answer(record, answers, judged=True)

    async def _answer(self, record: EvidenceRecord, answers: Sequence[Answer], *, judged: bool) -> DnsAnswer:
        verdict = await self._wildcards.judge(answers, self._exchanges.turn) if judged else Verdict()
        self._exchanges.records.update(verdict.probes)
        return DnsAnswer(
            at=record.at,
            records=(record.id, *verdict.probes),
            resolutions=tuple(answers),
            members=verdict.members,
            unjudged=verdict.unjudged,
        )

    async def ask_at(self, server: str, name: str, *types: str) -> DnsAnswer:
        """See `Dns.ask_at`."""
        self._permit.name_server(server)

        async def perform() -> tuple[list[Answer], str]:
            try:
                answers = [await self._resolver.ask_at(server, name, kind, allow=self._permit.guard) for kind in types]
            except EgressError as error:
                raise Skipped(str(error)) from error
            return answers, server

        record, answers = await _journalled(self._exchanges, f"{','.join(types)} {name} @{server}", perform)
        return DnsAnswer(at=record.at, records=(record.id,), resolutions=tuple(answers))

    async def transfer(self, server: str, zone: str, *, max_records: int = 100_000) -> DnsAnswer:
        """See `Dns.transfer`."""
        self._permit.name_server(server)

        async def perform() -> tuple[list[Answer], str]:
            answers: list[Answer] = []
            count = 0
            try:
                async for part in self._resolver.transfer(server, zone, allow=self._permit.guard):
                    count += len(part.records)
                    answers.append(
                        Answer(zone, "AXFR", "found", 0, tuple(part.records), wire=part.wire, server=server, at=now())
                    )
                    if count >= max_records:
                        break
            except TransferFailed as error:
                if not answers:
                    return [Answer(zone, "AXFR", "refused", 5, server=server, at=now())], str(error)
            except EgressError as error:
                if not answers:
                    raise failure_of(error) from error
            return answers, server  # what came before it broke off is true as well

        record, answers = await _journalled(self._exchanges, f"AXFR {zone} @{server}", perform)
        return DnsAnswer(at=record.at, records=(record.id,), resolutions=tuple(answers))

    async def addresses(self, name: str) -> tuple[str, ...]:
        """See `Dns.addresses`."""

        async def perform() -> tuple[list[Answer], str]:
            found = await self._resolver.look_up(name)
            return list(found.answers), ""

        _, answers = await _journalled(self._exchanges, f"A,AAAA {name}", perform, b"addresses")
        found = tuple(record.data for answer in answers for record in answer.records if record.type == answer.type)
        if not found and not all(answer.asked for answer in answers):
            raise Unreachable(f"the resolvers cannot say where {name} is")
        return found


async def addresses_of(resolver: Resolver, name: str) -> tuple[str, ...]:
    """The addresses of a name for a client to dial; none when it has none, `Unreachable` when nobody can say."""
    found = await resolver.look_up(name)
    if not found.addresses and not all(answer.asked for answer in found.answers):
        raise egress.Unreachable(f"the resolvers cannot say where {name} is")
    return found.addresses


async def ask_chunk(
    resolver: Resolver,
    exchanges: Exchanges,
    pairs: Sequence[tuple[str, str]],
    request: str,
    *,
    probes: bool = False,
) -> tuple[EvidenceRecord, list[Answer]]:
    """Ask (name, type) pairs as one unit of journal and evidence.

    Probes are told apart by what they ask: rounds of several types are under way in no certain order, and one that was
    cut off with the item that needed it is made again by the next.
    """

    async def perform() -> tuple[list[Answer], str]:
        return await resolver.ask_all(pairs), ""

    payload = repr(pairs).encode() if probes else b""
    return await _journalled(exchanges, request, perform, payload, counted=not probes)


async def _journalled(
    exchanges: Exchanges, request: str, ask: Ask, payload: bytes = b"", *, counted: bool = True
) -> tuple[EvidenceRecord, list[Answer]]:
    given: list[Answer] = []
    mine: tuple[int, int] | None = None

    async def perform() -> Performed:
        nonlocal given, mine
        at = now()
        try:
            given, peer = await ask()
        except (Skipped, Unreachable) as failure:
            return Performed(at=at, elapsed=now() - at, failure=failure)
        mine = at, now() - at
        return Performed(
            at=at,
            elapsed=mine[1],
            peer=peer or (given[0].server if given else ""),
            status=summary(given),
            body=transcript.encode(given),
        )

    record, body = await exchanges.make("dns", request, perform, payload, counted=counted)
    # What another attempt wrote first is what counts.
    return record, given if mine == (record.at, record.elapsed) else transcript.decode(body)


def summary(answers: Sequence[Answer]) -> str:
    """How many answers there are of each status, for a person."""
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
