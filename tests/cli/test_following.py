"""What a command waits for after it has asked, and what it says meanwhile where there is no terminal to draw on."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from services.cli import following
from services.cli.commands import scans
from services.cli.following import Silent, Waits
from services.cli.scan_text import unasked_line
from services.contracts.endpoints import DELETE_SCAN, GET_SCAN, PAUSE_SCAN, STOP_SCAN
from services.contracts.entities import name
from services.contracts.resources import Scan, ScanId, SourceState, Swept, Waiting, Watch, Watched
from services.contracts.states import ScanState
from services.kernel.calls import Caller, Endpoint, operator
from services.kernel.errors import Conflict, NotFound
from services.kernel.socket import OwnerLost

SCAN = UUID(int=1)
CALLER = operator(UUID(int=2))


class Services:
    """Services of which each has swept after having been asked so many times."""

    def __init__(self, **times: int) -> None:
        self._times = times

    async def ask(self, endpoint: Endpoint[Any, Any], question: ScanId, _: Caller) -> Swept:
        self._times[endpoint.service] -= 1
        return Swept(question.scan, self._times[endpoint.service] <= 0)


async def left(monkeypatch: pytest.MonkeyPatch, seconds: float, **times: int) -> list[str]:
    monkeypatch.setattr(following, "SWEEPING", seconds)
    monkeypatch.setattr(following, "POLL", 0.001)
    hull: Any = SimpleNamespace(calls=Services(**times))
    return await following.wait_swept(hull, CALLER, SCAN)


async def test_a_deletion_waits_until_every_service_has_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await left(monkeypatch, 30.0, scans=3, storage=1, collector=2, correlation=2, reporting=1) == []


async def test_a_deletion_that_takes_too_long_says_who_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await left(monkeypatch, 0.02, scans=1, storage=10**9, collector=10**9, correlation=1, reporting=1) == [
        "storage",
        "collector",
    ]


LATER = 1_790_000_000_000_000


def scan(*waiting: Waiting, state: ScanState = "running", sources: tuple[SourceState, ...] = ()) -> Scan:
    return Scan(
        id=UUID(int=1), state=state, reason="", run=1, targets=(name("example.org"),), profile="passive", created=1,
        started=1, ended=None, deadline=None, items={}, entities={}, sources=sources, waiting=waiting,
    )  # fmt: skip


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_whom_a_scan_waits_for_is_said_once_and_again_when_it_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SAID_EVERY", 0.0)
    waits, urlscan = Waits(), Waiting("urlscan", 3, "the source's rate", LATER)
    for _ in range(3):
        waits.update(scan(urlscan, Waiting("crtsh", 1, "being asked")))
    assert said(capsys) == ["mirage: the scan waits for urlscan, 3 items: the source's rate until 14:13:20 UTC"]
    waits.update(scan(urlscan, Waiting("otx", 1, "429", LATER)))
    assert len(said(capsys)) == 1
    waits.update(scan())
    assert said(capsys) == []


def test_it_is_not_said_more_often_than_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    waits = Waits()
    for number in range(1, 10):
        waits.update(scan(Waiting("urlscan", number, "the source's rate", LATER)))
    assert len(said(capsys)) == 1


def test_what_was_not_asked_when_a_scan_ended_has_its_line() -> None:
    left = SourceState(
        module="urlscan", version=1, activity="passive", state="waiting", open=2, outcomes={}, claims=0, requests=0,
        reason="2 not asked: its rate was used up until 2026-09-21 14:13:20 UTC",
    )  # fmt: skip
    assert unasked_line(scan(sources=(left,))) == ""
    assert "urlscan waiting (2 not asked: its rate" in unasked_line(scan(state="incomplete", sources=(left,)))


class Followed:
    """A scan that somebody watches until Ctrl-C; ``asked`` are the questions that were asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def follow(self, endpoint: Endpoint[Any, Any], question: Watch, _: Caller) -> AsyncIterator[Watched]:
        signal.raise_signal(signal.SIGINT)
        yield await asyncio.get_running_loop().create_future()

    async def ask(self, endpoint: Endpoint[Any, Any], question: Any, _: Caller) -> Scan:
        self.asked.append(endpoint.name)
        return scan()


@pytest.mark.parametrize(
    ("only_watch", "runtime", "asked"),
    [(True, None, GET_SCAN), (True, object(), PAUSE_SCAN), (False, None, PAUSE_SCAN), (False, object(), PAUSE_SCAN)],
    ids=["watches-another", "watches-its-own", "scans-in-another", "scans"],
)
async def test_ctrl_c_pauses_a_scan_unless_it_runs_elsewhere_and_is_only_watched(
    only_watch: bool, runtime: object, asked: Endpoint[Any, Any]
) -> None:
    calls = Followed()
    hull: Any = SimpleNamespace(calls=calls, runtime=runtime)
    await following.follow(hull, CALLER, scan(), Silent(), only_watch=only_watch)
    assert calls.asked == [asked.name]


async def test_ctrl_c_in_the_moment_in_which_the_scan_ends_gives_the_scan_as_it_ended() -> None:
    class Ended(Followed):
        async def ask(self, endpoint: Endpoint[Any, Any], question: Any, _: Caller) -> Scan:
            if endpoint is PAUSE_SCAN:
                raise Conflict("the scan is finished and cannot be paused")
            return scan(state="finished")

    hull: Any = SimpleNamespace(calls=Ended(), runtime=object())
    assert (await following.follow(hull, CALLER, scan(), Silent())).state == "finished"


@pytest.mark.parametrize("state", ["paused", "running"])
async def test_ctrl_c_whose_answer_is_lost_has_paused_the_scan_where_it_is_paused(state: ScanState) -> None:
    class Lost(Followed):
        async def ask(self, endpoint: Endpoint[Any, Any], question: Any, _: Caller) -> Scan:
            if endpoint is PAUSE_SCAN:
                raise OwnerLost("the process that owns the data folder went away", taken=True)
            return scan(state=state)

    hull: Any = SimpleNamespace(calls=Lost(), runtime=None)
    with nullcontext() if state == "paused" else pytest.raises(OwnerLost):
        assert (await following.follow(hull, CALLER, scan(), Silent())).state == "paused"


@pytest.mark.parametrize(
    ("endpoint", "state"), [(STOP_SCAN, "stopped"), (PAUSE_SCAN, "paused"), (DELETE_SCAN, "deleted")]
)
@pytest.mark.parametrize("done", [True, False])
async def test_a_change_whose_answer_is_lost_is_well_where_it_was_made(
    endpoint: Endpoint[Any, Any], state: Any, done: bool
) -> None:
    class Lost(Followed):
        async def ask(self, asked: Endpoint[Any, Any], question: Any, _: Caller) -> Scan:
            if asked is endpoint:
                raise OwnerLost("the process that owns the data folder went away", taken=True)
            if done and endpoint is DELETE_SCAN:
                raise NotFound("there is no such scan")
            return scan(state=state if done else "running")

    hull: Any = SimpleNamespace(calls=Lost())
    session: Any = SimpleNamespace(caller=CALLER)
    with nullcontext() if done else pytest.raises(OwnerLost):
        await scans._change(hull, session, scan(), endpoint, state)
