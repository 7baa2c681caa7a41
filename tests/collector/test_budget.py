"""How often sources are asked: their rate and quotas over all scans, the pauses they ask for, and being left alone."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector import budget as budgets
from services.collector.budget import (
    BREAK,
    BREAKS_AFTER,
    PATIENCE,
    PAUSE,
    Account,
    Budget,
    UsedUp,
    Wait,
    left_for,
    windows_at,
)
from services.collector.context import RateLimited, Unreachable
from services.collector.item.exchange import Performed
from services.collector.manifest import Manifest
from services.collector.store import Window
from services.kernel import metrics
from services.kernel.cache import Bucket
from services.kernel.cache.memory import MemoryCache
from services.kernel.sql import Sql, migrations
from tests.collector.workshop import ELSEWHERE, WORKSPACE, Workshop, manifest
from tests.stores import Stores

NOON = int(datetime(2026, 11, 28, 12, 30, 5, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000

#: What is measured under a name, by labels.
Measured = Callable[[str], Awaitable[dict[str, float]]]


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> MemoryCache:
    return MemoryCache(clock=clock)


@pytest.fixture
async def sql(tmp_path: Path, stores: Stores) -> AsyncIterator[Sql]:
    opened = stores.open(tmp_path / "collector.db")
    await opened.migrate(migrations.load("services.collector.migrations"))
    yield opened
    await opened.close()


class Desk(Budget):
    """A collector's budget, asked by manifest."""

    async def ask(self, source: Manifest, host: str = "", secret: str = "") -> float:
        return await self.take(self.account(source, host, secret))

    async def spend_on(self, source: Manifest, workspace: UUID = WORKSPACE, secret: str = "") -> UsedUp | None:
        return await self.spend(self.account(source, secret=secret), workspace)


async def test_a_source_is_asked_by_its_rate_over_all_collectors(cache: MemoryCache, sql: Sql, clock: Clock) -> None:
    one, other, source = Desk(cache, sql), Desk(cache, sql), manifest(rate=0.5, burst=3)
    assert [await budget.ask(source) for budget in (one, other, one)] == [0, 0, 0]
    assert await other.ask(source) == pytest.approx(2.0)
    clock.at += 2.0
    assert await other.ask(source) == 0
    assert await one.ask(source) > 0


async def test_each_source_has_a_budget_of_its_own(cache: MemoryCache, sql: Sql) -> None:
    budget = Desk(cache, sql)
    assert await budget.ask(manifest("one", rate=0.1)) == 0
    assert await budget.ask(manifest("two", rate=0.1)) == 0
    assert await budget.ask(manifest("one", rate=0.1)) > 0


async def test_modules_that_share_an_allowance_have_one_budget(cache: MemoryCache, sql: Sql) -> None:
    budget = Desk(cache, sql)
    users, orgs = (manifest(name, rate=0.1, quota={"hour": 1}, budget="github") for name in ("users", "orgs"))
    assert await budget.ask(users) == 0
    assert await budget.ask(orgs) > 0
    assert await budget.spend_on(users) is None
    assert await budget.spend_on(orgs) is not None


async def test_a_directory_that_leads_anywhere_has_a_budget_for_each_host(cache: MemoryCache, sql: Sql) -> None:
    budget, source = Desk(cache, sql), manifest(rate=0.1, hosts=("data.iana.org", "*"))
    assert await budget.ask(source, "rdap.one.example") == 0
    assert await budget.ask(source, "rdap.two.example") == 0
    assert await budget.ask(source, "rdap.one.example") > 0
    await budget.pause(budget.account(source, "rdap.three.example"), 3600.0)
    assert await budget.ask(source, "rdap.three.example") > 3500
    assert await budget.ask(source, "rdap.four.example") == 0
    for _ in range(BREAKS_AFTER):
        await budget.failed(budget.account(source, "rdap.five.example"))
    assert await budget.broken(budget.account(source, "rdap.five.example"))
    assert not await budget.broken(budget.account(source, "rdap.four.example"))


