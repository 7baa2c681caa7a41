"""What storage answers."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts.resources import (
    RecordQuery,
    RecordView,
    ScanId,
    Stored,
    Swept,
)
from services.kernel.calls import Caller, Endpoint
from services.kernel.service import Ports
from services.storage.usecases import diff, evidence, facts, find, instants, retract, show, stored


async def get_stored(ports: Ports, caller: Caller, question: ScanId) -> Stored:
    return await stored.get_stored(ports, caller, question.scan)


async def swept_by_storage(ports: Ports, caller: Caller, question: ScanId) -> Swept:
    return await stored.swept(ports, caller, question.scan)


async def find_records(ports: Ports, caller: Caller, question: RecordQuery) -> tuple[RecordView, ...]:
    return await evidence.find_records(ports, caller, question.digest)


def list_records(ports: Ports, caller: Caller, question: ScanId) -> AsyncGenerator[RecordView, None]:
    return evidence.list_records(ports, caller, question.scan)


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.FIND_ENTITIES: find.find_entities,
    e.GET_ENTITY: show.get_entity,
    e.GET_STORED: get_stored,
    e.SWEPT_BY_STORAGE: swept_by_storage,
    e.DIFF: diff.diff_scans,
    e.DIFF_INSTANTS: instants.diff_instants,
    e.FIND_RECORDS: find_records,
    e.LIST_RECORDS: list_records,
    e.LIST_CLAIMS: evidence.list_claims,
    e.RETRACT: retract.retract,
    e.LIST_RETRACTIONS: retract.list_retractions,
    e.READ_FACTS: facts.read_facts,
    e.READ_FACTS_OF: facts.read_facts_of,
}
