"""A deep scan of the lab's weak world finds all that was planted in it, and nothing else."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec import Struct

from services.cli.commands.demo import running_lab, within
from services.cli.hull import Hull
from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.resources import NewScan, ScanRef
from services.contracts.resources.correlation import FindingRef, FindingRow, FindingsQuery, FindingView
from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLER = operator(workspace_id("default"))
LOOK_AGAIN = 0.2
ENOUGH, KINDS = 25, 12
T = TypeVar("T")

#: A rule, and the type and value of what its finding is about; neither where it is about all of a scan.
Finding = tuple[str, str, str]


class Judged(Struct, frozen=True):
    """What was to be found, why, and what was found."""

    planted: dict[Finding, str]
    rows: tuple[FindingRow, ...]
    views: tuple[FindingView, ...]

    @property
    def found(self) -> list[Finding]:
        gathered = {rule for rule, kind, _ in self.planted if not kind}
        return [
            (row.rule, "", "") if row.rule in gathered else (row.rule, row.entities[0].type, row.entities[0].value)
            for row in self.rows
        ]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return asyncio.run(scan_the_lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("data")))


async def scan_the_lab(folder: Path, data: Path) -> Judged:
    async with running_lab(folder, "--weak") as lab, Hull(within(Settings(data=str(data)), lab)) as hull:
        asked = NewScan(
            targets=tuple(lab["targets"]),
            profile="deep",
            authorised="the lab, for a test",
            resolvers=(lab["resolver"],),
        )
        scan = await hull.calls.ask(e.CREATE_SCAN, asked, CALLER, seconds=60.0)
        this = ScanRef(str(scan.id))
        scan = await until(lambda: hull.calls.ask(e.GET_SCAN, this, CALLER), lambda scan: scan.ended is not None)
        assert scan.state == "finished"
        query = FindingsQuery(scan=scan.id, all=True, limit=1000)
        page = await until(lambda: hull.calls.ask(e.LIST_FINDINGS, query, CALLER), lambda page: page.judged)
        references = [FindingRef(finding=str(row.id), scan=scan.id) for row in page.findings]
        views = [await hull.calls.ask(e.GET_FINDING, reference, CALLER) for reference in references]
        truth = json.loads(Path(lab["truth"]).read_bytes())
    planted = {named(each["rule"], each["type"], each["key"]): each["why"] for each in truth["findings"]}
    return Judged(planted, page.findings, tuple(views))


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """The first answer that is as it should be; the limit of the test is the limit."""
    while not holds(answer := await ask()):
        await asyncio.sleep(LOOK_AGAIN)
    return answer


def named(rule: str, kind: str, key: list[str]) -> Finding:
    return (rule, kind, entities.entity(kind, *key).value if kind else "")


def test_all_that_was_planted_is_found(judged: Judged) -> None:
    missing = set(judged.planted) - set(judged.found)
    assert not {finding: judged.planted[finding] for finding in missing}


def test_nothing_is_found_that_was_not_planted(judged: Judged) -> None:
    assert not sorted(set(judged.found) - set(judged.planted))


def test_each_is_found_once(judged: Judged) -> None:
    assert len(judged.found) == len(set(judged.found)) == len(judged.planted)


def test_there_are_many_of_many_kinds(judged: Judged) -> None:
    assert len(judged.rows) >= ENOUGH
    assert len({row.rule for row in judged.rows}) >= KINDS


def test_each_is_explained_down_to_evidence(judged: Judged) -> None:
    for view in judged.views:
        assert view.description
        assert view.advice
        assert view.matches
        assert any(ground.evidence and ground.modules for ground in view.grounds), view.finding.rule
