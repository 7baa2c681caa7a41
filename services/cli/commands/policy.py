"""`mirage policy`: how reliable sources are held to be in a workspace, and how fast what they said fades."""

import click

from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option
from services.cli.text import clean, instant, write_json, write_table
from services.contracts.endpoints import GET_POLICY, SET_POLICY
from services.contracts.resources.confidence import PolicyChange, PolicyView
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid


@click.group("policy", cls=GroupOnData)
def command() -> None:
    """Show and change how reliable sources are held to be, and how fast what they said fades."""


@command.command("show")
@format_option("table", "json")
@data_options
def show(session: Session, form: str) -> int:
    """Show each module's origin and reliability, and after how many days half is left of what was said."""
    write_policy(session.ask(GET_POLICY, Nothing()), form)
    return 0


@command.command("set")
@click.argument("said", metavar="SOURCE=RELIABILITY", nargs=-1)
@click.option("--half-life", "lives", metavar="WHAT=DAYS", multiple=True, help="Of an attribute, a relation or exists.")
@click.option("--reason", default="", help="Why; it is kept with the policy.")
@format_option("table", "json")
@data_options
def set_policy(session: Session, said: tuple[str, ...], lives: tuple[str, ...], reason: str, form: str) -> int:
    """Set the reliability of modules or origins: 0 to 1, or a letter from A to F; nothing behind = is what is usual.

    It counts at once, for all that is known: nothing is asked again.
    """
    if not said and not lives:
        raise Invalid("say what to set, as in crtsh=0.8 or --half-life resolves_to=14")
    reliability = {name: _reliability(text) for name, text in map(_split, said)}
    half_lives = {name: _days(name, text) for name, text in map(_split, lives)}
    change = PolicyChange(reliability=reliability, half_lives=half_lives, reason=reason)
    write_policy(session.ask(SET_POLICY, change), form)
    return 0


@command.command("reset")
@click.argument("names", metavar="[NAME]…", nargs=-1)
@click.option("--reason", default="", help="Why; it is kept with the policy.")
@format_option("table", "json")
@data_options
def reset(session: Session, names: tuple[str, ...], reason: str, form: str) -> int:
    """Have all be as it usually is, or the modules, origins, attributes and relations of some NAMEs."""
    change = PolicyChange(reset=True, reason=reason)
    if names:
        stand = session.ask(GET_POLICY, Nothing())
        unset = [name for name in names if name not in stand.reliability and name not in stand.half_lives]
        if unset:
            raise Invalid(f"nothing is set of {unset[0]!a}")
        change = PolicyChange(
            reliability=dict.fromkeys(name for name in names if name in stand.reliability),
            half_lives=dict.fromkeys(name for name in names if name in stand.half_lives),
            reason=reason,
        )
    write_policy(session.ask(SET_POLICY, change), form)
    return 0


def write_policy(policy: PolicyView, form: str) -> None:
    """Print what counts for each module, what is set of how things fade, and who has set it."""
    if form == "json":
        write_json(policy)
        return
    write_table(
        ("module", "origin", "activity", "reliability", "usual", "why"),
        (
            (each.module, each.origin, each.activity, f"{each.reliability:g}", f"{each.usual:g}", each.reason)
            for each in policy.sources
        ),
        first=("module", "reliability"),
    )
    write_table(
        ("fades by half in", "days", "usual"),
        ((each.predicate, f"{each.days:g}" if each.days else "never", f"{each.usual:g}") for each in policy.fading),
    )
    click.echo(f"Everything else fades by half in {policy.usual_half_life:g} days.")
    if policy.at:
        why = f": {clean(policy.reason)}" if policy.reason else ""
        click.echo(f"Last changed by {clean(policy.who)} on {instant(policy.at)}{why}")


def _split(text: str) -> tuple[str, str]:
    name, equals, said = text.partition("=")
    if not name or not equals:
        raise Invalid(f"{text!a} is not written like crtsh=0.8")
    return name.strip(), said.strip()


def _reliability(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None


def _days(name: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise Invalid(f"the half-life of {name} is a number of days, which {text!a} is not") from None
