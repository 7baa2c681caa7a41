"""`mirage new`: a module or a service to begin with, that passes every check as it is."""

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from services.cli.repository import ROOT, run_tool
from services.kernel.errors import Invalid

#: Types that have names below them in the DNS.
NAMED: Final = ("domain", "hostname")
#: Keys that a recorded case can be about; the golden ids have one of every type.
KEYS: Final = Path("tests/golden/ids.json")


@click.group("new")
def command() -> None:
    """Make a module or a service, with its tests."""


@command.command("module")
@click.argument("name")
@click.option("--activity", type=click.Choice(("passive", "dns", "guess", "active")), required=True)
@click.option("--consumes", default="domain", show_default=True, metavar="TYPE", help="What it is asked about.")
def module(name: str, activity: str, consumes: str) -> int:
    """Make the module NAME with recorded answers; it works at once and asks a source that there is not."""
    from services.cli.scaffolding import name_values, write_scaffold

    if not re.fullmatch(r"[a-z][a-z0-9_]{2,30}", name):
        raise Invalid("a module is named by 3 to 31 small letters, digits and underscores")
    key, value = example(consumes)
    scaffold = activity
    if activity == "passive":
        scaffold = "names_below" if consumes in NAMED else "names_of"
    elif consumes not in NAMED:
        raise Invalid(f"a scaffold of the class {activity} is there for {' and '.join(NAMED)}; begin with one of them")
    values = {
        **name_values(name),
        "consumes": consumes,
        "seen": json.dumps({"kind": "entity", "type": consumes, "key": key}, ensure_ascii=False),
        "value": quote(value, safe="") if activity == "passive" else value,
        "below": value if consumes in NAMED else "example.org",
    }
    written = write_scaffold(f"module/{scaffold}", ROOT, values)
    run_tool("tests.collector.lock", name)
    run_tool("services", "render")
    show(written)
    click.echo(f"Next: put real answers into tests/collector/cases/{name}/, make `collect` and `parse` fit them, then")
    click.echo(f"  ./mirage modules lock {name} && ./mirage test tests/collector -k {name}")
    return 0


@command.command("service")
@click.argument("name")
def service(name: str) -> int:
    """Make the service NAME with a table, two questions, a fact, and tests; enter it where services are listed."""
    from services.catalogue import SERVICES
    from services.cli.scaffolding import enter_service, name_values, write_scaffold

    if not re.fullmatch(r"[a-z]{3,16}", name):
        raise Invalid("a service is named by 3 to 16 small letters")
    if name in SERVICES or (ROOT / "services" / name).exists():
        raise Invalid(f"services/{name} is there already")
    values = name_values(name)
    written = write_scaffold("service", ROOT, values)
    changed = enter_service(name, ROOT, values)
    run_tool("tests.golden.write")
    run_tool("services", "render")
    show([*written, *changed])
    click.echo(f"Next: say in services/{name}/README.md what it is for, and let service.py declare it; then")
    click.echo(f"  ./mirage render && ./mirage test tests/architecture tests/services/{name}")
    return 0


def example(kind: str) -> tuple[list[str], str]:
    """Key and value of an entity of the type ``kind``."""
    from services.contracts.claims import Entity

    for known in json.loads((ROOT / KEYS).read_bytes())["entities"]:
        if known["type"] == kind:
            return known["key"], Entity(type=kind, key=tuple(known["key"])).value
    raise Invalid(f"there is no entity type {kind}")


def show(paths: list[Path]) -> None:
    for path in paths:
        click.echo(path)
