"""The names of consumers are on the wire: a version that is brought out meets what the one before has declared.

A consumer of work that goes by another name cannot be made while the old one is there, which nothing removes; one of
facts would begin with all that is kept. So a name stays, or its subject gets a new version (``v2``).
"""

import json
from pathlib import Path

from services.catalogue import load_services
from services.kernel.service import load
from services.kernel.streams import consumers_of

#: The stream, then the name of each consumer, then the subjects that it takes.
KEPT: dict[str, dict[str, list[str]]] = json.loads((Path(__file__).parent / "consumers.json").read_bytes())


def declared() -> dict[str, dict[str, list[str]]]:
    handled = {service.name: load(service.consumers) for service in load_services() if service.consumers}
    streams: dict[str, dict[str, list[str]]] = {}
    for consumer in sorted(consumers_of(handled), key=lambda each: (each.stream, each.name)):
        streams.setdefault(consumer.stream, {})[consumer.name] = list(consumer.subjects)
    return streams


def test_consumers_go_by_the_names_of_the_version_before() -> None:
    today = {name: (stream, of) for stream, consumers in declared().items() for name, of in consumers.items()}
    before = {name: (stream, of) for stream, consumers in KEPT.items() for name, of in consumers.items()}
    gone = {name: of for name, of in before.items() if today.get(name) != of}
    assert gone == {}, (
        "give it its name back; where it has to go, say in the notes of the release that `nats consumer rm STREAM NAME`"
        " is due when no instance of the version before runs any more, and take it out of consumers.json"
    )


def test_every_consumer_is_noted() -> None:
    assert declared() == KEPT, "write a new one into consumers.json"
