"""Parts that reports of several templates have: the front, what there is, who was asked, what could not be asked."""

from collections.abc import Iterator
from typing import Final

from services.contracts.attributes import ATTRIBUTES
from services.contracts.bundles import Template
from services.contracts.findings import Severity
from services.contracts.resources import SourceState
from services.contracts.resources.storage import EntityFacts
from services.contracts.states import ENDED, SourceStanding
from services.reporting.domain.reports.document import (
    Bar,
    Bars,
    Block,
    Fields,
    Front,
    Note,
    Paragraph,
    Row,
    Section,
    Statement,
    Table,
    Timeline,
    Tone,
)
from services.reporting.domain.reports.inputs import Inputs
from services.reporting.domain.reports.words import (
    WORST_FIRST,
    be,
    capitalised,
    count,
    cut,
    day,
    instant,
    kind,
    listed,
    plural,
)

AUDIENCES: Final[dict[Template, str]] = {
    "executive": "Executive summary",
    "technical": "Technical report",
    "evidence": "Evidence report",
}
TITLE: Final = "What can be openly known"
#: Targets on the first page.
SUBJECTS: Final = 5
#: Attributes of an entity that are told in a list, the most telling first, and how many of them.
TELLING: Final = (
    *("display_name", "legal_name", "subject", "not_after", "product", "state", "title", "http_status", "server"),
    *("response_code", "registrar", "expires_at", "network_name", "operating_system", "tenant_brand", "mail_provider"),
    *("country", "status"),
)
MOST_TOLD: Final = 3
#: The unit of attributes that are times.
TIME: Final = "us"
#: Bars of a timeline.
BARS: Final = 36
_DAY: Final = 86_400_000_000

#: What the standing of sources means for who reads, where these were not asked in full.
STANDINGS: Final[dict[SourceStanding, str]] = {
    "waiting": "still to be asked",
    "running": "still at work",
    "truncated": "gave a part of what they have",
    "partial": "asked in part",
    "unauthorised": "refused our key, or want one",
    "unreachable": "could not be reached",
    "rate_limited": "want to be asked later",
    "blocked": "block us",
    "failed": "gave answers that were not understood",
    "skipped": "not asked",
}


def front(inputs: Inputs) -> Front:
    """The first page: of what, by whose leave, when, and made by what."""
    scan, plan = inputs.scan, inputs.plan
    targets = [cut(target.value, 120) for target in scan.targets[:SUBJECTS]]
    more = max(scan.target_count, len(scan.targets)) - len(targets)
    subject = f"{', '.join(targets)} and {count(more, 'other target')}" if more else listed(targets)
    state = scan.state if not scan.reason else f"{scan.state}: {cut(scan.reason, 200)}"
    pairs = [
        ("Scan", f"{scan.id} ({state})"),
        ("Asked", f"{instant(scan.started or scan.created)} to {instant(scan.ended) if scan.ended else 'now'}"),
        ("As of", instant(inputs.as_of)),
        ("Profile", f"{scan.profile}, {count(len(plan.modules), 'source')}"),
        *_scope(inputs),
        *authorisation(inputs),
        ("Made by", f"Mirage {inputs.version}"),
    ]
    return Front(cut(inputs.title) or TITLE, AUDIENCES[inputs.template], subject, tuple(pairs))


def _scope(inputs: Inputs) -> Iterator[tuple[str, str]]:
    scope = inputs.plan.scope
    yield (
        "In scope",
        "the targets and what is below them" + "".join(f"; {cut(rule, 120)}" for rule in scope.includes[:10]),
    )
    for name, rules in (("Excluded", scope.excludes), ("Networks", scope.networks)):
        if rules:
            yield name, listed([cut(rule, 120) for rule in rules], 10)


