"""`correlation` keeping up with scans, handed what storage would say of them."""

from collections.abc import Sequence
from uuid import UUID

from services.contracts.resources.identity import HypothesisEvidence
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity.hypotheses import Pair
from services.correlation.store import identity as store
from services.correlation.usecases import identity
from services.kernel.calls import A, Endpoint, LocalCalls, Q, operator
from services.kernel.service import Ports

WORKSPACE, ELSEWHERE = UUID(int=1), UUID(int=2)
SCAN, LATER = UUID(int=3), UUID(int=4)


class Keeper:
    def __init__(self, ports: Ports, calls: LocalCalls) -> None:
        self.ports = ports
        self.calls = calls

    async def follow(
        self,
        *said: EntityFacts | RelationFacts,
        gone: Sequence[bytes] = (),
        scan: UUID = SCAN,
        workspace: UUID = WORKSPACE,
    ) -> None:
        entities = [each for each in said if isinstance(each, EntityFacts)]
        relations = [each for each in said if isinstance(each, RelationFacts)]
        async with self.ports.outbox.unit() as unit:
            await identity.follow(self.ports, unit.tx, workspace, scan, entities, relations, gone)

    async def forget(self, scan: UUID = SCAN, workspace: UUID = WORKSPACE) -> None:
        async with self.ports.outbox.unit() as unit:
            await identity.forget(self.ports, unit.tx, workspace, scan)

    async def proposed(self, scan: UUID = SCAN) -> dict[Pair, tuple[float, tuple[HypothesisEvidence, ...]]]:
        async with self.ports.sql.read() as view:
            return dict(await store.read_hypotheses(view, store.Place(WORKSPACE, scan)))

    async def rows(self, table: str) -> int:
        async with self.ports.sql.read() as view:
            row = await view.fetch_one(f"SELECT COUNT(*) FROM {table}")
        assert row is not None
        return int(row[0])

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> A:
        return await self.calls.ask(endpoint, question, operator(workspace))
