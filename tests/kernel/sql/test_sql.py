"""What every `sql` adapter promises."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec import Struct

from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.sql import Sql
from tests.kernel.conftest import OpenSql
from tests.kernel.sql.thing import COLUMNS, KEY, W, ident, numbers, put

SLOW = (  # a statement that takes minutes unless it is stopped
    "SELECT COUNT(*) AS count FROM (WITH RECURSIVE n (i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT i FROM n) AS numbers"
)


class Thing(Struct, frozen=True):
    name: str | None
    number: int | None


# Values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        'it\'s "quoted"; -- not a comment',
        ":name $1 ? %s",
        "grün 東京 🦜 \u202e\ufeff",
        "a" * 1_000_000,
        "\x01\x7f\n\t\\",
    ],
)
async def test_text_comes_back_as_it_was(sql: Sql, text: str) -> None:
    async with sql.begin() as tx:
        await put(tx, 1, text)
        assert await tx.fetch("SELECT name FROM thing WHERE name = :t", t=text) == [(text,)]


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), None])
async def test_integers_of_64_bits_come_back(sql: Sql, number: int | None) -> None:
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO thing (workspace, id, number) VALUES (:w, :w, :n)", w=W, n=number)
    async with sql.read() as view:
        assert await view.fetch_one("SELECT number, id, flag, weight FROM thing") == (number, W, 0, None)


async def test_bytes_and_floats_come_back(sql: Sql) -> None:
    data = bytes(range(256))
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO thing (workspace, id, weight) VALUES (:w, :id, :f)", w=W, id=data, f=0.1)
        assert await tx.fetch_one("SELECT id, weight FROM thing WHERE id = :id", id=data) == (data, 0.1)


@pytest.mark.parametrize("value", [2**63, "\0", "a\0b", "\ud800", object(), [1]])
async def test_a_value_without_a_form_is_invalid(sql: Sql, value: object) -> None:
    with pytest.raises(Invalid):
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO counter (name, value) VALUES ('a', :v)", v=value)


async def test_who_sent_a_nul_is_told_so_and_of_no_server(sql: Sql) -> None:
    with pytest.raises(Invalid, match=r"^text may not contain NUL$"):
        async with sql.begin() as tx:
            await put(tx, 1, "a\0b")


async def test_a_parameter_may_stand_twice_and_a_quoted_colon_is_text(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 5)
        row = await tx.fetch_one("SELECT ':n', number FROM thing WHERE number = :n OR number + 1 = :n", n=5)
    assert row == (":n", 5)


async def test_text_sorts_by_its_bytes(sql: Sql) -> None:
    async with sql.begin() as tx:
        for place, name in enumerate(["b", "B", "a", "é", "Z", "_", "-"]):
            await put(tx, place, name)
        rows = await tx.fetch("SELECT name FROM thing ORDER BY name")
    assert [name for (name,) in rows] == sorted(["b", "B", "a", "é", "Z", "_", "-"])


# Transactions


async def test_what_is_committed_is_there_after_opening_again(open_sql: OpenSql, sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
    await sql.close()
    assert await numbers(open_sql()) == [1]


async def test_a_block_that_raises_leaves_nothing(sql: Sql) -> None:
    with pytest.raises(ZeroDivisionError):
        async with sql.begin() as tx:
            await put(tx, 1)
            raise ZeroDivisionError
    assert await numbers(sql) == []


async def test_a_transaction_without_statements_is_fine(sql: Sql) -> None:
    async with sql.begin():
        pass
    with pytest.raises(ZeroDivisionError):
        async with sql.begin():
            raise ZeroDivisionError


async def test_a_transaction_sees_its_own_writes(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
        assert await tx.fetch_one("SELECT number FROM thing") == (1,)


async def test_a_failed_statement_ends_the_transaction_even_when_swallowed(sql: Sql) -> None:
    with pytest.raises(Conflict):
        async with sql.begin() as tx:
            await put(tx, 1)
            with pytest.raises(Conflict):
                await put(tx, 1)
            with pytest.raises(Conflict):
                await tx.fetch("SELECT 1")
    assert await numbers(sql) == []
    async with sql.begin() as tx:
        await put(tx, 2)
    assert await numbers(sql) == [2]


async def test_a_malformed_statement_is_invalid(sql: Sql) -> None:
    for statement in ("SELEKT 1", "SELECT * FROM nowhere", "SELECT nothing FROM thing", "SELECT :missing"):
        with pytest.raises(Invalid):
            async with sql.read() as view:
                await view.fetch(statement)


async def test_a_view_cannot_write(sql: Sql) -> None:
    with pytest.raises(Invalid):
        async with sql.read() as view:
            await view.fetch("INSERT INTO counter (name, value) VALUES ('a', 1) RETURNING name")


async def test_nothing_is_asked_of_a_transaction_that_is_over(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
    with pytest.raises(Invalid):
        await put(tx, 2)
    async with sql.read() as view:
        await view.fetch("SELECT 1")
    with pytest.raises(Invalid):
        await view.fetch("SELECT 1")


async def test_a_view_is_one_instant(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
    async with sql.read() as view:
        assert await view.fetch("SELECT number FROM thing") == [(1,)]
        async with sql.begin() as tx:
            await put(tx, 2)
        assert await view.fetch("SELECT number FROM thing") == [(1,)]
        assert [rows async for rows in view.stream("SELECT number FROM thing")] == [[(1,)]]
    assert await numbers(sql) == [1, 2]


async def test_readers_do_not_wait_for_a_writer(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
        async with asyncio.timeout(5):
            assert await numbers(sql) == []


async def test_many_readers_at_once(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)

    async def nested(depth: int) -> list[int]:
        async with sql.read() as view:
            await view.fetch("SELECT 1")
            return await nested(depth - 1) if depth else await numbers(sql)

    async with asyncio.timeout(10):
        assert await asyncio.gather(*(nested(3) for _ in range(20))) == [[1]] * 20


@pytest.mark.parametrize("opened", [1, 2])
async def test_a_lock_is_held_by_one_at_a_time(open_sql: OpenSql, sql: Sql, opened: int) -> None:
    """Also between two processes, here two adapters on the same data."""
    databases = [sql, *(open_sql() for _ in range(opened - 1))]
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO counter (name, value) VALUES ('a', 0)")

    async def add(database: Sql) -> None:
        async with database.begin() as tx:
            await tx.lock("counter a")
            row = await tx.fetch_one("SELECT value FROM counter WHERE name = 'a'")
            assert row is not None
            await asyncio.sleep(0)
            await tx.execute("UPDATE counter SET value = :v WHERE name = 'a'", v=row[0] + 1)

    await asyncio.gather(*(add(databases[turn % opened]) for turn in range(20)))
    async with sql.read() as view:
        assert await view.fetch_one("SELECT value FROM counter") == (20,)


async def test_a_shared_lock_is_held_beside_others_who_share_it_and_never_beside_one_who_holds_it_alone(
    open_sql: OpenSql, sql: Sql
) -> None:
    databases = [sql, open_sql()]
    alone = shared = 0

    async def hold(turn: int) -> None:
        nonlocal alone, shared
        async with databases[turn % 2].begin() as tx:
            await tx.lock("key", shared=turn % 3 > 0)
            if turn % 3:
                shared += 1
                assert not alone
            else:
                alone += 1
                assert (alone, shared) == (1, 0)
            await tx.fetch("SELECT 1")
            if turn % 3:
                shared -= 1
            else:
                alone -= 1

    async with asyncio.timeout(30):
        await asyncio.gather(*(hold(turn) for turn in range(18)))


# Cancellation and death


async def test_a_cancelled_transaction_rolls_back_and_lets_the_next_one_in(sql: Sql) -> None:
    inside = asyncio.Event()

    async def waits() -> None:
        async with sql.begin() as tx:
            await put(tx, 1)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await inside.wait()
    waiting = asyncio.create_task(waits())  # for its turn
    await asyncio.sleep(0)
    for each in (waiting, task):
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each
    async with asyncio.timeout(5), sql.begin() as tx:
        await put(tx, 2)
    assert await numbers(sql) == [2]


async def test_a_cancelled_statement_stops(sql: Sql) -> None:
    async def slow_write() -> None:
        async with sql.begin() as tx:
            await put(tx, 1)
            await tx.fetch(SLOW)

    async def slow_read() -> None:
        async with sql.read() as view:
            await view.fetch("SELECT 1")
            await view.fetch(SLOW)

    async with asyncio.timeout(10):
        for slow in (slow_write, slow_read):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await slow()
            async with sql.begin() as tx:
                await put(tx, 2)
                await tx.execute("DELETE FROM thing WHERE number = 2")
        assert await numbers(sql) == []


async def test_a_cancelled_statement_ends_its_transaction_even_when_swallowed(sql: Sql) -> None:
    with pytest.raises(Conflict):
        async with sql.begin() as tx:
            await put(tx, 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await tx.execute(f"INSERT INTO counter (name, value) SELECT 'a', count FROM ({SLOW}) AS slow")
            with pytest.raises(Conflict):
                await put(tx, 2)
    assert await numbers(sql) == []


async def test_a_task_that_would_wait_for_itself_is_told(sql: Sql) -> None:
    with pytest.raises(Invalid):
        async with sql.begin() as tx:
            await put(tx, 1)
            async with sql.begin():
                pass
    assert await numbers(sql) == []


async def test_a_task_cancelled_anywhere_leaves_all_or_nothing(sql: Sql) -> None:
    async def work(number: int) -> None:
        async with sql.begin() as tx:
            await put(tx, number)
            await put(tx, number + 1000)

    for steps in range(12):
        task = asyncio.create_task(work(steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with sql.begin() as tx:
            count = await tx.fetch_one("SELECT COUNT(*) FROM thing WHERE number IN (:a, :b)", a=steps, b=steps + 1000)
        assert count in {(0,), (2,)}


KILLED = """
import asyncio

