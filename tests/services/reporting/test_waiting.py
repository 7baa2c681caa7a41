"""What waits on disk comes back whole and in its order, however many runs it was written in."""

import random
from tempfile import TemporaryFile

import pytest

from services.contracts import entities
from services.reporting.domain.exports import waiting
from services.reporting.domain.exports.waiting import Ends, Sorted, Spool, key_of
from tests.services.reporting.worlds import every_entity, every_relation


@pytest.fixture(params=[1, 5_000, 8_000_000], ids=["a run each", "many runs", "one run"])
def runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "RUN", request.param)
    monkeypatch.setattr(waiting, "AHEAD", 100)
    monkeypatch.setattr(waiting, "RECENT", 7)
    monkeypatch.setattr(waiting, "BATCH", 10)


@pytest.mark.usefixtures("runs")
def test_documents_come_in_the_order_of_their_keys() -> None:
    chance = random.Random(1)
    given = [(chance.randbytes(chance.randrange(1, 20)), chance.randbytes(chance.randrange(300))) for _ in range(300)]
    held = Sorted(TemporaryFile)
    held.add(given[:200])
    assert [document for batch in held.documents() for document in batch] == by_key(given[:200])
    held.add(given[200:])
    assert [document for batch in held.documents() for document in batch] == by_key(given)
    held.close()


def by_key(given: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [document for _, document in sorted(given, key=lambda each: each[0])]


def test_relations_come_behind_the_entity_that_they_lead_from_and_before_the_next() -> None:
    keys = {key_of(each): (each.type, each.value, "") for each in every_entity()}
    keys |= {key_of(each.source, each): (each.source.type, each.source.value, each.type) for each in every_relation()}
    ordered = [keys[key] for key in sorted(keys)]
    assert ordered == sorted(ordered, key=lambda each: (each[0].encode(), each[1].encode(), each[2] != "", each[2]))


@pytest.mark.usefixtures("runs")
def test_what_was_named_and_not_written_follows_once_and_so_does_what_that_names() -> None:
    names = [entities.hostname(f"n{number}.example.org") for number in range(60)]
    ends = Ends(TemporaryFile)
    for number, name in enumerate(names):
        ends.name(name)
        if number % 3 == 0:
            ends.write(name)
        ends.name(names[number // 2])
    followed = []
    while batches := list(ends.unwritten()):
        for name in [name for batch in batches for name in batch]:
            followed.append(name)
            ends.write(name)
            if name == names[1]:
                ends.name(entities.domain("example.org"))
    assert sorted(each.value for each in followed) == sorted(
        ["example.org", *(name.value for number, name in enumerate(names) if number % 3)]
    )
    ends.close()


def test_what_is_kept_comes_back_thing_by_thing() -> None:
    spool = Spool(TemporaryFile)
    things = [b"", b"a" * 100_000, b"\0\xff"]
    for thing in things:
        spool.keep(thing)
    assert list(spool.kept()) == things
    spool.close()
