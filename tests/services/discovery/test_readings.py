"""What is read of an instance's metrics."""

from services.contracts.resources.discovery import ConsumerView
from services.discovery.domain.readings import Reading, consumers_of, read_metrics

TEXT = """\
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
mirage_messages_total{consumer="a__take",outcome="ok"} 40.0
mirage_messages_total{consumer="a__take",outcome="conflict"} 2.0
mirage_messages_total{consumer="a__take",outcome="given_back"} 400.0
mirage_messages_total{consumer="a__take",outcome="unavailable"} 50.0
mirage_messages_total{consumer="a__take",outcome="cancelled"} 6.0
mirage_messages_total{consumer="a__take",outcome="exhausted"} 7.0
mirage_messages_total{consumer="a__take",outcome="denied"} 8.0
mirage_messages_created{consumer="a__take",outcome="ok"} 1.7e+09
mirage_batch_seconds_bucket{consumer="a__take",le="+Inf",outcome="ok"} 9.0
mirage_items_waiting{waits_for="collector"} 300.0
mirage_items_waiting{waits_for="source"} 20.0
mirage_items_total{outcome="found",waits_for="collector"} 50.0
mirage_items_total{outcome="failed",waits_for="collector"} 5.0
mirage_items_total{outcome="found",waits_for="source"} 1.0
mirage_consumer_waiting{consumer="a__take"} 7.0
mirage_consumer_in_flight{consumer="a__take"} 3.0
mirage_consumer_waiting{consumer="a__\\"odd\\""} 1.0
mirage_consumer_waiting{consumer="broken"} NaN
mirage_consumer_waiting{consumer="endless"} +Inf
mirage_consumer_waiting{consumer="no number"} many
this is no sample
"""


def test_what_waits_what_was_handled_and_how_busy_it_was() -> None:
    reading = read_metrics(TEXT)
    assert (reading.handled, reading.busy) == (42.0, 12.5)
    assert (reading.items, reading.done) == ({"collector": 300, "source": 20}, {"collector": 55.0, "source": 1.0})
    assert reading.consumers["a__take"] == ConsumerView(name="a__take", waiting=7, in_flight=3)
    assert {name: each.waiting for name, each in reading.consumers.items()} == {"a__take": 7, 'a__\\"odd\\"': 1}


def test_of_what_is_no_metrics_nothing_is_read() -> None:
    for text in ("", "<html>", '{"status": "live"}', "\x00" * 100):
        assert read_metrics(text) == Reading()


def test_instances_that_read_the_same_consumers_are_not_counted_twice() -> None:
    other = read_metrics('mirage_consumer_waiting{consumer="b__take"} 1.0\n' + TEXT)
    assert [(each.name, each.waiting) for each in consumers_of([read_metrics(TEXT), other])] == [
        ('a__\\"odd\\"', 1),
        ("a__take", 7),
        ("b__take", 1),
    ]
