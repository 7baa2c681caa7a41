"""A part of a process is begun again after what passes by itself, and at once where it had run for a while."""

import asyncio

import pytest

from services.kernel import parts
from services.kernel.errors import Invalid, Unavailable
from services.kernel.parts import STANDING, as_long_as_it_takes


class Part:
    """Fails each time after it has run for so many seconds."""

    def __init__(self, *runs: float) -> None:
        self._runs = list(runs)
        self.now = 0.0
        self.waited: list[float] = []

    async def begin(self) -> None:
        if not self._runs:
            return
        self.now += self._runs.pop(0)
        raise Unavailable("the server went away")

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


def patched(monkeypatch: pytest.MonkeyPatch, part: Part) -> None:
    monkeypatch.setattr(parts, "monotonic", lambda: part.now)
    monkeypatch.setattr(parts, "pauses", lambda *_: iter([1.0, 2.0, 4.0, 8.0, 8.0]))
    monkeypatch.setattr(asyncio, "sleep", part.sleep)


async def test_it_waits_longer_and_longer_for_what_stays_away_and_not_after_it_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = Part(0, 0, 0, STANDING + 1, 0, STANDING - 1)
    patched(monkeypatch, part)
    await as_long_as_it_takes("a part", part.begin, (Unavailable,))
    assert part.waited == [1.0, 2.0, 4.0, 1.0, 2.0, 4.0]


async def test_what_does_not_pass_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(0)
    patched(monkeypatch, part)
    with pytest.raises(Unavailable):
        await as_long_as_it_takes("a part", part.begin, (Invalid,))
    assert part.waited == []
