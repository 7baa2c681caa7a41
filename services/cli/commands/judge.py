"""`mirage judge`: say where one stands with a finding."""

from typing import Literal, cast

import click

from services.cli.finding_text import write_row
from services.cli.options import Session, data_options, format_option
from services.cli.text import write_json
from services.contracts.endpoints import SET_FINDING
from services.contracts.resources.correlation import SetFinding

Status = Literal["new", "confirmed", "false_positive", "accepted"]


@click.command("judge")
@click.argument("finding")
@click.argument("status", type=click.Choice(("confirmed", "false_positive", "accepted", "new")))
@click.option("--reason", default="", help="Why; a false positive and what is accepted need one.")
@format_option("text", "json")
@data_options
def command(session: Session, finding: str, status: str, reason: str, form: str) -> int:
    """Say that a FINDING is so, is none, or is accepted; `new` takes that back. It counts in every scan."""
    row = session.ask(SET_FINDING, SetFinding(finding=finding, status=cast("Status", status), reason=reason))
    if form == "json":
        write_json(row)
    else:
        write_row(row)
    return 0
