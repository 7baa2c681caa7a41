"""The technical report: every finding with its grounds and advice, what there is by type, and how each source fared."""

from services.contracts.bundles import CitedClaim
from services.contracts.resources.correlation import FindingView
from services.reporting.domain.reports.citing import Citations
from services.reporting.domain.reports.document import (
    Block,
    Card,
    Fields,
    Paragraph,
    Row,
    Section,
    Statement,
    Table,
)
from services.reporting.domain.reports.inputs import Inputs
from services.reporting.domain.reports.parts import (
    by_severity,
    inventory_section,
    left_out,
    made_section,
    severity_bars,
    sources_section,
)
from services.reporting.domain.reports.words import WORST_FIRST, be, count, cut, instant, kind, listed

#: Entities of a finding, what became of it, and references, that are told of each.
ENTITIES, HISTORY, REFERENCES = 8, 5, 5


def sections(inputs: Inputs, cited: Citations) -> tuple[Section, ...]:
    made = [Section("Overview", tuple(_overview(inputs, cited)))]
    for severity in WORST_FIRST:
        found = [view for view in inputs.findings if view.finding.severity == severity]
        if found:
            cards = tuple(finding_card(view, cited, inputs.unsaid[view.finding.id]) for view in found)
            made.append(Section(f"Findings: {severity}", cards))
    return (*made, inventory_section(inputs), sources_section(inputs), made_section(inputs))


def _overview(inputs: Inputs, cited: Citations) -> list[Block]:
    tally = inputs.tally
    if not tally.total:
        return [Paragraph((Statement("There are no findings, as far as could be asked."),)), *left_out(inputs)]
    numbers = tuple(cited.number(view) for view in inputs.findings)
    text = f"There {be(tally.total)} {count(tally.total, 'finding')}: {by_severity(inputs)}."
    statuses = listed([f"{number:,} {kind(name)}" for name, number in sorted(tally.statuses.items())])
    said = (Statement(text, numbers), Statement(f"Where people stand with them: {statuses}."))
    rows = tuple(
        Row((kind(name), f"{number:,}"))
        for name, number in sorted(tally.categories.items(), key=lambda e: (-e[1], e[0]))
    )
    return [Paragraph(said), severity_bars(inputs), Table(("Category", "Findings"), (3, 1), rows), *left_out(inputs)]


def finding_card(view: FindingView, cited: Citations, unsaid: int) -> Card:
    """A finding with what it means, what to do, and what it rests on; ``unsaid`` are grounds that are not told."""
    found, number = view.finding, cited.number(view)
    blocks: list[Block] = []
    if view.description:
        blocks.append(Paragraph((Statement(cut(view.description), (number,)),)))
    if view.advice:
        blocks.append(Fields((("What to do", cut(view.advice)),)))
    places = [f"{kind(each.type)} {cut(each.value, 160)}" for each in found.entities]
    if places:
        blocks.append(Fields((("About", listed(places, ENTITIES)),)))
    blocks.append(_grounds(cited.claims_of(view), unsaid))
    if view.references:
        blocks.append(Fields((("See", listed([cut(each, 200) for each in view.references], REFERENCES)),)))
    for change in view.history[-HISTORY:]:
        who = f" by {cut(change.who, 80)}" if change.who else ""
        why = f": {cut(change.reason, 200)}" if change.reason else ""
        blocks.append(Paragraph((Statement(f"{instant(change.at)}: {kind(change.status)}{who}{why}.", (number,)),)))
    return Card(number, cut(found.title), found.severity, finding_line(view), tuple(blocks))


def finding_line(view: FindingView) -> str:
    """What else is known of a finding, in one line."""
    found = view.finding
    return (
        f"{found.severity} · confidence {found.confidence} % · {kind(found.status)}"
        f" · {cut(found.rule, 80)}@{found.rule_version} · first found {instant(found.first_found)}"
        f" · {str(found.id)[:8]}"
    )


def _grounds(claims: list[CitedClaim], unsaid: int) -> Table:
    rows = tuple(
        Row(
            (cut(claim.about, 160), _said(claim), listed(claim.modules, 3) or "the scan itself", _at(claim)),
            "",
            (),
            (claim.number,),
        )
        for claim in claims
    )
    left = f"{count(unsaid, 'further ground')} in the finding itself" if unsaid else ""
    return Table(("On", "Is said", "By", "At (UTC)"), (5, 6, 4, 4), rows, (0, 1), left)


def _at(claim: CitedClaim) -> str:
    return instant(claim.at).removesuffix(" UTC") if claim.at else ""


def _said(claim: CitedClaim) -> str:
    if claim.absent:
        return f"no {kind(claim.predicate)}"
    return f"{kind(claim.predicate)}: {cut(claim.value, 200)}" if claim.value else kind(claim.predicate)
