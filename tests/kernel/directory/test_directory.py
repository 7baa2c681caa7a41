"""What every `directory` adapter promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kernel.directory import Directory, Instance
from services.kernel.errors import Invalid, Unavailable


def instance(id: str, address: str = "127.0.0.1:80", service: str = "scans", **meta: str) -> Instance:
    return Instance(service=service, id=id, address=address, meta=meta)


async def following(lists: AsyncIterator[list[Instance]]) -> list[Instance]:
    async with asyncio.timeout(5):
        return await anext(lists)


async def until(lists: AsyncIterator[list[Instance]], wanted: list[Instance]) -> None:
    """A slow watcher may see lists in between, or none of them."""
    async with asyncio.timeout(5):
        async for found in lists:
            if found == wanted:
                return


async def test_registered_instances_are_found_until_they_leave(directory: Directory) -> None:
    assert await directory.resolve("scans") == []
    a, b, other = instance("a", version="1"), instance("b", "[::1]:8080"), instance("a", service="storage")
    for each in (b, a, other):
        await directory.register(each)
    assert await directory.resolve("scans") == [a, b]
    assert await directory.resolve("storage") == [other]
    await directory.deregister("scans", "a")
    await directory.deregister("scans", "a")
    await directory.deregister("nobody", "a")
    assert await directory.resolve("scans") == [b]
    assert await directory.resolve("storage") == [other]


async def test_an_instance_that_has_changed_is_known_as_it_is_now(directory: Directory) -> None:
    await directory.register(instance("a", "127.0.0.1:1"))
    await directory.register(instance("a", "127.0.0.1:2"))
    assert await directory.resolve("scans") == [instance("a", "127.0.0.1:2")]


async def test_what_an_instance_says_of_itself_comes_back_as_it_was(directory: Directory) -> None:
    said = instance("a.b_c-1", "[2001:db8::1]:65535", Role="búho", empty="", version="1" * 512)
    nobody_dials = instance("scans-2", "local", _="x")
    await directory.register(said)
    await directory.register(nobody_dials)
    assert await directory.resolve("scans") == [said, nobody_dials]


@pytest.mark.parametrize(
    "bad",
    [
        instance("a", service="Scans"),
        instance("a", service="scans/../x"),
        instance("a", service=""),
        instance("a b"),
        instance(""),
        instance("a", "127.0.0.1"),
        instance("a", "127.0.0.1:0"),
        instance("a", ":80"),
        instance("a", "localhost:http"),
        instance("a", **{"a key": "1"}),
        instance("a", key="1" * 513),
        instance("a", **{f"k{number}": "" for number in range(33)}),
    ],
)
async def test_what_not_every_directory_can_hold_is_refused(directory: Directory, bad: Instance) -> None:
    with pytest.raises(Invalid):
        await directory.register(bad)
    assert await directory.resolve("scans") == []


async def test_the_list_is_the_callers_own(directory: Directory) -> None:
    await directory.register(instance("a"))
    (await directory.resolve("scans")).clear()
    assert await directory.resolve("scans") == [instance("a")]


async def test_a_watcher_gets_the_list_now_and_when_it_changes(directory: Directory) -> None:
    await directory.register(instance("a"))
    lists = directory.watch("scans")
    assert await following(lists) == [instance("a")]
    waiting = asyncio.create_task(following(lists))
    await asyncio.sleep(0)
    await directory.register(instance("b"))
    assert await waiting == [instance("a"), instance("b")]
    await directory.deregister("scans", "a")
    await until(lists, [instance("b")])


async def test_registering_again_and_other_services_wake_nobody(directory: Directory) -> None:
    await directory.register(instance("a"))
    lists = directory.watch("scans")
    await following(lists)
    waiting = asyncio.create_task(anext(lists))
    await asyncio.sleep(0)
    await directory.register(instance("a"))
    await directory.register(instance("x", service="storage"))
    await directory.register(instance("b"))
    async with asyncio.timeout(5):
        assert await waiting == [instance("a"), instance("b")]


async def test_a_slow_watcher_gets_the_latest_list(directory: Directory) -> None:
    lists = directory.watch("scans")
    assert await following(lists) == []
    for number in range(50):
        await directory.register(instance(f"{number:02}"))
    await until(lists, [instance(f"{number:02}") for number in range(50)])


async def test_watchers_do_not_disturb_each_other(directory: Directory) -> None:
    first, second = directory.watch("scans"), directory.watch("scans")
    (await following(first)).append(instance("theirs"))
    assert await following(second) == []
    await directory.register(instance("a"))
    await until(first, [instance("a")])
    await until(second, [instance("a")])


async def test_a_closed_directory_is_unavailable(directory: Directory) -> None:
    await directory.ping()
    lists = directory.watch("scans")
    await following(lists)
    waiting = asyncio.create_task(anext(lists))
    await asyncio.sleep(0)
    await directory.close()
    await directory.close()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await waiting
    for call in (directory.ping(), directory.resolve("scans"), directory.register(instance("a"))):
        with pytest.raises(Unavailable):
            await call
