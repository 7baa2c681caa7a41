"""What is read of an instance's metrics, in the text format of Prometheus."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from services.contracts.resources.discovery import ConsumerView

#: Of the outcomes of messages, those after which they come again as they were.
_NOT_HANDLED: Final = frozenset({"given_back", "unavailable", "exhausted", "denied", "cancelled"})
_LINE: Final = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Reading(Struct, frozen=True):
    """One instance at one moment: what waits by consumer, messages it has handled, seconds of processor time.

    ``items`` that wait and those that it has ``done`` are work items, by what there would have to be more of, for them
    to be done sooner: the name of a service, or something else.
    """

    consumers: dict[str, ConsumerView] = {}
    handled: float = 0.0
    busy: float = 0.0
    items: dict[str, int] = {}
    done: dict[str, float] = {}


def read_metrics(text: str) -> Reading:
    """Read what is needed; whatever else there is, is skipped."""
    waiting: dict[str, int] = {}
    in_flight: dict[str, int] = {}
    items: dict[str, int] = {}
    done: defaultdict[str, float] = defaultdict(float)
    handled = busy = 0.0
    for name, labels, value in _samples(text):
        match name:
            case "mirage_consumer_waiting":
                waiting[labels.get("consumer", "")] = int(value)
            case "mirage_consumer_in_flight":
                in_flight[labels.get("consumer", "")] = int(value)
            case "mirage_messages_total" if labels.get("outcome") not in _NOT_HANDLED:
                handled += value
            case "mirage_items_waiting":
                items[labels.get("waits_for", "")] = int(value)
            case "mirage_items_total":
                done[labels.get("waits_for", "")] += value
            case "process_cpu_seconds_total":
                busy = value
    consumers = {
        name: ConsumerView(name=name, waiting=waiting[name], in_flight=in_flight.get(name, 0)) for name in waiting
    }
    return Reading(consumers, handled, busy, items, dict(done))


def consumers_of(readings: Iterable[Reading]) -> tuple[ConsumerView, ...]:
    """What waits for a service: all of its instances read the same consumers, each at a moment of its own."""
    found: dict[str, ConsumerView] = {}
    for reading in readings:
        found |= reading.consumers
    return tuple(found[name] for name in sorted(found))


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if value == value and abs(value) < 1e18:  # noqa: PLR0124  not a number is no reading
            yield match[1], dict(_LABEL.findall(match[2] or "")), value
