"""What every `values` adapter promises."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.values import LONGEST, LONGEST_TOGETHER, TOGETHER, Values

Seen = AsyncIterator[Mapping[str, bytes]]


async def following(seen: Seen) -> Mapping[str, bytes]:
    async with asyncio.timeout(5):
        return await anext(seen)


async def until(seen: Seen, wanted: Mapping[str, bytes]) -> None:
    async with asyncio.timeout(5):
        async for found in seen:
            if found == wanted:
                return


async def test_what_is_written_is_read_until_it_is_removed(values: Values) -> None:
    assert await values.get("s/a") is None
    everything = bytes(range(256))
    for key, value in {"s/b": b"", "s/a": everything, "sub/a": b"1", "s/sub/x.y_z-1": b"\xff\x00"}.items():
        await values.put(key, value)
    assert (found := await values.get("s/a")) is not None
    assert found.value == everything
    assert {key: each.value for key, each in (await values.read("s/")).items()} == {
        "s/a": everything, "s/b": b"", "s/sub/x.y_z-1": b"\xff\x00",
    }  # fmt: skip
    assert list(await values.read("s/")) == ["s/a", "s/b", "s/sub/x.y_z-1"]
    for _ in range(2):
        await values.delete("s/a")
    assert await values.get("s/a") is None
    assert await values.read("nothing/") == {}


async def test_a_version_is_another_when_the_value_is(values: Values) -> None:
    versions = []
    for value in (b"1", b"1", b"2", b"1"):
        await values.put("s/a", value)
        found = await values.get("s/a")
        assert found is not None
        assert (await values.read("s/"))["s/a"] == found
        versions.append(found.version)
    assert 0 < versions[0] == versions[1] < versions[2] < versions[3]


async def test_a_value_is_replaced_only_at_the_version_that_was_seen(values: Values) -> None:
    await values.put("s/a", b"1", cas=0)
    with pytest.raises(Conflict):
        await values.put("s/a", b"2", cas=0)
    seen = await values.get("s/a")
    assert seen is not None
    await values.put("s/a", b"2", cas=seen.version)
    with pytest.raises(Conflict):
        await values.put("s/a", b"3", cas=seen.version)
    with pytest.raises(Conflict):
        await values.put("s/none", b"3", cas=seen.version)
    await values.delete("s/a")
    await values.put("s/a", b"4", cas=0)
    assert {key: each.value for key, each in (await values.read("s/")).items()} == {"s/a": b"4"}


async def test_of_many_who_replace_the_same_version_one_does(values: Values) -> None:
    await values.put("s/a", b"0")
    seen = await values.get("s/a")
    assert seen is not None
    done = await asyncio.gather(
        *(values.put("s/a", str(number).encode(), cas=seen.version) for number in range(1, 11)), return_exceptions=True
    )
    assert [type(each) for each in done].count(Conflict) == 9


async def test_several_are_written_and_removed_at_once(values: Values) -> None:
    await values.put("s/old", b"1")
    seen = values.watch("s/")
    assert await following(seen) == {"s/old": b"1"}
    await values.put_all({f"s/{number}": b"x" for number in range(TOGETHER - 2)} | {"s/old": None, "s/none": None})
    assert await following(seen) == {f"s/{number}": b"x" for number in range(TOGETHER - 2)}
    await values.put_all({})
    await values.put_all({"s/1": None})
    await until(seen, {f"s/{number}": b"x" for number in range(TOGETHER - 2) if number != 1})


async def test_watchers_see_all_that_belongs_together_or_nothing(values: Values) -> None:
    keys = [f"s/{number}" for number in range(10)]
    seen: list[set[bytes]] = []

    async def note() -> None:
        async for found in values.watch("s/"):
            seen.append(set(found.values()))
            if b"19" in found.values():
                return

    noting = asyncio.create_task(note())
    for turn in range(20):
        await values.put_all({key: str(turn).encode() for key in keys})
    async with asyncio.timeout(10):
        await noting
    assert all(len(each) <= 1 for each in seen)


async def test_a_watcher_gets_all_now_and_when_it_changes(values: Values) -> None:
    seen = values.watch("s/")
    assert await following(seen) == {}
    await values.put("s/a", b"1")
    assert await following(seen) == {"s/a": b"1"}
    waiting = asyncio.create_task(following(seen))
    await asyncio.sleep(0)
    await values.put("s/a", b"1")
    await values.put("other/a", b"1")
    await values.put("s/b", b"2")
    assert await waiting == {"s/a": b"1", "s/b": b"2"}
    await values.delete("s/a")
    await until(seen, {"s/b": b"2"})
    for number in range(50):
        await values.put("s/b", str(number).encode())
    await until(seen, {"s/b": b"49"})


async def test_watchers_do_not_disturb_each_other(values: Values) -> None:
    await values.put("s/a", b"1")
    first, second = values.watch("s/"), values.watch("s/")
    dict(await following(first)).clear()
    found = await following(second)
    assert found == {"s/a": b"1"}


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "a b", "a/../b", "..", "./a", "a/é", "a?x", "a%2e", "a" * 257, "a\n"]
)
async def test_what_is_no_key_is_refused(values: Values, key: str) -> None:
    for call in (values.get(key), values.put(key, b""), values.put_all({key: b"", "a": b""}), values.delete(key)):
        with pytest.raises(Invalid):
            await call


@pytest.mark.parametrize("prefix", ["", "/", "a", "a//", "../", "a b/"])
async def test_what_is_no_prefix_is_refused(values: Values, prefix: str) -> None:
    with pytest.raises(Invalid):
        await values.read(prefix)
    with pytest.raises(Invalid):
        await anext(values.watch(prefix))


async def test_the_longest_value_goes_in_and_a_longer_one_is_refused(values: Values) -> None:
    longest = b"x" * LONGEST
    await values.put("s/a", longest)
    await values.put_all({"s/b": longest})
    assert (found := await values.get("s/b")) is not None
    assert found.value == longest
    half = b"x" * (LONGEST_TOGETHER // 2)
    await values.put_all({"s/c": half, "s/d": half})
    for call in (
        values.put("s/a", longest + b"x"),
        values.put_all({"s/c": half, "s/d": half + b"x"}),
        values.put_all({f"s/{number}": b"" for number in range(TOGETHER + 1)}),
    ):
        with pytest.raises(Invalid):
            await call


async def test_closed_values_are_unavailable(values: Values) -> None:
    await values.ping()
    seen = values.watch("s/")
    await following(seen)
    waiting = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0)
    await values.close()
    await values.close()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await waiting
    for call in (values.ping(), values.get("a"), values.read("a/"), values.put("a", b""), values.delete("a")):
        with pytest.raises(Unavailable):
            await call
    with pytest.raises(Unavailable):
        await values.put_all({"a": b""})


async def test_all_processes_see_the_same(open_values: Callable[[], Values]) -> None:
    here, there = open_values(), open_values()
    seen = there.watch("s/")
    assert await following(seen) == {}
    await here.put("s/a", b"1")
    assert await following(seen) == {"s/a": b"1"}
