"""`scans` alone on a real database, with the rest of the world played by the test: a registry, collectors, a bus."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

import msgspec

from services.contracts.authorisations import AUTHORISATION_TYPE
from services.contracts.claims import Absence, Attribute, Entity, Relation
from services.contracts.commands import Collect, WorkItem
from services.contracts.endpoints import GET_EVIDENCE_USED, GET_QUOTAS, LIST_BUDGETS, LIST_MODULES, SIGN_STATEMENT
from services.contracts.evidence import EvidenceRecord, seal
from services.contracts.facts import Collected, DeclaredModule, Outcome, Said
from services.contracts.resources import (
    BudgetView,
    EvidenceUsed,
    Health,
    Module,
    NewScan,
    NewStatement,
    Quotas,
    Scan,
    SignedStatement,
)
from services.kernel.calls import Caller, CallsOf, LocalCalls, operator
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Unavailable
from services.kernel.messages import message_type
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.principals import private_key
from services.kernel.service import Ports, Received, Unit
from services.kernel.signatures import sign
from services.kernel.sql import Sql
from services.kernel.sql.migrations import load as load_migrations
from services.scans import api
from services.scans.service import service
from services.scans.usecases import intake
from tests.stores import open_store

M = TypeVar("M", bound=msgspec.Struct)
Claimed = Entity | Relation | Attribute | Absence
#: What modules say: module and subject to claims, or to an outcome.
World = Callable[[str, WorkItem], Sequence[Claimed] | Outcome]

WORKSPACE = UUID("5f0c9f0e-0000-5000-8000-000000000001")
CALLER = operator(WORKSPACE)
#: The key of the workspace, which auth has.
KID, KEY = "the test's", private_key(bytes(32))


def module(name: str, activity: str, *consumes: str, **fields: Any) -> Module:
    """A module as the registry knows it; fields of the manifest, and ``enabled``, ``live``, ``has_key``."""
    view = {key: fields.pop(key) for key in ("enabled", "live", "has_key") if key in fields}
    declared = {
        "id": name,
        "version": 1,
        "title": name.title(),
        "activity": activity,
        "source": "https://example.org/",
        "format": "https://example.org/",
        "consumes": consumes,
        "produces": (),
        "hosts": (),
        "options": {},
        "key": None,
        "key_required": False,
        "rate": 0.0,
        "burst": 1,
        "concurrency": 100,
        "cost": 1.0,
        "freshness": 86_400,
        "timeout": 60.0,
        "licence": "unknown",
        "code": "",
        **fields,
    }
    return Module(
        declared=DeclaredModule(**declared),
        options={},
        health=Health(),
        **{"enabled": True, "live": True, "has_key": True, **view},
    )


class Desk:
    """One instance of the service and what it says; `sql` may be wrapped by `wrap` before it is used."""

    def __init__(self, path: Path, modules: Iterable[Module], *, wrap: Callable[[Sql], Sql] = lambda sql: sql) -> None:
        self.modules = tuple(modules)
        self.budgets: tuple[BudgetView, ...] = ()
        self.quotas = Quotas()
        self.stored = 0
        #: Whether users is away, and whoever says how much is kept.
        self.away = self.keepers_away = False
        self.real = open_store(path)
        self.sql = wrap(self.real)
        calls = LocalCalls({"scans": service.asks})
        calls.serve(
            None,
            {
                LIST_MODULES: self._list_modules,
                LIST_BUDGETS: self._list_budgets,
                SIGN_STATEMENT: self._sign_statement,
                GET_QUOTAS: self._get_quotas,
                GET_EVIDENCE_USED: self._get_evidence_used,
            },
        )
        self.ports = Ports("scans", sql=self.sql, calls=CallsOf("scans", calls), directory=LocalDirectory())
        self.ports.outbox = Outbox(self.sql, None, "scans")  # type: ignore[arg-type]
        self._read = 0

    async def open(self) -> "Desk":
        await self.real.migrate([*MIGRATIONS, *load_migrations("services.scans.migrations")])
        return self

    async def close(self) -> None:
        await self.real.close()

    async def create(self, *targets: str, **fields: Any) -> UUID:
        new = NewScan(targets=targets, **{"profile": "deep", "authorised": "the test", **fields})
        return (await api.create_scan(self.ports, CALLER, new)).id

    async def scan(self, scan: UUID) -> Scan:
        return await api.get_scan(self.ports, CALLER, msgspec.convert({"scan": scan.hex}, api.r.ScanRef))

    async def said(self, *kinds: type[M]) -> list[M]:
        """The messages of these types in the outbox that were not read before, in order; others are skipped over."""
        types = {message_type(kind): kind for kind in kinds}
        async with self.real.read() as view:
            rows = await view.fetch(
                "SELECT position, type, data FROM outbox WHERE position > :read ORDER BY position", read=self._read
            )
        self._read = rows[-1][0] if rows else self._read
        return [msgspec.json.decode(data, type=types[kind]) for _, kind, data in rows if kind in types]

    async def all_said(self, kind: type[M]) -> list[M]:
        """Every message of a type that was ever said."""
        async with self.real.read() as view:
            rows = await view.fetch(
                "SELECT data FROM outbox WHERE type = :type ORDER BY position", type=message_type(kind)
            )
        return [msgspec.json.decode(data, type=kind) for (data,) in rows]

    async def commands(self) -> list[Collect]:
        return await self.said(Collect)

    async def take(self, *results: Collected) -> None:
        """Deliver results as one batch, each once, as the inbox does."""
        async with self.ports.outbox.unit() as unit:
            await intake.take_results(self.ports, unit, [received(result) for result in results])

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        return self.ports.outbox.unit()

    async def run(self, world: World, *, rounds: int = 1000, at_once: int = 50) -> None:
        """Play the collectors until nothing more is asked."""
        pending: list[Collected] = []
        for _ in range(rounds):
            for command in await self.commands():
                pending += answers(command, world)
            if not pending:
                return
            now, pending = pending[:at_once], pending[at_once:]
            await self.take(*now)
        raise AssertionError("the scan does not come to an end")

    async def _list_modules(self, *_: Any) -> tuple[Module, ...]:
        return self.modules

    async def _list_budgets(self, *_: Any) -> tuple[BudgetView, ...]:
        return self.budgets

    async def _get_quotas(self, *_: Any) -> Quotas:
        if self.away:
            raise Unavailable("users is away")
        return self.quotas

    async def _get_evidence_used(self, *_: Any) -> EvidenceUsed:
        if self.keepers_away:
            raise Unavailable("collectors are away")
        return EvidenceUsed(self.stored)

    async def _sign_statement(self, _: Any, caller: Caller, question: NewStatement) -> SignedStatement:
        return SignedStatement(sign(question.payload, AUTHORISATION_TYPE, KID, KEY))


def received(message: M, workspace: UUID = WORKSPACE) -> Received[M]:
    return Received(message, workspace, 0)


def answers(command: Collect, world: World) -> list[Collected]:
    """What a collector says to a command."""
    return [answer(command, item, world(command.module, item)) for item in command.items]


def answer(command: Collect, item: WorkItem, made: Sequence[Claimed] | Outcome, **fields: Any) -> Collected:
    """One result in one part, with a record of its own as evidence."""
    claims = () if isinstance(made, str) else tuple(made)
    outcome = made if isinstance(made, str) else "found" if claims else "empty"
    record = record_of(f"{command.module} {item.id} {item.turn}")
    return Collected(
        **{
            "scan": command.scan,
            "run": command.run,
            "batch": command.batch,
            "item": item.id,
            "module": command.module,
            "version": command.version,
            "subject": item.subject,
            "turn": item.turn,
            "part": 0,
            "at": 1,
            "said": tuple(Said(claim, (0,)) for claim in claims),
            "records": (record,),
            "outcome": outcome,
            "reason": "" if claims or outcome == "empty" else f"it was {outcome}",
            "parts": 1,
            "requests": 1,
            **fields,
        }
    )


def record_of(text: str) -> EvidenceRecord:
    return seal(EvidenceRecord(id=b"", protocol="http", request=text, key=uuid5(WORKSPACE, text).bytes, at=1))