async def main():
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO counter (name, value) VALUES ('committed', 1)")
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO counter (name, value) VALUES ('open', 1)")
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_process_keeps_what_it_committed_and_nothing_else(
    open_sql: OpenSql, sql: Sql, kill_when_ready: Callable[[str], None]
) -> None:
    await asyncio.to_thread(kill_when_ready, open_sql.code + KILLED)
    async with open_sql().read() as view:
        assert await view.fetch("SELECT name FROM counter") == [("committed",)]


# Batches


async def test_execute_says_how_many_rows_changed(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.execute_many(
            "INSERT INTO counter (name, value) VALUES (:name, :v)", [{"name": f"c{n}", "v": n} for n in range(10)]
        )
        await tx.execute_many("INSERT INTO counter (name, value) VALUES (:name, :v)", [])
        assert await tx.execute("UPDATE counter SET value = value + 1 WHERE value >= :v", v=5) == 5
        assert await tx.execute("DELETE FROM counter WHERE value = :v", v=999) == 0
        low = "WITH low AS (SELECT name FROM counter WHERE value < 2)"
        assert await tx.execute(f"{low} DELETE FROM counter WHERE name IN (SELECT name FROM low)") == 2
        assert await tx.fetch("DELETE FROM counter WHERE value = :v RETURNING name", v=2) == [("c2",)]


@pytest.mark.parametrize("count", [0, 1, 2, 64, 65, 513, 3000])
async def test_keys_are_asked_for_in_pieces(sql: Sql, count: int) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(count)])
        keys = [ident(n) for n in range(count)]
        asked = [*keys, *keys[:3], ident(10**6)]
        rows = await tx.fetch_in("SELECT number FROM thing WHERE workspace = :w AND id IN :keys", asked, w=W)
        assert sorted(rows) == [(n,) for n in range(count)]
        changed = await tx.execute_in(
            "UPDATE thing SET flag = :f WHERE workspace = :w AND id IN :keys", asked, w=W, f=1
        )
        assert changed == count
    async with sql.read() as view:
        assert await view.fetch_in("SELECT number FROM thing WHERE id IN :keys", []) == []


