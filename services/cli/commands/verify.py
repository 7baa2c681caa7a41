"""`mirage verify`: whether the bundle of a report is as it was signed."""

from pathlib import Path
from typing import Final

import click

from services.cli.options import Session, data_options, format_option
from services.cli.text import clean, count, instant, write_json
from services.cli.verifying import Checked, Fault, key_of, owner_of, verify_bundle
from services.contracts.bundles import CitedStatement
from services.contracts.endpoints import PUBLISH_WORKSPACE_KEYS
from services.contracts.resources import WorkspaceRef
from services.kernel.errors import Invalid

#: Statements that are named of each fault.
SHOWN: Final = 20


@click.command("verify")
@click.argument("file", metavar="FILE")
@click.option("--key", metavar="FILE", help="The keys of the workspace (`mirage report key`), as you know them.")
@click.option("--ask", is_flag=True, help="Ask the workspace itself for its keys; else nobody is asked.")
@format_option("text", "json")
@data_options
def command(session: Session, file: str, key: str | None, form: str, *, ask: bool) -> int:
    """Check the bundle of a report: its signature, each file, each evidence record, and what is cited.

    What is not as it was is named, with the statements that rest on it. Without --key or --ask the signature is checked
    by the key that came with the bundle: then nothing was altered since somebody signed it, and who that was is for you
    to know.
    """
    if key is not None and ask:
        raise Invalid("either a file has the keys (--key) or the workspace is asked (--ask)")
    try:
        with Path(file).open("rb") as bundle:
            keys = None
            if key is not None:
                keys = key_of(Path(key).read_bytes()[:1_000_000])
            elif ask:
                keys = session.ask(PUBLISH_WORKSPACE_KEYS, WorkspaceRef(owner_of(bundle))).keys
            checked = verify_bundle(bundle, keys)
    except OSError as error:
        raise Invalid(f"{error.filename or file} cannot be read: {error.strerror}") from error
    if form == "json":
        write_json({**_head(checked), "faults": [_fault(fault) for fault in checked.faults]})
    else:
        _write(checked)
    return 1 if checked.faults else 0


def _write(checked: Checked) -> None:
    manifest = checked.manifest
    click.echo(f"{clean(manifest.title)}: {manifest.template}, TLP:{manifest.tlp.upper()}")
    click.echo(f"Report {manifest.report} of the scan {manifest.scan}, as of {instant(manifest.as_of)}")
    click.echo(f"Signed by the workspace {manifest.workspace}, key {clean(checked.key)} ({checked.thumbprint})")
    if not checked.known:
        click.echo("That key came with the bundle: compare it with `mirage report key` of the workspace, or say --key")
    for fault in checked.faults:
        click.echo(clean(fault.what))
        if fault.whole and not fault.statements:
            click.echo("    nothing that it says can be relied on")
        for said in fault.statements[:SHOWN]:
            click.echo(f"    rests on it: {clean(said.section)}: {clean(said.text)}")
        if len(fault.statements) > SHOWN:
            click.echo(f"    and {count(len(fault.statements) - SHOWN, 'other statement')} (--format json has all)")
    if manifest.absent:
        click.echo(f"{count(len(manifest.absent), 'piece')} of evidence was not kept any more when it was made")
    counted = (
        (checked.members, "file"),
        (checked.records, "record"),
        (checked.bodies, "body"),
        (checked.statements, "statement"),
    )
    done = ", ".join(count(number, what) for number, what in counted)
    click.echo(f"{done} checked, {count(len(checked.faults), 'fault')}")


def _head(checked: Checked) -> dict[str, object]:
    manifest = checked.manifest
    return {
        "report": manifest.report,
        "workspace": manifest.workspace,
        "scan": manifest.scan,
        "title": manifest.title,
        "as_of": manifest.as_of,
        "evidence_root": manifest.evidence_root,
        "absent": manifest.absent,
        "key": checked.key,
        "thumbprint": checked.thumbprint,
        "known": checked.known,
        "members": checked.members,
        "records": checked.records,
        "bodies": checked.bodies,
        "statements": checked.statements,
    }


def _fault(fault: Fault) -> dict[str, object]:
    return {"fault": fault.what, "whole": fault.whole, "statements": [_statement(said) for said in fault.statements]}


def _statement(said: CitedStatement) -> dict[str, object]:
    return {"section": said.section, "text": said.text, "findings": said.findings}
