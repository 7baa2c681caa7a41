"""The executive summary: what is exposed, how bad, what to do first, what changed, how sure, what is not known."""

from collections.abc import Iterable
from typing import Final

from services.contracts.findings import SEVERITIES
from services.contracts.resources.correlation import FindingView
from services.reporting.domain.reports.citing import Citations
from services.reporting.domain.reports.document import (
    Block,
    Bullets,
    Paragraph,
    Row,
    Section,
    Statement,
    Table,
)
from services.reporting.domain.reports.inputs import Inputs
from services.reporting.domain.reports.parts import (
    absences,
    by_severity,
    exposure,
    left_out,
    made_section,
    severity_bars,
)
from services.reporting.domain.reports.words import be, count, cut, day, instant, kind, listed

#: Things to do, and findings, that are told.
FIRST: Final = 7
SHOWN: Final = 10
#: From which confidence on a finding is called well supported, and below which weak.
STRONG, WEAK = 80, 50
#: What kinds of change mean, and in which order they are told.
CHANGES: Final = {
    "new": "new since then",
    "gone": "gone",
    "changed": "changed",
    "newly_known": "known now, and perhaps there before",
    "unknown": "there before, and not asked about in full this time",
}


def sections(inputs: Inputs, cited: Citations) -> tuple[Section, ...]:
    made = [
        Section("In short", (*_short(inputs, cited), *exposure(inputs))),
        Section("What to do first", tuple(_first(inputs, cited))),
        Section("What is exposed", (*_worst(inputs, cited), *left_out(inputs))),
        Section("What changed", tuple(_changes(inputs, cited))),
        Section("How sure this is", tuple(_sureness(inputs, cited))),
        Section("What could not be asked", tuple(absences(inputs))),
        made_section(inputs),
    ]
    return tuple(section for section in made if section.blocks)


def _short(inputs: Inputs, cited: Citations) -> list[Block]:
    tally = inputs.tally
    if not tally.total:
        text = "Nothing was found that calls for action, as far as could be asked."
        return [Paragraph((Statement(text),))]
    numbers = _numbers(inputs.findings, cited)
    said = [Statement(f"There {be(tally.total)} {count(tally.total, 'finding')}: {by_severity(inputs)}.", numbers)]
    worst = inputs.findings[0] if inputs.findings else None
    if worst is not None:
        about = f" on {cut(worst.finding.entities[0].value, 120)}" if worst.finding.entities else ""
        text = f"The worst of them is {worst.finding.severity}: {cut(worst.finding.title)}{about}."
        said.append(Statement(text, (cited.number(worst),)))
    return [Paragraph(tuple(said)), severity_bars(inputs)]


def _first(inputs: Inputs, cited: Citations) -> list[Block]:
    """What one piece of advice mends, by how bad that is and how often it is there."""
    rules: dict[str, list[FindingView]] = {}
    for view in inputs.findings:
        rules.setdefault(view.finding.rule, []).append(view)
    if not rules:
        return []

    def weight(views: list[FindingView]) -> tuple[int, int, str]:
        worst = max(SEVERITIES.index(view.finding.severity) for view in views)
        return -worst, -len(views), views[0].finding.rule

    said = []
    for views in sorted(rules.values(), key=weight)[:FIRST]:
        places = list(dict.fromkeys(cut(v.finding.entities[0].value, 120) for v in views if v.finding.entities))
        where = f" Concerns {listed(places, 3)}." if len(places) > 1 else ""
        advice = cut(views[0].advice) or "Look at it, and say where you stand with it."
        said.append(Statement(f"{cut(views[0].finding.title)}: {advice}{where}", _numbers(views, cited)))
    return [Bullets(tuple(said), ordered=True)]


def _worst(inputs: Inputs, cited: Citations) -> list[Block]:
    rows = [
        Row(
            (
                view.finding.severity,
                cut(view.finding.title),
                cut(view.finding.entities[0].value, 120) if view.finding.entities else "",
                f"{view.finding.confidence} %",
                day(view.finding.first_found),
            ),
            view.finding.severity,
            (cited.number(view),),
        )
        for view in inputs.findings[:SHOWN]
    ]
    if not rows:
        return []
    more = len(inputs.findings) - len(rows)
    left = f"{count(more, 'further finding')} in the technical report" if more else ""
    return [Table(("Severity", "Finding", "On", "Sure", "First found"), (2, 6, 5, 2, 3), tuple(rows), (2,), left)]


def _changes(inputs: Inputs, cited: Citations) -> list[Block]:
    changes, tally = inputs.changes, inputs.tally
    if changes is None:
        return [Paragraph((Statement("No earlier scan of the same targets is known to compare with."),))]
    fresh = [view for view in inputs.findings if view.finding.first_found >= inputs.scan.created]
    text = f"{count(tally.newly, 'finding')} {be(tally.newly)} new since the scan of {instant(changes.before.created)}."
    said = [Statement(text, _numbers(fresh, cited))]
    told = [f"{changes.kinds[name]:,} {words}" for name, words in CHANGES.items() if changes.kinds[name]]
    said.append(Statement(f"Things that are known: {', '.join(told)}." if told else "Nothing else differs from it."))
    examples = tuple(
        Row(
            (
                words.partition(" ")[0] if name != "unknown" else "not asked",
                kind(change.type),
                cut(change.value, 160),
                cut(change.what, 120),
            )
        )
        for name, words in CHANGES.items()
        for change in changes.named.get(name, ())[:3]
    )
    blocks: list[Block] = [Paragraph(tuple(said))]
    if examples:
        blocks.append(Table(("Change", "Type", "What", ""), (2, 3, 6, 4), examples, (2,)))
    return blocks


def _sureness(inputs: Inputs, cited: Citations) -> list[Block]:
    """How well what is told is supported, and by how many that do not depend on each other."""
    views = inputs.findings
    if not views:
        return []
    strong = [view for view in views if view.finding.confidence >= STRONG]
    weak = [view for view in views if view.finding.confidence < WEAK]
    several = [view for view in views if len({name for ground in view.grounds for name in ground.modules}) > 1]
    confirmed = [view for view in views if view.finding.status == "confirmed"]
    told = (
        (strong, f"{be(len(strong))} well supported (confidence of {STRONG} % or more)"),
        (weak, f"{be(len(weak))} weakly supported (below {WEAK} %): look before acting"),
        (several, f"{'rests' if len(several) == 1 else 'rest'} on more than one source"),
        (confirmed, f"{be(len(confirmed))} confirmed by a person"),
    )
    said = tuple(
        Statement(
            f"{len(found):,} of {count(len(views), 'finding')} told here {words}.",
            _numbers(found, cited),
        )
        for found, words in told
    )
    return [Bullets(said)]


def _numbers(views: Iterable[FindingView], cited: Citations) -> tuple[int, ...]:
    return tuple(cited.number(view) for view in views)
