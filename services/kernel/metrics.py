"""What a process counts and measures, in the text format of Prometheus; nothing is, until `start` was called.

Rate, errors and duration of requests by endpoint, of calls by endpoint, of batches by consumer; work items that are
done; what budgets say of requests to sources; and what is read when somebody looks: the lag of consumers, what adapters
say of themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

import structlog
from msgspec import Struct

from services.kernel.errors import MirageError, meaning

_log = structlog.get_logger(__name__)

#: The framework adds the charset; said twice, Prometheus does not read what follows.
CONTENT_TYPE: Final = "text/plain; version=0.0.4"
#: Seconds.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: The outcome of a batch that nothing was done with: its consumer let it come again.
GIVEN_BACK: Final = "given_back"
#: Seconds that a reading may take.
READING: Final = 2.0


class Sample(Struct, frozen=True):
    """A value now; all samples of a name have the same labels."""

    name: str
    value: float
    labels: dict[str, str] = {}


#: What is measured when somebody looks.
Reading = Callable[[], Awaitable[Iterable[Sample]]]


class Metrics:
    """The metrics of this process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram
        from prometheus_client.process_collector import ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._histogram(Histogram, "request", "Requests answered", "endpoint", "status")
        self.calls = self._histogram(Histogram, "call", "Calls to other services", "service", "endpoint", "outcome")
        self.batches = self._histogram(Histogram, "batch", "Batches of messages handled", "consumer", "outcome")
        self.messages = Counter("mirage_messages", "Messages handled", ("consumer", "outcome"), registry=self.registry)
        self.items = Counter("mirage_items", "Work items done", ("waits_for", "outcome"), registry=self.registry)
        self.budgets = Counter("mirage_budget", "Requests by budgets", ("source", "outcome"), registry=self.registry)
        self.readings: list[Reading] = []

    def _histogram(self, kind: Any, name: str, what: str, *labels: str) -> Any:
        return kind(f"mirage_{name}_seconds", f"{what}.", labels, registry=self.registry, buckets=BUCKETS)


_metrics: Metrics | None = None


def start() -> None:
    """Begin to measure; what was measured before is forgotten."""
    global _metrics  # noqa: PLW0603  one process has one set of metrics
    _metrics = Metrics()


def read_with(reading: Reading) -> Callable[[], None]:
    """Let ``reading`` be called whenever somebody looks, until the function that is returned is called."""
    readings = [] if _metrics is None else _metrics.readings
    readings.append(reading)

    def end() -> None:
        if reading in readings:
            readings.remove(reading)

    return end


async def render() -> bytes:
    """Everything, as Prometheus reads it."""
    if _metrics is None:
        return b""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    looked = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for samples in await asyncio.gather(*map(_read, _metrics.readings)):
        for sample in samples:
            gauge = gauges.get(sample.name)
            if gauge is None:
                gauge = Gauge(f"mirage_{sample.name}", sample.name, list(sample.labels), registry=looked)
                gauges[sample.name] = gauge
            (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)
    return generate_latest(_metrics.registry) + generate_latest(looked)


async def _read(reading: Reading) -> Iterable[Sample]:
    """What is measured; nothing where what it is asked of is away, so that all else is still seen."""
    try:
        async with asyncio.timeout(READING):
            return await reading()
    except (MirageError, TimeoutError) as error:
        _log.info("not measured", reason=str(error) or "it takes too long")
        return ()


def request(endpoint: str, status: int, seconds: float) -> None:
    """Note a request that was answered."""
    if _metrics is not None:
        _metrics.requests.labels(endpoint, str(status)).observe(seconds)


@contextmanager
def batch(consumer: str, messages: int) -> "Iterator[Timed]":
    """Measure the handling of a batch of messages, and make a line of the log of it.

    One that is `GIVEN_BACK` has no line: it comes again in a moment, and again.
    """
    measured = _metrics
    if measured is None:
        yield Timed()
        return

    def note(outcome: str, seconds: float) -> None:
        measured.batches.labels(consumer, outcome).observe(seconds)
        measured.messages.labels(consumer, outcome).inc(messages)
        if outcome != GIVEN_BACK:
            _log.info("batch", consumer=consumer, messages=messages, outcome=outcome, ms=round(seconds * 1000, 1))

    with _timed(note) as timed:
        yield timed


def left_out(consumer: str, outcome: str, messages: int) -> None:
    """Note messages that no handler saw, and why."""
    if _metrics is not None:
        _metrics.messages.labels(consumer, outcome).inc(messages)


def item(waits_for: str, outcome: str) -> None:
    """Note a work item that is done; ``waits_for``: what there would have to be more of, for it to be done sooner."""
    if _metrics is not None:
        _metrics.items.labels(waits_for, outcome).inc()


def budget(source: str, outcome: str) -> None:
    """Note what a budget said of a request to a source."""
    if _metrics is not None:
        _metrics.budgets.labels(source, outcome).inc()


@contextmanager
def call(service: str, endpoint: str) -> Iterator[None]:
    """Measure a call to another service."""
    measured = _metrics
    if measured is None:
        yield
        return
    with _timed(lambda outcome, seconds: measured.calls.labels(service, endpoint, outcome).observe(seconds)):
        yield


class Timed:
    """What is being measured: how it ends, unless with an error."""

    def __init__(self) -> None:
        self.outcome = "ok"


@contextmanager
def _timed(note: Callable[[str, float], None]) -> Iterator[Timed]:
    """Note how long the block took, and the code of the error with which it ended."""
    began, timed = perf_counter(), Timed()
    try:
        yield timed
    except asyncio.CancelledError:
        timed.outcome = "cancelled"
        raise
    except BaseException as error:
        timed.outcome = meaning(error).code
        raise
    finally:
        note(timed.outcome, perf_counter() - began)
