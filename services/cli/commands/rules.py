"""`mirage rules`: what findings are made by, and why they are; one's own are written here, too."""

from contextlib import aclosing
from pathlib import Path

import click

from services.cli.finding import find_scan
from services.cli.finding_text import named, write_finding
from services.cli.folder_options import GroupOnData
from services.cli.judging import wait_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, count, write_json
from services.contracts.endpoints import (
    BACKTEST_RULE,
    CHECK_RULE,
    EXPLAIN_ABSENCE,
    GET_FINDING,
    GET_RULE,
    LIST_RULES,
    REMOVE_RULE,
    SET_RULE,
    WRITE_RULE,
)
from services.contracts.findings import SEVERITIES
from services.contracts.resources.correlation import (
    Backtest,
    Backtested,
    CheckedRule,
    FindingRef,
    RuleRef,
    RuleRow,
    SetRule,
    WhyNotQuery,
    WrittenRule,
)
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid

MAX_TEXT = 65_536


@click.group("rules", cls=GroupOnData)
def command() -> None:
    """What findings are made by, and why they are."""


@command.command("list")
@format_option("text", "json")
@data_options
def list_rules(session: Session, form: str) -> int:
    """List rules: those that come with Mirage, and those of the workspace."""
    found = session.ask(LIST_RULES, Nothing())
    if form == "json":
        write_json(found)
        return 0
    for rule in sorted(found, key=lambda each: (-SEVERITIES.index(each.severity), each.category, each.id)):
        write_rule(rule)
    click.echo(count(len(found), "rule"))
    return 0


def write_rule(rule: RuleRow) -> None:
    marks = [mark for mark, there in (("own", rule.own), ("not in force", not rule.enabled)) if there]
    marks += ["SpiderFoot"] if rule.form == "spiderfoot" else []
    more = f"  [{', '.join(marks)}]" if marks else ""
    click.echo(f"{rule.severity:<8}  {rule.category:<12} {rule.id:<36} {clean(rule.title)}{more}")


@command.command("show")
@click.argument("rule")
@data_options
def show(session: Session, rule: str) -> int:
    """Print the text of a RULE."""
    view = session.ask(GET_RULE, RuleRef(rule))
    click.echo("".join(map(_kept_line, view.text.splitlines(keepends=True))), nl=not view.text.endswith("\n"))
    if view.fault:
        click.echo(f"mirage: it is left out: {clean(view.fault)}", err=True)
    return 1 if view.fault else 0


def _kept_line(line: str) -> str:
    return clean(line.rstrip("\r\n")) + "\n"


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@format_option("text", "json")
@data_options
def check(session: Session, file: Path, form: str) -> int:
    """Say whether FILE is a rule, of Mirage's form or of SpiderFoot's, and if not, what is wrong with it."""
    return _check(session, file, form, with_tests=False)


@command.command("test")
@click.argument("file", type=click.Path(path_type=Path))
@format_option("text", "json")
@data_options
def test(session: Session, file: Path, form: str) -> int:
    """Run the tests that stand in the rule FILE."""
    return _check(session, file, form, with_tests=True)


def _check(session: Session, file: Path, form: str, *, with_tests: bool) -> int:
    async def work() -> int:
        async with session.open() as hull:
            checked = await hull.calls.ask(CHECK_RULE, WrittenRule(read_text(file)), session.caller)
        if form == "json":
            write_json(checked)
        else:
            write_checked(checked, file, with_tests=with_tests)
        if checked.rule is None:
            return 1
        return 1 if with_tests and not (checked.tests and all(each.passed for each in checked.tests)) else 0

    return run_async(work())


def write_checked(checked: CheckedRule, file: Path, *, with_tests: bool) -> None:
    if checked.rule is None:
        click.echo(f"{file}: {clean(checked.fault)}")
        return
    if not with_tests:
        click.echo(f"{file} is the rule {checked.rule.id}@{checked.rule.version}: {clean(checked.rule.title)}")
        return
    for each in checked.tests:
        click.echo(f"{'passed' if each.passed else 'FAILED'}  {clean(each.says)}")
        if not each.passed:
            click.echo(f"        should find {_list(each.finds)}")
            click.echo(f"        it found    {_list(each.found)}")
    if not checked.tests:
        click.echo(f"{checked.rule.id} has no tests")


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(map(clean, texts)) or "nothing"


