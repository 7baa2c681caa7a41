"""Why a scan does not report a name, as its work and the evidence tell: who gave no answer, what was guessed."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final
from uuid import UUID

from services.cli.hull import Hull
from services.cli.text import clean, count
from services.contracts.claims import Entity, Relation
from services.contracts.endpoints import LIST_ITEMS, TRACE_NAME
from services.contracts.facts import ANSWERED, Outcome
from services.contracts.resources import Item, ItemsQuery, Scan, SourceState, Trace, TraceAnswer, TraceQuery
from services.contracts.subjects import CarriedSubject, Level
from services.kernel.calls import Caller

#: Sources without an answer that are named, and records that are cited, where there may be many.
NAMED: Final = 12
CITED: Final = 3
PAGE: Final = 1000
#: What the DNS says of a name that has no address; all else is no answer.
NEGATIVE: Final = {"nxdomain": "NXDOMAIN, there is no such name", "nodata": "that it has no address"}


class Evidence:
    """The work items of a scan, and what the evidence of each says of one value."""

    def __init__(self, hull: Hull, caller: Caller, scan: UUID, value: str) -> None:
        self._hull = hull
        self._caller = caller
        self._scan = scan
        self._value = value

    async def items(self, module: str, outcome: Outcome | None = None) -> AsyncIterator[Item]:
        """The items of a module."""
        after = ""
        while True:
            query = ItemsQuery(scan=self._scan, module=module, outcome=outcome, after=after, limit=PAGE)
            page = await self._hull.calls.ask(LIST_ITEMS, query, self._caller)
            for item in page:
                yield item
            if len(page) < PAGE:
                return
            after = page[-1].id.hex

    async def of(self, items: Sequence[Item]) -> dict[UUID, Trace]:
        """What there is of some items."""
        query = TraceQuery(scan=self._scan, items=tuple(item.id for item in items[:PAGE]), name=self._value)
        return {trace.item: trace for trace in await self._hull.calls.ask(TRACE_NAME, query, self._caller)}


async def asked_about(evidence: Evidence, scan: Scan, items: Sequence[Item]) -> list[str]:
    """What came of the items about it, a sentence for all of a module that went the same way."""
    traces = await evidence.of([item for item in items if item.state == "done" and item.outcome not in ANSWERED])
    said: dict[str, list[str]] = {}
    numbers: dict[str, int] = {}
    for item in items:
        sentence = _asked(scan, item)
        numbers[sentence] = numbers.get(sentence, 0) + 1
        trace = traces.get(item.id)
        if trace is not None:
            said.setdefault(sentence, []).extend([*trace.failures, *(answer.record for answer in trace.answers)])
    return [f"{sentence}{_times(number)}{cited(said.get(sentence, ()))}." for sentence, number in numbers.items()]


def _times(number: int) -> str:
    return f" ({count(number, 'item')})" if number > 1 else ""


async def never_seen(evidence: Evidence, scan: Scan, name: str) -> list[str]:
    """What those say who could have named it: sources that gave no answer, and the guesses beside it."""
    reasons: list[str] = []
    for source in scan.sources:
        if source.activity == "guess":
            reasons += await _guessed(evidence, scan, source, name)
    silent = [source for source in scan.sources if source.outcomes.keys() - ANSWERED and source.activity != "guess"]
    for source in silent[:NAMED]:
        reasons.append(await _gave_no_answer(evidence, source))
    return reasons


async def _guessed(evidence: Evidence, scan: Scan, source: SourceState, name: str) -> list[str]:
    """What a module that guesses did beside a name: asked for it, asked for others, or did not come to it."""
    beside = [item async for item in evidence.items(source.module) if _is_below(name, item.subject)]
    if not beside:
        return [f"not asked: {source.module} was given no level above it to guess at."]
    traces = await evidence.of(beside)
    reasons = [
        _told(source.module, answer) for item in beside if item.id in traces for answer in traces[item.id].answers
    ]
    if reasons:
        return list(dict.fromkeys(reasons))
    reasons = [
        f"{_asked(scan, item)}, below {clean(_zone_of(item.subject))}{cited(_failures(traces, item))}."
        for item in beside
        if item.state != "done" or item.outcome not in ANSWERED
    ]
    done = [item for item in beside if item.outcome in ANSWERED]
    if done:
        tried = sum(traces[item.id].names for item in done if item.id in traces)
        zones = ", ".join(dict.fromkeys(clean(_zone_of(item.subject)) for item in done[:CITED]))
        why = "its word is not in the list" if source.module == "brute" else "it does not follow from known names"
        reasons.append(
            f"not among the guesses: {source.module} tried {count(tried, 'name')} below {zones}, not this one; {why}."
        )
    return reasons


def _failures(traces: dict[UUID, Trace], item: Item) -> tuple[str, ...]:
    return traces[item.id].failures if item.id in traces else ()


def _told(module: str, answer: TraceAnswer) -> str:
    """What a guess was told; one that was found and not reported is what a wildcard gives."""
    if answer.status in NEGATIVE:
        return f"{module} asked for it and was told {NEGATIVE[answer.status]}{cited([answer.record])}."
    if answer.status == "found":
        shown = cited([answer.record, *answer.probes])
        return f"wildcard: {module} asked for it and got what any name beside it may get{shown}."
    return f"no answer: {module} asked for it and got none ({answer.status}){cited([answer.record])}."


async def _gave_no_answer(evidence: Evidence, source: SourceState) -> str:
    outcomes = sorted(source.outcomes.keys() - ANSWERED)
    failed = [item async for item in evidence.items(source.module, outcomes[0])][:CITED]
    traces = await evidence.of(failed)
    shown = cited([record for item in failed for record in _failures(traces, item)])
    about = ", ".join(dict.fromkeys(clean(_zone_of(item.subject)) for item in failed))
    reason = f": {clean(source.reason)}" if source.reason else ""
    return f"no answer: {source.module} about {about} ({', '.join(outcomes)}{reason}){shown}."


def _asked(scan: Scan, item: Item) -> str:
    guesses = any(source.module == item.module and source.activity == "guess" for source in scan.sources)
    held = item.state if scan.state == "running" else scan.reason or f"the scan is {scan.state}"
    return how_it_went(item, held, below=guesses or isinstance(item.subject, Level))


def how_it_went(item: Item, held: str, *, below: bool) -> str:
    """A clause on one work item; ``held``: why one that is open is so.

    ``below``: the module looks for names below what it is asked about, so it says nothing of the name itself.
    """
    reason = f": {clean(item.reason)}" if item.reason else ""
    if item.state != "done":
        return f"not asked: {item.module} ({held}){reason}"
    match item.outcome:
        case "empty":
            said = "looked for names below it and found none" if below else "knows nothing of it"
            return f"{item.module} {said}{reason}"
        case "truncated":
            return f"{item.module} answered only in part{reason}"
        case "skipped":
            return f"not asked: {item.module} did not ask{reason}"
    return f"no answer: {item.module} could not {'look below it' if below else 'say'} ({item.outcome}){reason}"


def cited(records: Iterable[str]) -> str:
    """The first of the records that show something, as a remark; nothing without any."""
    shown = [record[:16] for record in dict.fromkeys(records)][:CITED]
    return f" (evidence {' '.join(shown)})" if shown else ""


def _zone_of(subject: CarriedSubject) -> str:
    """The name that a subject is of: guesses go below it."""
    match subject:
        case Entity():
            return subject.value
        case Relation():
            return subject.source.value
    return subject.zone


def _is_below(name: str, subject: CarriedSubject) -> bool:
    return name.endswith(f".{_zone_of(subject)}")
