"""A scan that several watch through the gateway: real services, over HTTP."""

from contextlib import aclosing
from pathlib import Path

from services.cli.credentials import Token
from services.cli.remote import RemoteCalls
from services.contracts.endpoints import CREATE_SCAN, PAUSE_SCAN, STOP_SCAN, WATCH_SCAN
from services.contracts.resources import NewScan, ScanId, Watch
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import operator
from services.kernel.messages import workspace_id
from tests.cli.behind import TOKEN, Fleet, fleet
from tests.services.gateway.tower import until

CALLER = operator(workspace_id("default"))


async def test_all_who_watch_a_scan_see_how_it_stands_and_what_becomes_of_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, works=False) as begun:
        calls = RemoteCalls(begun.url, Token(TOKEN))
        scan = (await calls.ask(CREATE_SCAN, NewScan(targets=("example.org",), modules=("crtsh",)), CALLER)).id
        async with (
            aclosing(calls.follow(WATCH_SCAN, Watch(scan), CALLER)) as first,
            aclosing(calls.follow(WATCH_SCAN, Watch(scan), CALLER)) as second,
        ):
            begins = [await anext(each) for each in (first, second)]
            assert [each.progress.state for each in begins] == ["running", "running"]
            await calls.ask(PAUSE_SCAN, ScanId(scan), CALLER)
            paused = [await anext(each) for each in (first, second)]
            assert [each.progress.state for each in paused] == ["paused", "paused"]
            assert paused[0] == paused[1]
            await until(lambda: followers(begun) == 1)
            async with aclosing(calls.follow(WATCH_SCAN, Watch(scan, begins[0].sequence), CALLER)) as again:
                assert await anext(again) == paused[0]
                assert followers(begun) == 1, "what the service says once is for all of them"
                await calls.ask(STOP_SCAN, ScanId(scan), CALLER)
                for each in (first, second, again):
                    assert [part.progress.state async for part in each] == ["stopped"]
        await calls.close()


def followers(begun: Fleet) -> int:
    """How many follow the bus."""
    bus = begun.runtime.bus
    assert isinstance(bus, SqliteBus)
    return len(bus._followers)
