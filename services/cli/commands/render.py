"""`mirage render`: what is made from declarations and committed."""

from difflib import unified_diff
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]


@click.command("render")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 and show the difference when something is stale."
)
def command(*, check: bool) -> int:
    """Write what is rendered from declarations: jobs, intentions, policies, AsyncAPI, the README's tables."""
    from services.cli.rendering import render_all

    stale = 0
    for rendered in render_all(ROOT):
        path = ROOT / rendered.path
        there = path.read_text("utf-8") if path.exists() else ""
        if there == rendered.text:
            continue
        stale += 1
        if check:
            name = str(rendered.path)
            difference = unified_diff(
                there.splitlines(), rendered.text.splitlines(), name, f"{name} (rendered)", lineterm=""
            )
            click.echo("\n".join(difference))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rendered.text, "utf-8")
            click.echo(rendered.path)
    if check and stale:
        click.echo("Run: ./mirage render", err=True)
        return 1
    return 0
