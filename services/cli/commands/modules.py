"""`mirage modules`: which sources there are, what they do, how they are."""

from collections.abc import Iterable
from typing import Any

import click

from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.repository import run_tool
from services.cli.text import clean, count, instant, span, write_json, write_table
from services.contracts.endpoints import GET_MODULE, LIST_BUDGETS, LIST_MODULES, SET_MODULE
from services.contracts.resources import BudgetView, Module, ModuleRef, ModuleSettings
from services.kernel.calls import Nothing
from services.kernel.errors import NotFound


@click.group("modules", cls=GroupOnData)
def command() -> None:
    """List, show, set, check and lock modules."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_modules(session: Session, form: str) -> int:
    """List modules with the health of their sources."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            modules = await hull.calls.ask(LIST_MODULES, Nothing(), session.caller)
            budgets = await hull.calls.ask(LIST_BUDGETS, Nothing(), session.caller)
        if form == "json":
            write_json([_with_budget(module, budgets) for module in modules])
            return 0
        write_table(
            ("module", "title", "class", "consumes", "key", "health"),
            (
                (
                    module.declared.id,
                    module.declared.title,
                    module.declared.activity,
                    " ".join(module.declared.consumes),
                    _key(module),
                    module.health.state if module.enabled else "off",
                )
                for module in modules
            ),
            first=("module", "class", "health"),
        )
        return 0

    return run_async(work())


@command.command("show")
@click.argument("name")
@format_option("text", "json")
@data_options
def show(session: Session, name: str, form: str) -> int:
    """Show a module: what it asks, of whom, how often, and how its source has been."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            module = await hull.calls.ask(GET_MODULE, ModuleRef(name), session.caller)
            budgets = await hull.calls.ask(LIST_BUDGETS, Nothing(), session.caller)
        if form == "json":
            write_json(_with_budget(module, budgets))
            return 0
        declared, health = module.declared, module.health
        rate = f"{declared.rate:g} a second" if declared.rate else "no limit"
        for label, value in (
            ("module", f"{declared.id}@{declared.version}, {declared.title}"),
            ("class", declared.activity + ("" if module.enabled else ", switched off")),
            ("source", declared.source),
            ("format", declared.format),
            ("consumes", " ".join(declared.consumes)),
            ("produces", " ".join(declared.produces)),
            ("talks to", " ".join(declared.hosts) or "its subject, or recursive resolvers"),
            ("rate", f"{rate}, about {declared.cost:g} {'request' if declared.cost == 1 else 'requests'} an item"),
            ("quota", _quotas(_budget_of(module, budgets)) or "none that is known"),
            ("key", _key(module) or "none"),
            ("fresh for", span(declared.freshness)),
            ("licence", declared.licence),
            ("options", " ".join(f"{option}={value}" for option, value in sorted(module.options.items())) or "none"),
            (
                "health",
                f"{health.state}; answered {health.answered} items, last {instant(health.last_answer)};"
                f" failed {health.failed}, last {instant(health.last_failure)} {clean(health.reason)}".rstrip(),
            ),
        ):
            click.echo(f"{label:9} {value}")
        return 0

    return run_async(work())


@command.command("set")
@click.argument("name")
@click.option("--on/--off", "enabled", default=None, help="Whether scans of this workspace use it.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Set an option (repeatable).")
@data_options
def set_module(session: Session, name: str, *, enabled: bool | None, options: tuple[str, ...]) -> int:
    """Switch a module on or off for this workspace, or set its options."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            known = (await hull.calls.ask(GET_MODULE, ModuleRef(name), session.caller)).declared.options
            said = dict(option.partition("=")[::2] for option in options)
            parsed = {option: _value(value, known.get(option)) for option, value in said.items()}
            settings = ModuleSettings(module=name, enabled=enabled, options=parsed or None)
            module = await hull.calls.ask(SET_MODULE, settings, session.caller)
        click.echo(
            f"{name} is {'on' if module.enabled else 'off'}; "
            + (" ".join(f"{option}={value}" for option, value in sorted(module.options.items())) or "it has no options")
        )
        return 0

    return run_async(work())


@command.command("check")
@format_option("text", "json")
@data_options
def check(session: Session, form: str) -> int:
    """Check every module's manifest, without a network and without a data folder."""
    from services.collector.manifest import MODULES, BadManifest, read_manifest

    faults: dict[str, str] = {}
    files = sorted(MODULES.glob("[!_]*.py"))
    for file in files:
        try:
            read_manifest(file)
        except BadManifest as error:
            faults[file.stem] = str(error)
    if form == "json":
        write_json(
            [{"module": file.stem, "ok": file.stem not in faults, "says": faults.get(file.stem, "")} for file in files]
        )
    else:
        for fault in faults.values():
            click.echo(fault)
        click.echo(f"{count(len(files), 'module')}, {len(faults)} with faults")
    return 1 if faults else 0


@command.command("lock")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def lock(names: tuple[str, ...]) -> int:
    """Accept the code of the modules NAME, or of all, as that of their versions, for who writes modules.

    Evidence is replayed by module and version: once scans were made with a module, code that says something else needs
    a new version first.
    """
    from services.collector.manifest import MODULES

    for name in names:
        if not (MODULES / f"{name}.py").is_file():
            raise NotFound(f"there is no module {name}")
    click.echo(run_tool("tests.collector.lock", *names), err=True, nl=False)
    click.echo(f"locked: {', '.join(names) or 'all modules'}")
    return 0


def _with_budget(module: Module, budgets: Iterable[BudgetView]) -> dict[str, Any]:
    fields = {name: getattr(module, name) for name in module.__struct_fields__}
    return {**fields, "budget": _budget_of(module, budgets)}


def _budget_of(module: Module, budgets: Iterable[BudgetView]) -> BudgetView | None:
    return next((budget for budget in budgets if budget.module == module.declared.id), None)


def _quotas(budget: BudgetView | None) -> str:
    if budget is None:
        return ""
    whose = " with the key" if budget.with_key else ""
    shared = f" (shared as {budget.budget})" if budget.budget != budget.module else ""
    told = [
        f"{quota.most:,} per {quota.period}{whose}, {quota.left:,} left until {instant(quota.until)}"
        for quota in budget.quotas
    ]
    return "; ".join(told) + (shared if told else "")


def _value(text: str, default: bool | float | str | None) -> bool | int | float | str:
    if isinstance(default, str):
        return text
    if text in {"true", "false"}:
        return text == "true"
    for form in (int, float):
        try:
            return form(text)
        except ValueError:
            continue
    return text


def _key(module: Module) -> str:
    if module.declared.key is None:
        return ""
    if module.has_key:
        return f"{module.declared.key} set"
    return f"{module.declared.key} {'needed' if module.declared.key_required else 'helps'}"
