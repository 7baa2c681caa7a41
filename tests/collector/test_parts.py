"""However many claims and however much evidence a work item has, no part of its result is too large a message."""

from uuid import UUID

import msgspec
import pytest

from services.collector.run import Result, parts_of
from services.contracts import entities
from services.contracts.commands import Collect, WorkItem
from services.contracts.evidence import EvidenceRecord, seal
from services.kernel.messages import derive, envelop

SCAN = UUID(int=7)
SUBJECT = entities.domain("example.org")
ITEM = WorkItem(id=UUID(int=9), subject=SUBJECT, role="target", distance=0, turn=0)
COMMAND = Collect(scan=SCAN, run=1, batch=UUID(int=8), attempt=1, module="brute", version=1, items=(ITEM,))


def a_record(number: int) -> EvidenceRecord:
    key = number.to_bytes(32, "big")
    request = f"probes below level-{number}.example.org"
    return seal(EvidenceRecord(id=b"", protocol="dns", request=request, key=key, at=1, blob=key))


@pytest.mark.parametrize(("claims", "records"), [(1, 8000), (2000, 1), (1500, 1500)])
def test_every_part_fits_into_a_message_and_nothing_is_lost(claims: int, records: int) -> None:
    evidence = {record.id: record for record in map(a_record, range(records))}
    said = tuple((entities.hostname(f"www-{number}.example.org"), tuple(evidence)) for number in range(claims))
    result = Result(
        said=said,
        sizes=tuple(len(msgspec.json.encode(claim)) for claim, _ in said),
        digest=b"",
        records=evidence,
        outcome="found",
        reason="",
        requests=records,
        at=1,
    )

    parts = parts_of(COMMAND, ITEM, result)

    for part in parts:
        envelop(part, source="collector", workspace=SCAN, id=derive(SCAN, str(part.part)))
        assert all(place < len(part.records) for each in part.said for place in each.cites)
    assert sum(len(part.said) for part in parts) == claims
    assert {record.id for part in parts for record in part.records} == set(evidence)
    assert all(part.records[each.cites[0]].id == next(iter(evidence)) for part in parts for each in part.said)