@command.command("backtest")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--scans", required=True, help="Ids of scans, with commas between.")
@format_option("text", "json")
@data_options
def backtest(session: Session, file: Path, scans: str, form: str) -> int:
    """Say what the rule FILE would have found in scans; nothing of it is kept."""

    async def work() -> int:
        results = []
        async with session.open() as hull:
            text = read_text(file)
            tried = [await find_scan(hull, session, each.strip()) for each in scans.split(",") if each.strip()]
            for each in tried:
                await wait_judged(hull, session, each)
            question = Backtest(text=text, scans=tuple(each.id for each in tried))
            async with aclosing(hull.calls.follow(BACKTEST_RULE, question, session.caller)) as answers:
                async for result in answers:
                    results.append(result)
                    if form == "text":
                        write_backtest(result)
        if form == "json":
            write_json(results)
        return 0

    return run_async(work())


def write_backtest(result: Backtested) -> None:
    judged = result.confirmed + result.false_positives
    share = f"; of {judged} that somebody judged {result.confirmed} are so" if judged else ""
    click.echo(f"scan {str(result.scan)[:8]}: {count(result.found, 'finding')}{share}")
    for each in result.findings:
        said = f"  ({each.status})" if each.status not in {None, "new"} else ""
        click.echo(f"  {clean(each.title)}{said}")
    if result.found > len(result.findings):
        click.echo(f"  and {result.found - len(result.findings):,} more")


@command.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@format_option("text", "json")
@data_options
def add(session: Session, file: Path, form: str) -> int:
    """Have scans of the workspace judged by the rule FILE, too; again with a newer text of it."""

    async def work() -> int:
        async with session.open() as hull:
            rule = await hull.calls.ask(WRITE_RULE, WrittenRule(read_text(file)), session.caller)
        _write_set(rule, form)
        return 0

    return run_async(work())


@command.command("remove")
@click.argument("rule")
@data_options
def remove(session: Session, rule: str) -> int:
    """Remove a RULE of the workspace's own."""
    session.ask(REMOVE_RULE, RuleRef(rule))
    click.echo(f"{rule} is removed; its findings go when their scans are looked at again")
    return 0


@command.command("set")
@click.argument("rule")
@click.option("--on/--off", "enabled", required=True, help="Whether it is in force.")
@format_option("text", "json")
@data_options
def set_rule(session: Session, rule: str, enabled: bool, form: str) -> int:
    """Let a RULE be in force, or not."""
    _write_set(session.ask(SET_RULE, SetRule(rule=rule, enabled=enabled)), form)
    return 0


def _write_set(rule: RuleRow, form: str) -> None:
    if form == "json":
        write_json(rule)
    else:
        write_rule(rule)


@command.command("why")
@click.argument("finding")
@click.option("--scan", "scan_id", metavar="ID", help="As it is in this scan; without, in the last one that has it.")
@format_option("text", "json")
@data_options
def why(session: Session, finding: str, scan_id: str | None, form: str) -> int:
    """Show what a FINDING means and rests on: the facts that made the rule fire, with who said them, and evidence."""

    async def work() -> int:
        async with session.open() as hull:
            scan = (await find_scan(hull, session, scan_id)).id if scan_id else None
            view = await hull.calls.ask(GET_FINDING, FindingRef(finding=finding, scan=scan), session.caller)
        if form == "json":
            write_json(view)
        else:
            write_finding(view)
        return 0

    return run_async(work())


@command.command("why-not")
@click.argument("rule")
@click.option("--entity", required=True, metavar="VALUE", help="On which name, address, …")
@click.option("--scan", "scan_id", default="last", show_default=True, metavar="ID", help="In which scan.")
@format_option("text", "json")
@data_options
def why_not(session: Session, rule: str, entity: str, scan_id: str, form: str) -> int:
    """Say why a RULE did not fire on something: what held, and the first condition that did not."""

    async def work() -> int:
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            await wait_judged(hull, session, scan)
            query = WhyNotQuery(rule=rule, scan=scan.id, entity=entity)
            told = await hull.calls.ask(EXPLAIN_ABSENCE, query, session.caller)
        if form == "json":
            write_json(told)
            return 0
        about = named(told.entity) if told.entity is not None else clean(entity)
        click.echo(f"{told.rule} {'fires' if told.fires else 'does not fire'} on {about}")
        for step in told.steps:
            click.echo(f"  yes  {clean(step)}")
        if told.stopped:
            click.echo(f"  no   {clean(told.stopped)}")
        return 0

    return run_async(work())


def read_text(file: Path) -> str:
    """The text of a rule in a file.

    Raises:
        Invalid: there is none, it is too long, or no text.
    """
    try:
        with file.open("rb") as opened:
            read = opened.read(MAX_TEXT + 1)
        if len(read) > MAX_TEXT:
            raise Invalid(f"{file} is too long for a rule: at most {MAX_TEXT:,} bytes")
        return read.decode()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is no text in UTF-8") from error