async def test_who_has_a_key_has_its_rate_and_its_quota(cache: MemoryCache, sql: Sql) -> None:
    budget = Desk(cache, sql)
    source = manifest(rate=0.1, key_rate=10.0, burst=1, quota={"hour": 1}, key_quota={"hour": 2})
    assert [await budget.ask(source), await budget.ask(source)] == [0, pytest.approx(10.0)]
    assert [await budget.ask(source, secret="k1"), await budget.ask(source, secret="k1")] == [0, pytest.approx(0.1)]
    assert await budget.ask(source, secret="k2") == 0, "another key is another allowance"
    assert [await budget.spend_on(source), await budget.spend_on(source) is None] == [None, False]
    assert [await budget.spend_on(source, secret="k1") is None for _ in range(3)] == [True, True, False]


async def test_a_source_without_a_rate_is_never_waited_for(cache: MemoryCache, sql: Sql) -> None:
    budget, source = Desk(cache, sql), manifest(rate=0.0)
    await budget.pause(budget.account(source), 100.0)
    assert [await budget.ask(source) for _ in range(100)] == [0] * 100


async def test_a_source_that_asks_for_a_pause_gets_it_in_every_collector(
    cache: MemoryCache, sql: Sql, clock: Clock
) -> None:
    source, other = manifest(rate=10.0, burst=10), Desk(cache, sql)
    await other.pause(other.account(source), 30.0)
    assert await Desk(cache, sql).ask(source) == pytest.approx(30.0)
    clock.at += 30.0
    assert await Desk(cache, sql).ask(source) == 0


async def test_a_source_that_does_not_say_for_how_long_gets_a_pause_too(
    cache: MemoryCache, sql: Sql, clock: Clock
) -> None:
    budget, source = Desk(cache, sql), manifest(rate=10.0, burst=10)
    await budget.pause(budget.account(source), None)
    assert await budget.ask(source) == pytest.approx(PAUSE)


@pytest.mark.parametrize(("wait", "after"), [(PATIENCE, None), (PATIENCE + 1, 300.0), (400.0, 400.0)])
def test_what_gives_one_a_minute_is_waited_for_where_that_takes_a_moment_and_else_left_until_it_is_full(
    wait: float, after: float | None
) -> None:
    rarely = Account("source", bucket=Bucket(rate=1 / 60, burst=5.0))
    refused = rarely.too_long(wait)
    assert (refused and refused[1]) == pytest.approx(after)


async def test_what_a_source_said_when_it_failed_is_kept_in_short(cache: MemoryCache, sql: Sql) -> None:
    budget, source = Desk(cache, sql), Desk(cache, sql).account(manifest())
    for _ in range(BREAKS_AFTER):
        await budget.failed(source, "no " * 10_000)
    assert len(await budget.broken(source) or "") < 500


async def test_a_source_that_fails_in_a_row_is_left_alone_for_a_while(
    cache: MemoryCache, sql: Sql, clock: Clock
) -> None:
    budget, source = Desk(cache, sql), Desk(cache, sql).account(manifest())
    for number in range(BREAKS_AFTER):
        assert not await budget.broken(source), number
        await budget.failed(source)
    assert await budget.broken(source)
    assert await Desk(cache, sql).broken(source)
    assert not await budget.broken(budget.account(manifest("other")))
    clock.at += BREAK + 1
    assert not await budget.broken(source)
    await budget.failed(source)
    assert not await budget.broken(source), "the row begins anew"


async def test_an_answer_begins_the_row_anew(cache: MemoryCache, sql: Sql) -> None:
    budget = Desk(cache, sql)
    source = budget.account(manifest())
    for _ in range(3):
        for _ in range(BREAKS_AFTER - 1):
            await budget.failed(source)
        budget.answered(source)
    assert not await budget.broken(source)


# Quotas


async def test_of_many_who_ask_at_once_as_many_get_through_as_the_quota_has(
    cache: MemoryCache, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "now", lambda: NOON)
    collectors, source = [Desk(cache, sql) for _ in range(50)], manifest(quota={"day": 100})
    asked = [collector.spend_on(source) for collector in collectors for _ in range(4)]
    refused = [each for each in await asyncio.gather(*asked) if each]
    assert len(refused) == 100
    assert {each.reason for each in refused} == {"its quota of 100 per day is used up until 2026-11-29 00:00 UTC"}


