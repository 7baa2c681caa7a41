"""What the DNS said of a name in the evidence of work items, be it that nothing was claimed of it."""

from collections.abc import Sequence
from uuid import UUID

from services.collector.journal import Journal
from services.collector.resolve import Answer, BadMessage, transcript
from services.contracts.evidence import EvidenceRecord
from services.contracts.resources import Trace, TraceAnswer, TraceQuery
from services.kernel.errors import Corrupt, Invalid
from services.kernel.messages import derive

MOST_ITEMS = 1000


async def trace(journal: Journal, workspace: UUID, query: TraceQuery) -> tuple[Trace, ...]:
    """Look for a name in the transcripts of items; of those that have no evidence nothing is said."""
    if len(query.items) > MOST_ITEMS:
        raise Invalid(f"at most {MOST_ITEMS} work items are looked at at a time")
    wildcards = derive(query.scan, "wildcards")
    recorded = await journal.recorded(workspace, [*query.items, wildcards])
    below = f"probes below {query.name.partition('.')[2]}"
    probes = tuple(record.id.hex() for _, record in recorded.pop(wildcards, {}).values() if record.request == below)
    traces = []
    for item, exchanges in recorded.items():
        records = sorted((record for _, record in exchanges.values()), key=lambda record: record.at)
        names, answers = await _look_through(journal, workspace, query.name, records)
        traces.append(
            Trace(
                item=item,
                names=len(names),
                answers=tuple(_found(record, answer, probes) for record, answer in answers),
                failures=tuple(record.id.hex() for record in records if record.error),
            )
        )
    return tuple(traces)


async def _look_through(
    journal: Journal, workspace: UUID, name: str, records: Sequence[EvidenceRecord]
) -> tuple[set[str], list[tuple[EvidenceRecord, Answer]]]:
    """All names that were asked for, and each answer for the one with its record."""
    asked: set[str] = set()
    answers: list[tuple[EvidenceRecord, Answer]] = []
    for record in records:
        if record.protocol != "dns" or record.blob is None:
            continue
        content = await journal.body(workspace, record)
        try:
            names = transcript.names(content)
            asked.update(names)
            if name in names:
                answers += [(record, answer) for answer in transcript.decode(content) if answer.name == name]
        except BadMessage as error:
            raise Corrupt(f"the evidence {record.id.hex()[:16]}: {error}") from error
    return asked, answers


def _found(record: EvidenceRecord, answer: Answer, probes: tuple[str, ...]) -> TraceAnswer:
    return TraceAnswer(
        type=answer.type, status=answer.status, record=record.id.hex(), probes=probes if answer.records else ()
    )
