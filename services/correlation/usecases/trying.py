"""Tries rules: whether a text is one, what it would have found, and why one found nothing at an entity."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from services.contracts.resources.correlation import (
    Backtest,
    Backtested,
    BacktestedFinding,
    CheckedRule,
    TestedRule,
    WhyNot,
    WhyNotQuery,
    WrittenRule,
)
from services.correlation.domain.absence import explain
from services.correlation.domain.evaluating import judge_everything
from services.correlation.domain.forms import AnyRule, read_any
from services.correlation.domain.judging import Found
from services.correlation.domain.rule import Rule
from services.correlation.domain.spiderfoot.engine import explain as explain_events
from services.correlation.domain.testing import run_tests
from services.correlation.store import findings
from services.correlation.store.graph import GraphWorld
from services.correlation.usecases import rules
from services.correlation.usecases.events import judge_events, project
from services.correlation.usecases.findings import check_scan
from services.correlation.usecases.worlds import named_in, world_of
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, MirageError
from services.kernel.service import Ports

#: Findings of a back-test that are shown of each scan.
SHOWN: Final = 100
#: Seconds that the tests of a rule may take.
PATIENCE: Final = 10.0


async def check_rule(ports: Ports, caller: Caller, question: WrittenRule) -> CheckedRule:
    """Whether a text is a rule, and how its tests end; what is wrong with it is the answer, not an error."""
    try:
        rule = read_any(question.text)
        async with asyncio.timeout(PATIENCE):
            outcomes = await run_tests(rule) if isinstance(rule, Rule) else []
    except TimeoutError:
        return CheckedRule(rule=None, fault=f"its tests take longer than {PATIENCE:g} s")
    except MirageError as error:
        return CheckedRule(rule=None, fault=str(error))
    return CheckedRule(
        rule=rules.row_of(rule),
        tests=tuple(
            TestedRule(says=each.test.says, passed=each.passed, finds=each.test.finds, found=each.found)
            for each in outcomes
        ),
    )


async def backtest_rule(ports: Ports, caller: Caller, question: Backtest) -> AsyncGenerator[Backtested, None]:
    """What a rule would have found in each scan; nothing of it is kept."""
    rule = read_any(question.text)
    for scan in dict.fromkeys(question.scans):
        await check_scan(ports, caller, scan)
        found = await _judge(ports, caller, scan, rule)
        async with ports.sql.read() as view:
            known = await findings.standing(view, caller.workspace, [each.id for each in found])
        statuses = {identity: each.status for identity, each in known.items()}
        yield Backtested(
            scan=scan,
            found=len(found),
            confirmed=sum(status == "confirmed" for status in statuses.values()),
            false_positives=sum(status == "false_positive" for status in statuses.values()),
            findings=tuple(
                BacktestedFinding(title=each.title, entities=each.entities, status=statuses.get(each.id))
                for each in found[:SHOWN]
            ),
        )


async def _judge(ports: Ports, caller: Caller, scan: UUID, rule: AnyRule) -> list[Found]:
    world, began = await _world(ports, caller, scan)
    if isinstance(rule, Rule):
        return await judge_everything(rule, world, began)
    return judge_events(rule, await project([rule], world, began), world.judge)


async def _world(ports: Ports, caller: Caller, scan: UUID) -> tuple[GraphWorld, int]:
    world, began = await world_of(ports, caller.workspace, scan)
    if not began:
        raise Invalid(f"the scan {scan} was not judged yet; ask for its findings first")
    return world, began


async def explain_absence(ports: Ports, caller: Caller, query: WhyNotQuery) -> WhyNot:
    """Why a rule did not fire on an entity."""
    rule = await rules.find_rule(ports, caller.workspace, query.rule)
    await check_scan(ports, caller, query.scan)
    world, began = await _world(ports, caller, query.scan)
    there = await named_in(world, query.entity)
    if not there:
        return WhyNot(rule=rule.id, entity=None, fires=False, steps=(), stopped="the scan has no such entity")
    if isinstance(rule, Rule):
        place = next((each for each in there if each.type in rule.first.types), there[0])
        explained = await explain(rule, world, place, began)
        stopped, steps = explained.stopped, explained.steps
    else:
        place = there[0]
        looked = explain_events(rule, await project([rule], world, began), place.id)
        stopped = "" if looked.stopped is None else f"{looked.stopped.where}: {looked.stopped.what}"
        steps = tuple(f"{step.where}: {step.what}, {step.left:,} left" for step in looked.steps if step.asked)
    return WhyNot(rule=rule.id, entity=place.named, fires=not stopped, steps=steps, stopped=stopped)