def authorisation(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Who allowed active work, which, and from when until when."""
    said = inputs.authorisation
    if said is None:
        plain = inputs.scan.authorised
        yield "Authorised", cut(plain) if plain else "no active work: nothing was sent to the target itself"
        return
    yield "Authorised", f"{cut(said.why)} ({cut(said.by.name, 120)}, {instant(said.at)})"
    yield "Window", f"{instant(said.begins)} to {instant(said.until)}"
    yield "Techniques", listed(said.techniques, 12) or "no active work"


def severity_bars(inputs: Inputs) -> Bars:
    tally = inputs.tally
    bars = (Bar(severity.capitalize(), tally.severities[severity], severity) for severity in WORST_FIRST)
    return Bars("Findings by severity", tuple(bars), tally.total)


def by_severity(inputs: Inputs) -> str:
    """``2 critical, 5 high and 1 low``."""
    tally = inputs.tally
    found: list[Severity] = [severity for severity in WORST_FIRST if tally.severities[severity]]
    return listed([f"{tally.severities[severity]:,} {severity}" for severity in found])


def left_out(inputs: Inputs) -> list[Block]:
    """What is not told one by one: all but the worst, where there are many, and what people have put aside."""
    tally, told = inputs.tally, len(inputs.findings)
    notes: list[Block] = []
    if tally.total > told:
        text = (
            f"This report tells the {told:,} worst of {count(tally.total, 'finding')}; all of them are in the export."
        )
        notes.append(Note(Statement(text)))
    if tally.hidden:
        aside = listed([f"{number:,} {kind(name)}" for name, number in sorted(tally.hidden.items())])
        notes.append(Note(Statement(f"Beside these there are findings that are not told: {aside}.")))
    return notes


def exposure(inputs: Inputs) -> list[Block]:
    """What belongs to the targets, counted."""
    inventory = inputs.inventory
    if not inventory.total:
        return [Paragraph((Statement("Nothing was found that belongs to the targets."),))]
    most = inventory.types.most_common()
    ordered = sorted(most, key=lambda each: (-each[1], each[0]))
    text = (
        f"{count(inventory.total, 'thing')} {be(inventory.total)} known in scope, with"
        f" {count(inventory.relations, 'relation')} that lead from there:"
        f" {listed([count(number, kind(name)) for name, number in ordered], 6, 'other type')}."
    )
    return [Paragraph((Statement(text),))]


def inventory_section(inputs: Inputs) -> Section:
    """What there is by type: how many, the first of them by name, and since when they are known."""
    inventory = inputs.inventory
    blocks: list[Block] = [*exposure(inputs)]
    if inventory.total:
        rows = sorted(inventory.types.items(), key=lambda each: (-each[1], each[0]))
        blocks.append(
            Table(("Type", "Known"), (3, 1), tuple(Row((kind(name), f"{number:,}")) for name, number in rows))
        )
        if len(inventory.days) > 1:
            blocks.append(timeline(inputs))
    for name, first in sorted(inventory.named.items()):
        of = inventory.types[name]
        rows_of_type = tuple(
            Row((cut(each.entity.value, 200), _known(each), day(each.first_seen), day(each.last_seen)))
            for each in first
        )
        left = f"{count(of - len(first), f'further {kind(name)}')} in the export" if of > len(first) else ""
        head = (capitalised(plural(kind(name))), "Known of it", "First seen", "Last seen")
        blocks.append(Table(head, (6, 5, 2, 2), rows_of_type, (0,), left))
    return Section("What there is", tuple(blocks))


def _known(facts: EntityFacts) -> str:
    """What says most of an entity to who reads a list of its like."""
    values: dict[str, list[str]] = {}
    for each in facts.attributes:
        is_time = ATTRIBUTES[each.name].unit == TIME if each.name in ATTRIBUTES else False
        shown = day(each.value) if is_time and isinstance(each.value, int) else cut(str(each.value), 120)
        values.setdefault(each.name, []).append(shown)
    said = [f"{kind(name)} {listed(values[name], 2)}" for name in TELLING if name in values]
    return "; ".join(said[:MOST_TOLD])


def timeline(inputs: Inputs) -> Timeline:
    """When what is known was first seen: by days, months or years, as many bars as there is room for."""
    days = inputs.inventory.days
    if not days:
        return Timeline("First seen", "day", ())
    first, last = min(days), max(days)
    if last - first < BARS:
        bars = (Bar(day(each * _DAY), days[each]) for each in range(first, last + 1))
        return Timeline("First seen, by day", "day", tuple(bars))
    length, unit = (7, "month") if last - first < BARS * 30 else (4, "year")
    counts: dict[str, int] = {}
    for each in sorted(days):
        label = day(each * _DAY)[:length]
        counts[label] = counts.get(label, 0) + days[each]
    shown = list(counts.items())[-BARS:]
    title = f"First seen, by {unit}"
    return Timeline(title, unit, tuple(Bar(*each) for each in shown))  # type: ignore[arg-type]


def sources_section(inputs: Inputs) -> Section:
    """Who was asked, how that went, and what came of it."""
    rows = tuple(_source_row(source) for source in inputs.scan.sources)
    head = ("Source", "Class", "Outcome", "Asked", "Claims", "Why")
    return Section("Sources and outcomes", (Table(head, (4, 2, 4, 2, 2, 5), rows, (0,)), *absences(inputs)))


def _source_row(source: SourceState) -> Row:
    outcomes = listed([f"{number:,} {kind(name)}" for name, number in sorted(source.outcomes.items())])
    asked = f"{sum(source.outcomes.values()):,}" + (
        f" of {sum(source.outcomes.values()) + source.open:,}" * bool(source.open)
    )
    tone: Tone = "unknown" if source.state in STANDINGS else "good" if source.state == "answered" else ""
    name = f"{source.module}@{source.version}"
    return Row(
        (name, source.activity, outcomes or kind(source.state), asked, f"{source.claims:,}", cut(source.reason, 200)),
        tone,
    )


def absences(inputs: Inputs) -> list[Block]:
    """What could not be asked, or was not: a report that says nothing of it would look as if nothing were there."""
    scan = inputs.scan
    said: list[Statement] = []
    if scan.state not in ENDED or scan.state != "finished":
        why = f" ({cut(scan.reason, 200)})" if scan.reason else ""
        said.append(Statement(f"The scan is {scan.state}{why}: there may be more than this report knows."))
    if not inputs.judged:
        said.append(Statement("Not all that was found has been judged yet: there may be more findings."))
    if scan.authorised is None and scan.authorisation is None:
        said.append(Statement("Nobody authorised active work, so the target itself was not asked anything."))
    for state, words in STANDINGS.items():
        found = [_why(source) for source in scan.sources if source.state == state]
        if found:
            said.append(Statement(f"{capitalised(words)}: {listed(found)}."))
    for required, words in ((True, "Not asked for want of a key"), (False, "Asked without a key, which may know less")):
        names = [m.id for m in inputs.plan.modules if m.missing_key and m.key_required is required]
        if names:
            said.append(Statement(f"{words}: {listed(names)}."))
    if not said:
        return [Note(Statement("Every source that was to be asked has answered in full."), "good")]
    return [Note(statement) for statement in said]


def _why(source: SourceState) -> str:
    return f"{source.module} ({cut(source.reason, 200)})" if source.reason else source.module


def made_section(inputs: Inputs) -> Section:
    """How the report came about, and how it is checked."""
    root = inputs.scan.evidence_root
    pairs = (
        ("Report", f"{AUDIENCES[inputs.template]}, as of {instant(inputs.as_of)}"),
        ("Scan", str(inputs.scan.id)),
        ("Evidence root", root or "none yet: the scan has not ended"),
        ("Mirage", inputs.version),
    )
    text = (
        "Every statement stands with the findings (F) and claims (C) that it rests on; each claim with the evidence"
        " records that prove it. The bundle of this report has all of them, signed by the workspace's key, and"
        " mirage verify FILE checks it without asking anybody."
    )
    known = "Findings are those that were known at that instant, with what people have said of them since."
    return Section("How this was made", (Paragraph((Statement(text), Statement(known))), Fields(pairs, exact=True)))
