"""How sure one can be of things, in words: a number and the terms that it is made of."""

import click

from services.cli.claim_text import qualified, value_words
from services.cli.text import clean, count, instant, moment
from services.contracts.resources.confidence import ConfidenceStatement, ConfidenceTerm, ConfidenceView

OMITTED = {"same_origin": "the same origin, counted once", "superseded": "it has said something else since"}


def write_confidence(view: ConfidenceView) -> None:
    """Print an entity with each statement, its number, and what that is made of."""
    click.echo(f"{clean(view.value)}  ({view.type}), as of {instant(view.at)}")
    for statement in view.statements:
        mark = "" if statement.wins else "  (something else is surer)"
        click.echo(f"  {statement.number:3}  {_words(statement)}{mark}")
        for term in statement.terms:
            click.echo(f"         {_term(term)}")
        if statement.more:
            click.echo(f"         and {count(statement.more, 'word')} more of these, which count no further")
        if statement.against:
            odds = f"odds {statement.odds:.3g} against {statement.against:.3g} of what excludes it"
            click.echo(f"         {statement.support:.3f} for it alone; {odds}")
    if view.left_out:
        click.echo(f"  and {count(view.left_out, 'relation')} more")


def _words(statement: ConfidenceStatement) -> str:
    if statement.absent:
        return "does not exist" if statement.predicate == "exists" else f"no {statement.predicate}"
    if statement.target_type:
        arrow = "→" if statement.outward else "←"
        other = f"{clean(statement.target_value)} ({statement.target_type})"
        return f"{statement.predicate} {arrow} {other}{clean(qualified(statement.qualifiers))}"
    if statement.value is None:
        return statement.predicate
    return f"{statement.predicate} = {clean(value_words(statement.predicate, statement.value))}"


def _term(term: ConfidenceTerm) -> str:
    who = f"{term.module}@{term.version} on {moment(term.at)}"
    reliable = f"{term.reliability:.2f} reliable{' (set here)' if term.set_here else ''}"
    said = f" · {term.stated} % sure" if term.stated != 100 else ""
    fresh = f" · {term.freshness:.2f} fresh" if term.freshness < 0.995 else ""
    omitted = f"; does not count: {OMITTED[term.omitted]}" if term.omitted else ""
    return f"{who}: {reliable}{said}{fresh} = {term.strength:.3f}{omitted}"