async def test_a_quota_begins_anew_with_its_hour_day_and_month(
    cache: MemoryCache, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, source = Desk(cache, sql), manifest(quota={"hour": 1, "day": 2, "month": 3})
    ends = []
    for at in (NOON, NOON + HOUR // 4, NOON + HOUR, NOON + 2 * HOUR, NOON + 12 * HOUR, NOON + 36 * HOUR):
        monkeypatch.setattr(budgets, "now", lambda at=at: at)
        refused = await budget.spend_on(source)
        ends.append(refused and refused.window.period)
    assert ends == [None, "hour", None, "day", None, "month"]
    monkeypatch.setattr(budgets, "now", lambda: NOON + 72 * HOUR)
    assert await budget.spend_on(source) is None, "December has begun"
    async with sql.read() as view:
        assert len(await view.fetch("SELECT * FROM quota")) == 3, "windows that are over are forgotten"


async def test_a_request_that_one_quota_refuses_counts_in_none(cache: MemoryCache, sql: Sql) -> None:
    budget, source = Desk(cache, sql), manifest(quota={"hour": 1, "month": 10})
    for _ in range(5):
        await budget.spend_on(source)
    standing = await budget.standing(budget.account(source), WORKSPACE)
    assert {window.period: (used, left) for window, used, left in standing} == {"hour": (1, 0), "month": (1, 9)}


async def test_workspaces_that_ask_the_same_source_have_equal_shares_of_what_it_gives(
    cache: MemoryCache, sql: Sql
) -> None:
    budget, source = Desk(cache, sql), manifest(quota={"day": 10})
    assert [await budget.spend_on(source) for _ in range(4)] == [None] * 4
    assert await budget.spend_on(source, ELSEWHERE) is None
    mine = [await budget.spend_on(source) for _ in range(4)]
    assert [each is None for each in mine] == [True, False, False, False]
    assert mine[-1] is not None
    assert mine[-1].shared
    assert mine[-1].reason.startswith("this workspace's share of its quota of 10 per day")
    theirs = [await budget.spend_on(source, ELSEWHERE) for _ in range(6)]
    assert [each is None for each in theirs] == [True] * 4 + [False] * 2
    assert theirs[-1] is not None
    assert not theirs[-1].shared


@given(
    st.integers(1, 1000),
    st.dictionaries(st.uuids(), st.integers(0, 50), max_size=6),
    st.uuids(),
)
def test_nobody_is_left_more_than_there_is_and_who_is_alone_is_left_all(
    most: int, counts: dict[UUID, int], workspace: UUID
) -> None:
    window = Window("day", 0, 1, most)
    left = left_for(workspace, window, counts)
    assert 0 <= left <= max(0, most - sum(counts.values()))
    if not counts.keys() - {workspace}:
        assert left == max(0, most - sum(counts.values()))


@given(st.integers(1, 20), st.integers(1, 6), st.randoms(use_true_random=False))
def test_those_who_share_a_quota_use_all_of_it_in_whatever_order_they_ask(
    most: int, sharers: int, rng: random.Random
) -> None:
    window = Window("day", 0, 1, most)
    counts = {UUID(int=number): 0 for number in range(sharers)}
    while left := [workspace for workspace in counts if left_for(workspace, window, counts)]:
        counts[rng.choice(left)] += 1
    assert sum(counts.values()) == most


def test_a_window_that_ends_while_somebody_is_refused_is_asked_again_a_moment_later() -> None:
    assert UsedUp(Window("hour", 0, 1, 5), shared=False).seconds == 1.0


@given(st.integers(0, 4_000_000_000))
def test_the_present_lies_in_every_window(second: int) -> None:
    windows = windows_at({"hour": 1, "day": 1, "month": 1}, second * 1_000_000)
    assert all(window.begun <= second * 1_000_000 < window.ends for window in windows)


# An item's requests


async def asked(shop: Workshop, source: Manifest, item: int, **fields: Any) -> int:
    """Make one request as an item; return how many were made."""
    exchanges = await shop.exchanges(source, item, **fields)

    async def perform() -> Performed:
        return Performed(status="200", body=b"x")

    await exchanges.make("http", "GET /", perform)
    return exchanges.made


async def test_what_a_quota_refuses_is_not_asked_and_ends_as_rate_limited_with_the_time_when_it_may_be(
    shop: Workshop,
) -> None:
    source = manifest(quota={"month": 2})
    assert [await asked(shop, source, 1), await asked(shop, source, 2)] == [1, 1]
    with pytest.raises(RateLimited, match=r"its quota of 2 per month is used up until") as limited:
        await asked(shop, source, 3)
    assert limited.value.after is not None
    assert 0 < limited.value.after <= 31 * 86_400
    assert await shop.records(3) == []


async def test_an_item_that_is_run_again_pays_for_nothing_twice(shop: Workshop) -> None:
    source = manifest(quota={"day": 1})
    assert await asked(shop, source, 1) == 1
    assert await asked(shop, source, 1) == 0


async def test_work_that_waits_for_its_rate_has_not_paid_from_the_quota(shop: Workshop) -> None:
    source = manifest(rate=0.1, burst=1, quota={"day": 5})
    await asked(shop, source, 1)
    for _ in range(3):
        with pytest.raises(Wait):
            await asked(shop, source, 2)
    ((_, used, _),) = await shop.budget.standing(shop.budget.account(source), WORKSPACE)
    assert used == 1


async def test_what_is_asked_with_a_key_is_counted_under_it(shop: Workshop) -> None:
    source = manifest(quota={"day": 0}, key_quota={"day": 1})
    exchanges = await shop.exchanges(source)
    exchanges.use_key("s3cret-key")
    await exchanges.pay()
    async with shop.sql.read() as view:
        ((holder,),) = await view.fetch("SELECT holder FROM quota")
    assert holder == budgets.fingerprint("s3cret-key")
    assert "s3cret" not in holder


async def test_targets_are_not_left_alone_for_each_other(shop: Workshop) -> None:
    look = manifest("look", "active")

    async def perform() -> Performed:
        return Performed(failure=Unreachable("gone"))

    for number in range(3 * BREAKS_AFTER):
        exchanges = await shop.exchanges(look, number)
        with pytest.raises(Unreachable, match="gone"):
            await exchanges.make("http", "GET /", perform)


# Seen from outside


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()

    async def read(name: str) -> dict[str, float]:
        found = re.findall(rf"(?m)^{name}{{(.*)}} (\S+)$", (await metrics.render()).decode())
        return {labels: float(value) for labels, value in found}

    return read


async def test_what_budgets_say_is_measured_by_source_without_its_hosts(
    cache: MemoryCache, sql: Sql, measured: Measured
) -> None:
    budget = Desk(cache, sql)
    source = manifest("whois", rate=0.1, hosts=("*",), quota={"day": 3})
    for host in ("one.example", "two.example"):
        for _ in range(2):
            await budget.ask(source, host)
    await budget.pause(budget.account(source, "one.example"), 10.0)
    for _ in range(BREAKS_AFTER):
        await budget.failed(budget.account(source, "two.example"))
    assert await budget.broken(budget.account(source, "two.example"))
    assert [await budget.spend_on(source) is None for _ in range(4)] == [True] * 3 + [False]
    said = {outcome: f'outcome="{outcome}",source="whois"' for outcome in get_args(budgets.Outcome)}
    assert await measured("mirage_budget_total") == {
        said["may"]: 2.0,
        said["waits"]: 2.0,
        said["paused"]: 1.0,
        said["left_alone"]: 1.0,
        said["used_up"]: 1.0,
    }


async def test_what_is_used_of_quotas_now_is_measured_whoever_used_it(
    cache: MemoryCache,
    sql: Sql,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = Desk(cache, sql)
    metrics.read_with(budget.measure)
    monkeypatch.setattr(budgets, "now", lambda: NOON)
    source = manifest("one", hosts=("*",), quota={"hour": 9, "month": 90}, key_quota={"hour": 9})
    for host, secret, space in (("a", "", WORKSPACE), ("b", "", ELSEWHERE), ("b", "k", WORKSPACE)):
        await budget.spend(budget.account(source, host, secret), space)
    hour, month = (f'period="{period}",source="one"' for period in ("hour", "month"))
    assert await measured("mirage_quota_used") == {hour: 3.0, month: 2.0}
    monkeypatch.setattr(budgets, "now", lambda: NOON + HOUR)
    assert await measured("mirage_quota_used") == {month: 2.0}
