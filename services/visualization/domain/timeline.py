"""Counts over time, by steps of an hour to a year, as long as what is counted makes good."""

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.contracts.resources.correlation import FindingRow
from services.contracts.resources.storage import Facts
from services.contracts.resources.visualization import Step, Timeline, TimelineName

#: What is before 1980 or after 2200 has no sense as a time of what is on the internet.
EARLIEST: Final = 315_532_800_000_000
LATEST: Final = 7_258_118_400_000_000
DAY: Final = 86_400_000_000
#: Up to how many days each step is for; whatever lasts longer goes by years.
SPANS: Final[tuple[tuple[float, Step], ...]] = ((3, "hour"), (92, "day"), (730, "week"), (7_305, "month"))
#: Groups beyond these are one: ``other``.
MOST_GROUPS: Final = 12
OTHER: Final = "other"
UNKNOWN: Final = "unknown"


class Times:
    """Times of things by their groups, of which there are few: ten bytes each, so that a million are 10 MB."""

    def __init__(self) -> None:
        self._at, self._group = array("q"), array("H")
        self._numbers: dict[str, int] = {}
        self._outside = 0

    def add(self, group: str, at: int) -> None:
        """Count a thing of a group at a time (UTC microseconds)."""
        if not EARLIEST <= at < LATEST:
            self._outside += 1
            return
        self._at.append(at)
        self._group.append(self._numbers.setdefault(group, len(self._numbers)))

    def timeline(self, of: TimelineName) -> Timeline:
        """Return the counts, the largest groups first."""
        at = np.frombuffer(self._at.tobytes(), dtype=np.int64)
        if not len(at):
            return Timeline(of=of, step="day", begins=(), groups=(), counts=(), total=0, outside=self._outside)
        step = step_for(int(at.min()), int(at.max()))
        place = _steps(at, step)
        first = int(place.min())
        length = int(place.max()) - first + 1
        names = list(self._numbers)
        group = np.frombuffer(self._group.tobytes(), dtype=np.uint16).astype(np.int64)
        kept, to = _groups(names, Counter(dict(enumerate(np.bincount(group, minlength=len(names)).tolist()))))
        counted = np.bincount(to[group] * length + place - first, minlength=len(kept) * length)
        return Timeline(
            of=of,
            step=step,
            begins=tuple(_begins(np.arange(first, first + length), step).tolist()),
            groups=tuple(kept),
            counts=tuple(tuple(row) for row in counted.reshape(len(kept), length).tolist()),
            total=len(at),
            outside=self._outside,
        )


def step_for(first: int, last: int) -> Step:
    """The step by which a span of time is counted."""
    return next((step for days, step in SPANS if last - first <= days * DAY), "year")


def _groups(names: list[str], counts: Counter[int]) -> tuple[list[str], NDArray[np.int64]]:
    order = sorted(range(len(names)), key=lambda number: (-counts[number], names[number]))
    kept = order if len(order) <= MOST_GROUPS else order[: MOST_GROUPS - 1]
    to = np.full(len(names), len(kept), dtype=np.int64)
    to[kept] = np.arange(len(kept))
    return [names[number] for number in kept] + [OTHER] * (len(kept) < len(order)), to


def _steps(at: NDArray[np.int64], step: Step) -> NDArray[np.int64]:
    """The number of the step that each time is in, from 1970 on; weeks begin on Monday."""
    match step:
        case "hour":
            return at // (DAY // 24)
        case "day":
            return at // DAY
        case "week":
            return (at // DAY + 3) // 7
        case "month":
            return at.astype("M8[us]").astype("M8[M]").astype(np.int64)
        case "year":
            return at.astype("M8[us]").astype("M8[Y]").astype(np.int64)


def _begins(number: NDArray[np.int64], step: Step) -> NDArray[np.int64]:
    match step:
        case "hour":
            return number * (DAY // 24)
        case "day":
            return number * DAY
        case "week":
            return (number * 7 - 3) * DAY
        case "month":
            return number.astype("M8[M]").astype("M8[us]").astype(np.int64)
        case "year":
            return number.astype("M8[Y]").astype("M8[us]").astype(np.int64)


class EntitiesTimed:
    """Entities by type, when they were first seen."""

    def __init__(self) -> None:
        self._times = Times()

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            self._times.add(each.entity.type, each.first_seen)

    def made(self) -> Timeline:
        return self._times.timeline("entities")


class CertificatesTimed:
    """Certificates by role, when they end; a certificate of which several ends are said ends at the last."""

    def __init__(self) -> None:
        self._times = Times()

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            if each.entity.type == "certificate":
                said = [value.value for value in each.attributes if value.name == "not_after"]
                ends = [value for value in said if isinstance(value, int) and not isinstance(value, bool)]
                if ends:
                    self._times.add(each.role or UNKNOWN, max(ends))

    def made(self) -> Timeline:
        return self._times.timeline("certificates")


class FindingsTimed:
    """Findings by severity, when they were first found."""

    def __init__(self) -> None:
        self._times = Times()

    def add(self, findings: Iterable[FindingRow]) -> None:
        for each in findings:
            self._times.add(each.severity, each.first_found)

    def made(self) -> Timeline:
        return self._times.timeline("findings")
