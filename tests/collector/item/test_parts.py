"""No part of a result is too large a message, and nothing of it is lost, however many claims and records there are."""

import random
from collections.abc import Iterable
from uuid import UUID

import msgspec
import pytest

from services.collector.item.parts import CITED_PER_CLAIM, PART_CLAIMS, parts_of
from services.collector.item.run import Result
from services.contracts import entities
from services.contracts.claims import Attribute, Claim
from services.contracts.commands import Collect, WorkItem
from services.contracts.evidence import EvidenceRecord, seal
from services.contracts.facts import Collected
from services.kernel.messages import derive, envelop
from tests.collector.workshop import SCAN, TARGET
from tests.examples import seeds

WWW = entities.hostname("www.example.org")
ITEM = WorkItem(id=UUID(int=9), subject=TARGET, role="target", distance=0, turn=0)
MOST_BYTES = 256 * 1024


def command(item: WorkItem) -> Collect:
    return Collect(scan=SCAN, run=1, batch=UUID(int=8), attempt=1, module="probe", version=1, items=(item,))


def record(number: int, head: int = 0) -> EvidenceRecord:
    return seal(
        EvidenceRecord(id=b"", protocol="http", request=f"GET /{number}", key=b"%d" % number, at=1, head="\xe9" * head)
    )


def result_of(said: Iterable[tuple[Claim, tuple[bytes, ...]]], records: Iterable[EvidenceRecord]) -> Result:
    by_id = {each.id: each for each in records}
    claims = tuple(said)
    return Result(
        said=claims,
        sizes=tuple(len(msgspec.json.encode(claim)) for claim, _ in claims),
        digest=b"",
        records=by_id,
        outcome="found",
        reason="x",
        requests=7,
        at=1,
        retry_after=3.0,
    )


def assembled(parts: list[Collected]) -> list[tuple[Claim, list[bytes]]]:
    return [(said.claim, [part.records[place].id for place in said.cites]) for part in parts for said in part.said]


@pytest.mark.parametrize("seed", seeds(12))
def test_parts_are_bounded_and_together_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    records = [record(number, rng.choice((0, 10, 1000, 60_000))) for number in range(rng.randrange(1, 60))]
    ids = [each.id for each in records]
    said = []
    for number in range(rng.choice((0, 1, 700, 3000))):
        host = entities.hostname(f"n{number}.example.org")
        text = 'é\\"\t' * rng.choice((1, 10, 1000))
        claim = rng.choice((host, Attribute(host, "title", text)))
        said.append((claim, tuple(rng.sample(ids, rng.randrange(min(6, len(ids)))))))
    item = WorkItem(UUID(int=9), TARGET, "target", 0, 2)
    result = result_of(said, records)
    parts = parts_of(command(item), item, result)
    assert [part.part for part in parts] == list(range(len(parts)))
    assert all(len(part.said) <= PART_CLAIMS for part in parts)
    assert all(len(msgspec.json.encode(part)) <= MOST_BYTES for part in parts)
    assert [claim for claim, _ in assembled(parts)] == [claim for claim, _ in said]
    for (_, cites), (_, wanted) in zip(assembled(parts), said, strict=True):
        assert cites == list(wanted)[: len(cites)]
        assert bool(cites) == bool(wanted)
    assert {each.id for part in parts for each in part.records} == set(ids)
    *others, last = parts
    assert (last.outcome, last.parts, last.reason, last.requests, last.retry_after) == (
        "found",
        len(parts),
        "x",
        7,
        3.0,
    )
    assert all((each.outcome, each.parts, each.requests) == (None, 0, 0) for each in others)
    assert all((each.turn, each.item, each.subject) == (2, item.id, TARGET) for each in parts)


def test_a_result_of_nothing_is_one_part() -> None:
    item = WorkItem(UUID(int=9), TARGET, "target")
    (part,) = parts_of(command(item), item, result_of((), ()))
    assert (part.part, part.parts, part.said, part.records) == (0, 1, (), ())


def test_a_claim_that_rests_on_more_than_a_message_holds_cites_what_fits_and_loses_nothing() -> None:
    records = [record(number, 60_000) for number in range(6)]
    item = WorkItem(UUID(int=9), TARGET, "target")
    parts = parts_of(command(item), item, result_of([(WWW, tuple(each.id for each in records))], records))
    assert all(len(msgspec.json.encode(part)) <= MOST_BYTES for part in parts)
    ((claim, cites),) = assembled(parts)
    assert (claim, cites) == (WWW, [each.id for each in records][: len(cites)])
    assert cites
    assert {each.id for part in parts for each in part.records} == {each.id for each in records}


def test_a_claim_cites_so_many_records_at_most_and_the_others_are_not_lost() -> None:
    records = [record(number) for number in range(CITED_PER_CLAIM + 50)]
    parts = parts_of(command(ITEM), ITEM, result_of([(WWW, tuple(each.id for each in records))], records))
    assert assembled(parts) == [(WWW, [each.id for each in records[:CITED_PER_CLAIM]])]
    assert {each.id for part in parts for each in part.records} == {each.id for each in records}


def test_the_same_result_is_cut_the_same_way_each_time() -> None:
    records = [record(number) for number in range(20)]
    said = [(entities.hostname(f"n{number}.example.org"), (records[number % 20].id,)) for number in range(1200)]
    item = WorkItem(UUID(int=9), TARGET, "target")
    result = result_of(said, records)
    assert parts_of(command(item), item, result) == parts_of(command(item), item, result)


@pytest.mark.parametrize(("length", "most"), [(1, 3), (1000, 6)], ids=["by-number", "by-size"])
def test_there_are_no_more_parts_than_it_takes(length: int, most: int) -> None:
    hosts = [entities.hostname(f"n{number:04}.example.org") for number in range(1200)]
    said = [(Attribute(host, "title", "x" * length), ()) for host in hosts]
    parts = parts_of(command(ITEM), ITEM, result_of(said, ()))
    assert (len(parts), max(len(part.said) for part in parts) <= PART_CLAIMS) == (most, True)


def a_record(number: int) -> EvidenceRecord:
    key = number.to_bytes(32, "big")
    request = f"probes below level-{number}.example.org"
    return seal(EvidenceRecord(id=b"", protocol="dns", request=request, key=key, at=1, blob=key))


@pytest.mark.parametrize(("claims", "records"), [(1, 8000), (2000, 1), (1500, 1500)])
def test_every_part_fits_into_a_message_and_nothing_is_lost(claims: int, records: int) -> None:
    evidence = {record.id: record for record in map(a_record, range(records))}
    said = tuple((entities.hostname(f"www-{number}.example.org"), tuple(evidence)) for number in range(claims))
    result = result_of(said, evidence.values())

    parts = parts_of(command(ITEM), ITEM, result)

    for part in parts:
        envelop(part, source="collector", workspace=SCAN, id=derive(SCAN, str(part.part)))
        assert all(place < len(part.records) for each in part.said for place in each.cites)
    assert sum(len(part.said) for part in parts) == claims
    assert {record.id for part in parts for record in part.records} == set(evidence)
    assert all(part.records[each.cites[0]].id == next(iter(evidence)) for part in parts for each in part.said)
