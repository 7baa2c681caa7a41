"""Which scans are kept no longer."""

from typing import Any

import pytest

from services.contracts.resources import Retention, ScanId
from services.kernel.calls import operator
from services.kernel.errors import Invalid
from services.kernel.messages import workspace_id
from services.scans import api
from services.scans.domain.retention import EndedScan, expired
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, module

NAMES = module("names", "passive", "domain")


def scan(number: int, *, state: Any = "finished", targets: bytes = b"a") -> EndedScan:
    """The scan that ended at that time."""
    return EndedScan(bytes([number]), state, targets, number)


def numbers(*scans: EndedScan, **options: int) -> list[int]:
    return [each[0] for each in expired(reversed(scans), **options)]


def test_what_ended_before_goes_oldest_first() -> None:
    assert numbers(scan(1), scan(2), scan(3), before=3, keep_last=0) == [1, 2]


def test_the_newest_finished_scans_of_each_set_of_targets_are_kept_however_old() -> None:
    scans = [scan(1), scan(2, targets=b"b"), scan(3), scan(4), scan(5, targets=b"b"), scan(6)]
    assert numbers(*scans, before=100, keep_last=1) == [1, 2, 3, 4]
    assert numbers(*scans, before=100, keep_last=2) == [1, 3]
    assert numbers(*scans, before=3, keep_last=2) == [1]


def test_a_scan_that_did_not_finish_takes_no_finished_one_s_place() -> None:
    scans = [scan(1), scan(2, state="stopped"), scan(3, state="incomplete")]
    assert numbers(*scans, before=100, keep_last=1) == [2, 3]


async def test_scans_that_run_or_are_paused_or_run_again_are_kept(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(NAMES)
    _, paused, again, old = [await desk.create("example.org") for _ in range(4)]
    for each in (again, old):
        await api.stop_scan(desk.ports, CALLER, ScanId(each))
    await api.pause_scan(desk.ports, CALLER, ScanId(paused))
    await api.resume_scan(desk.ports, CALLER, ScanId(again))
    clock.forward(10)
    all_of_it = Retention(ended_before=clock.at, keep_last=0)
    (found,) = await api.find_expired(desk.ports, CALLER, all_of_it)
    assert (found.id, found.state, found.targets) == (old, "stopped", ("example.org",))
    assert await api.find_expired(desk.ports, CALLER, Retention(ended_before=clock.at - 20_000_000, keep_last=0)) == ()
    with pytest.raises(Invalid):
        await api.find_expired(desk.ports, CALLER, Retention(ended_before=clock.at, keep_last=-1))
    assert await api.find_expired(desk.ports, operator(workspace_id("elsewhere")), all_of_it) == ()


async def test_targets_are_the_same_in_whatever_order_they_were_named(open_desk: OpenDesk, clock: Clock) -> None:
    desk = await open_desk(NAMES)
    made = []
    for targets in (("example.org", "example.net"), ("example.net", "example.org"), ("example.org",)):
        clock.forward(1)
        made.append(await desk.create(*targets))
        await desk.run(lambda *_: [])
    clock.forward(1)
    found = await api.find_expired(desk.ports, CALLER, Retention(ended_before=clock.at, keep_last=1))
    assert [each.id for each in found] == made[:1]
