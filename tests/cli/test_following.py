"""What a command waits for after it has asked."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from services.cli import following
from services.contracts.resources import ScanId, Swept
from services.kernel.calls import Caller, Endpoint

SCAN = UUID(int=1)
CALLER = Caller(UUID(int=2))


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
    assert await left(monkeypatch, 30.0, scans=3, storage=1, collector=2) == []


async def test_a_deletion_that_takes_too_long_says_who_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await left(monkeypatch, 0.02, scans=1, storage=10**9, collector=10**9) == ["storage", "collector"]