async def test_a_list_of_keys_needs_its_place(sql: Sql) -> None:
    with pytest.raises(Invalid):
        async with sql.read() as view:
            await view.fetch_in("SELECT number FROM thing", [1])


async def test_only_new_rows_are_inserted_and_named(sql: Sql) -> None:
    async with sql.begin() as tx:
        first = await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "first", n) for n in (3, 1, 2, 1)])
        rows = [(W, ident(n), "second", n) for n in range(300)]
        second = await tx.insert_new("thing", COLUMNS, KEY, rows[::-1])
        assert await tx.insert_new("thing", COLUMNS, KEY, []) == []
        kept = await tx.fetch("SELECT number FROM thing WHERE name = 'first' ORDER BY number")
    assert sorted(first) == [(W, ident(n)) for n in (1, 2, 3)]
    assert sorted(second) == [(W, ident(n)) for n in range(300) if n not in {1, 2, 3}]
    assert kept == [(1,), (2,), (3,)]


async def test_every_row_has_the_number_that_it_was_first_inserted_with(sql: Sql) -> None:
    async with sql.begin() as tx:
        first = await tx.insert_numbered("thing", COLUMNS, KEY, "number", [(W, ident(n), "a", -n) for n in (3, 1, 3)])
        rows = [(W, ident(n), "b", 1 << 62 | n) for n in reversed(range(300))]
        second = await tx.insert_numbered("thing", COLUMNS, KEY, "number", rows)
        assert await tx.insert_numbered("thing", COLUMNS, KEY, "number", []) == {}
        kept = await tx.fetch("SELECT workspace, id, number FROM thing")
    assert first == {(W, ident(1)): -1, (W, ident(3)): -3}
    assert second == {(W, ident(n)): -n if n in {1, 3} else 1 << 62 | n for n in range(300)}
    assert {(bytes(space), bytes(key)): number for space, key, number in kept} == second


