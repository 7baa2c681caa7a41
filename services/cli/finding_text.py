"""How findings are written for a person."""

from collections.abc import Mapping

import click

from services.cli.claim_text import value_words
from services.cli.text import clean, instant
from services.contracts.findings import SEVERITIES, Severity
from services.contracts.resources.correlation import FindingRow, FindingView, Ground, Named, PathView

GROUNDS_SHOWN = 30


def by_severity(counts: Mapping[Severity, int]) -> str:
    """How many there are of each severity, the worst first; of those that there are none of, nothing."""
    return ", ".join(f"{counts[severity]:,} {severity}" for severity in reversed(SEVERITIES) if severity in counts)


def write_row(row: FindingRow) -> None:
    """Print a finding on two lines: how bad and what; by which rule, how sure, on what, where one stands with it."""
    click.echo(f"{row.severity:<8}  {clean(row.title)}")
    others = "" if len(row.entities) < 2 else f" and {len(row.entities) - 1} more"
    aside = f", suppressed: {clean(row.suppressed)}" if row.suppressed else ""
    said = f" ({clean(row.reason)})" if row.reason else ""
    click.echo(
        f"          {str(row.id)[:8]}  {row.rule}, {row.confidence} % sure, {row.status}{said}{aside},"
        f" on {named(row.entities[0])}{others}"
    )


def write_finding(view: FindingView) -> None:
    """Print a finding with what it means, what to do, and what it rests on."""
    row = view.finding
    click.echo(f"{clean(row.title)}  ({row.severity}, {row.confidence} % sure, {row.status})")
    click.echo(
        f"  {row.id}, by the rule {row.rule}@{row.rule_version} ({row.category}) in the scan {str(row.scan)[:8]}"
    )
    click.echo(f"  found {instant(row.first_found)}, last {instant(row.last_found)}")
    for entity in row.entities:
        click.echo(f"  on {named(entity)}")
    for text in filter(None, (view.description, view.advice)):
        click.echo(f"\n{clean(text)}")
    if view.references:
        click.echo(f"\nSee: {', '.join(map(clean, view.references))}")
    click.echo(f"\nIt rests on{f' {view.matches:,} matches, such as' if view.matches > 1 else ''}:")
    for ground in view.grounds[:GROUNDS_SHOWN]:
        write_ground(ground)
    if len(view.grounds) > GROUNDS_SHOWN:
        click.echo(f"  and {len(view.grounds) - GROUNDS_SHOWN} more")
    for change in view.history:
        who = f" by {clean(change.who)}" if change.who else ""
        why = f": {clean(change.reason)}" if change.reason else ""
        click.echo(f"  {instant(change.at)} {change.status}{who}{why}")


def write_ground(ground: Ground) -> None:
    """Print one thing that a finding rests on, and below it who said so, when and from what evidence."""
    if ground.target is not None:
        what = f"{named(ground.entity)} {ground.predicate} {named(ground.target)}"
    elif ground.absent:
        what = f"{named(ground.entity)} has no {ground.predicate}"
    elif ground.value is None:
        what = f"{named(ground.entity)} exists"
    else:
        what = f"{named(ground.entity)} {ground.predicate} = {clean(value_words(ground.predicate, ground.value))}"
    click.echo(f"  {what}")
    if ground.predicate.startswith("known."):
        click.echo("    published of this version, and known to Mirage by itself")
    else:
        write_sayers(ground.modules, ground.evidence, ground.at)


def write_sayers(modules: tuple[str, ...], evidence: tuple[str, ...], at: int) -> None:
    if modules:
        proof = " ".join(identity[:16] for identity in evidence[:3]) or "none"
        click.echo(f"    said by {', '.join(modules)} on {instant(at)}, evidence {proof}")
    else:
        click.echo("    nobody says so")


def write_path(path: PathView) -> None:
    """Print a path, one step a line, each with who said so."""
    click.echo(named(path.start))
    for step in path.steps:
        qualified = "".join(f" {name}={clean(value)}" for name, value in sorted(step.qualifiers.items()))
        arrow = f"─ {step.type}{qualified} →" if step.forward else f"← {step.type}{qualified} ─"
        click.echo(f"  {arrow} {named(step.to)}")
        write_sayers(step.modules, step.evidence, step.at)


def named(entity: Named) -> str:
    return f"{clean(entity.value)} ({entity.type})"
