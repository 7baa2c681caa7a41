"""Answers that many items have in common: asked for once, paid for once, kept as evidence by each."""

import asyncio
from pathlib import Path
from uuid import UUID

from services.collector.budget import Budget
from services.collector.context import Unreachable
from services.collector.item.exchange import Exchanges, Owner, Performed
from services.collector.item.http import Shared
from services.collector.manifest import MODULES, read_manifest
from services.kernel.cache.memory import MemoryCache
from services.kernel.sql.sqlite import SqliteSql
from tests.collector.modules.wired import Remembered

NOBODY = UUID(int=0)


class Source:
    """Counts how often it is asked; fails while there are failures left."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self.failures = failures

    async def answer(self) -> Performed:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.failures:
            return Performed(failure=Unreachable("status 500"))
        return Performed(status="200", body=b"{}")


async def test_one_answer_serves_all_who_ask_for_it() -> None:
    shared, source = Shared(), Source()
    answers = await asyncio.gather(*(shared.once("GET https://a.example/", 60, source.answer) for _ in range(20)))
    assert {answer.body for answer in answers} == {b"{}"}
    assert source.asked == 1


async def test_a_failure_is_not_shared_with_those_who_come_later() -> None:
    shared, source = Shared(), Source(failures=1)
    assert (await shared.once("GET https://a.example/", 60, source.answer)).failure
    assert (await shared.once("GET https://a.example/", 60, source.answer)).body == b"{}"
    assert source.asked == 2


async def test_only_so_many_bytes_are_kept() -> None:
    shared, source = Shared(most=100_000), Source()
    for number in range(200):
        await shared.once(f"GET https://a.example/{number}", 60, source.answer)
    await shared.once("GET https://a.example/199", 60, source.answer)
    assert source.asked == 200
    await shared.once("GET https://a.example/0", 60, source.answer)
    assert source.asked == 201


async def test_an_answer_is_shared_for_so_long_and_what_comes_late_takes_no_room() -> None:
    shared, source = Shared(), Source()
    for asked in (1, 2):
        await asyncio.gather(*(shared.once("GET https://a.example/", -1, source.answer) for _ in range(2)))
        assert source.asked == 2 * asked
    await shared.once("GET https://b.example/", 60, source.answer)
    assert shared._size == sum(len(task.result().body) + 2_000 for _, task in shared._answers.values())


async def test_a_shared_answer_is_paid_for_once_and_is_evidence_for_each(tmp_path: Path) -> None:
    manifest = read_manifest(MODULES / "rdap_ip.py").manifest
    budget = Budget(MemoryCache(), SqliteSql(tmp_path / "collector.db"))
    journal, shared, source = Remembered(), Shared(), Source()
    items = [
        Exchanges(journal, budget, manifest, Owner(NOBODY, NOBODY, UUID(int=number), 0), {}, offline=False)
        for number in range(200)
    ]

    async def ask(exchanges: Exchanges) -> bytes:
        async def pay_and_answer() -> Performed:
            await exchanges.pay()
            return await source.answer()

        async def perform() -> Performed:
            return await shared.once("GET https://a.example/", 60, pay_and_answer)

        _, body = await exchanges.make("http", "GET https://a.example/", perform, shared=True)
        return body

    assert await asyncio.gather(*map(ask, items)) == [b"{}"] * 200
    assert source.asked == sum(item.made for item in items) == 1
    assert len(journal.records) == 200