MERGED = [
    ("replace", [1, 3, 2], 2), ("replace", [1, None], None),
    ("min", [5, 3, 9], 3), ("min", [None, 3], 3), ("min", [3, None], 3),
    ("max", [5, 9, 3], 9), ("max", [None, 3], 3), ("max", [3, None], 3),
    ("sum", [1, 2, 3], 6), ("sum", [None, 2], 2), ("sum", [2, None], 2), ("sum", [None, None], None),
    ("keep", [1, 2, 3], 1), ("keep", [None, 2, 3], 2),
    (None, [1, 2, 3], 1), (None, [None, 2], None),
]  # fmt: skip


@pytest.mark.parametrize(("how", "values", "result"), MERGED)
@pytest.mark.parametrize("together", [True, False])
async def test_rows_are_merged_as_declared(sql: Sql, how, values, result, together: bool) -> None:
    rows = [(W, ident(1), "x", value) for value in values]
    async with sql.begin() as tx:
        for batch in [rows] if together else [[row] for row in rows]:
            await tx.bulk_upsert("thing", COLUMNS, KEY, batch, {"number": how} if how else {})
        assert await tx.fetch("SELECT number, name FROM thing") == [(result, "x")]


async def test_a_large_upsert_merges_some_and_inserts_the_rest(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.bulk_upsert("thing", COLUMNS, KEY, [(W, ident(n), "old", n) for n in range(0, 1000, 2)], {})
    async with sql.begin() as tx:
        rows = [(W, ident(n), "new", 1) for n in reversed(range(1000))]
        await tx.bulk_upsert("thing", COLUMNS, KEY, rows, {"number": "sum"})
        await tx.bulk_upsert("thing", COLUMNS, KEY, [], {"number": "sum"})
        rows = await tx.fetch("SELECT id, name, number FROM thing ORDER BY id")
    assert rows == [(ident(n), "new", 1) if n % 2 else (ident(n), "old", n + 1) for n in range(1000)]


async def test_two_large_batches_of_one_transaction_do_not_mix(sql: Sql) -> None:
    async with sql.begin() as tx:
        for turn in (1, 2):
            rows = [(W, ident(n), f"turn {turn}", n) for n in range(2500 * (turn - 1), 2500 * turn)]
            assert len(await tx.insert_new("thing", COLUMNS, KEY, rows)) == 2500
        await tx.execute("DELETE FROM thing")
        await tx.bulk_upsert("thing", COLUMNS, KEY, [(W, ident(n), "last", n) for n in range(1200)], {})
        given = [(W, ident(n), "numbered", n + 5) for n in range(1100, 2400)]
        numbers = await tx.insert_numbered("thing", COLUMNS, KEY, "number", given)
        assert numbers == {(W, ident(n)): n if n < 1200 else n + 5 for n in range(1100, 2400)}
        assert await tx.fetch("SELECT name, COUNT(*) FROM thing GROUP BY name ORDER BY name") == [
            ("last", 1200),
            ("numbered", 1200),
        ]


async def test_text_merges_by_its_bytes(sql: Sql) -> None:
    async with sql.begin() as tx:
        for name in ("b", "Z", "é"):
            await tx.bulk_upsert("thing", COLUMNS, KEY, [(W, ident(1), name, 1)], {"name": "max"})
        assert await tx.fetch("SELECT name FROM thing") == [("é",)]


@pytest.mark.parametrize("merge", [{"id": "replace"}, {"flag": "replace"}])
async def test_only_written_columns_outside_the_key_are_merged(sql: Sql, merge) -> None:
    with pytest.raises(Invalid):
        async with sql.begin() as tx:
            await tx.bulk_upsert("thing", COLUMNS, KEY, [(W, W, "x", 1)], merge)


async def test_claimed_rows_are_the_first_and_claimed_once(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(50)])

    async def claim() -> list[int]:
        async with sql.begin() as tx:
            keys = await tx.claim_rows(
                "thing",
                KEY,
                "flag = :free AND number < :below",
                "number",
                7,
                "flag = :taken",
                free=0,
                taken=1,
                below=40,
            )
            await asyncio.sleep(0)
            return [int.from_bytes(key, "big") for _, key in keys]

    assert sorted(await claim()) == list(range(7))
    claimed = [number for part in await asyncio.gather(*(claim() for _ in range(8))) for number in part]
    assert sorted(claimed) == list(range(7, 40))


async def test_taken_rows_are_the_first_and_gone_for_who_took_them_alone(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(50)])

    async def take(limit: int = 7) -> list[int]:
        async with sql.begin() as tx:
            rows = await tx.take_rows("thing", KEY, ("number", "name"), limit)
            await asyncio.sleep(0)
            assert {name for _, name in rows} <= {"x"}
            return [number for number, _ in rows]

    assert sorted(await take()) == list(range(7))
    taken = [number for part in await asyncio.gather(*(take() for _ in range(5))) for number in part]
    assert sorted(taken) == list(range(7, 42))
    assert sorted(await take(100)) == list(range(42, 50))
    assert await take() == []


async def test_taken_rows_are_there_again_when_the_transaction_fails(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(5)])
    with pytest.raises(RuntimeError):
        async with sql.begin() as tx:
            assert len(await tx.take_rows("thing", KEY, ("number",), 3)) == 3
            raise RuntimeError("what was to be done with them could not be")
    async with sql.begin() as tx:
        assert len(await tx.take_rows("thing", KEY, ("number",), 10)) == 5


# Streams


async def test_a_stream_yields_lists_of_the_size_asked_for(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(250)])
    async with sql.read() as view:
        lists = [
            rows
            async for rows in view.stream("SELECT number FROM thing WHERE number >= :n ORDER BY number", size=100, n=0)
        ]
        assert [len(rows) for rows in lists] == [100, 100, 50]
        assert [row for rows in lists for row in rows] == [(n,) for n in range(250)]
        lists = [rows async for rows in view.stream("SELECT number FROM thing", size=125)]
        assert [len(rows) for rows in lists] == [125, 125]
        assert [rows async for rows in view.stream("SELECT number FROM thing WHERE number = -1")] == []


async def first_of(stream: AsyncIterator[list[tuple[int, ...]]]) -> list[tuple[int, ...]]:
    async for rows in stream:
        return rows
    return []


async def test_a_consumer_may_stop_a_stream(sql: Sql) -> None:
    async with sql.begin() as tx:
        await tx.insert_new("thing", COLUMNS, KEY, [(W, ident(n), "x", n) for n in range(250)])
    async with sql.read() as view:
        abandoned = view.stream("SELECT number FROM thing ORDER BY number", size=10)
        assert await first_of(abandoned) == [(n,) for n in range(10)]
        assert await first_of(view.stream("SELECT number FROM thing ORDER BY number", size=1)) == [(0,)]
        assert await view.fetch_one("SELECT COUNT(*) FROM thing") == (250,)
    async with sql.begin() as tx:
        assert await first_of(tx.stream("SELECT number FROM thing ORDER BY number", size=1)) == [(0,)]
        await tx.execute("DELETE FROM thing")
    assert await numbers(sql) == []


async def test_a_stream_in_a_transaction_sees_its_writes(sql: Sql) -> None:
    async with sql.begin() as tx:
        await put(tx, 1)
        assert [rows async for rows in tx.stream("SELECT number FROM thing")] == [[(1,)]]


async def test_a_stream_holds_one_list_at_a_time(sql: Sql) -> None:
    """Fifty thousand rows pass through; five hundred are in memory."""
    import tracemalloc

    async with sql.read() as view:
        endless = (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
            " SELECT i, 'twenty letters or so' FROM n"
        )
        tracemalloc.start()
        seen = 0
        async for rows in view.stream(endless, size=500):
            seen += len(rows)
            if seen >= 50_000:
                break
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_000_000


# Health


async def test_a_closed_database_is_unavailable(sql: Sql) -> None:
    await sql.ping()
    await sql.close()
    await sql.close()
    with pytest.raises(Unavailable):
        await sql.ping()
    with pytest.raises(Unavailable):
        async with sql.begin() as tx:
            await put(tx, 1)
    with pytest.raises(Unavailable):
        async with sql.read() as view:
            await view.fetch("SELECT 1")


async def test_a_database_closed_under_a_transaction_commits_nothing(open_sql: OpenSql, sql: Sql) -> None:
    with pytest.raises(Unavailable):
        async with sql.begin() as tx:
            await put(tx, 1)
            await sql.close()
    assert await numbers(open_sql()) == []
