"""`reporting` alone on a real database, with the world played by the test: scans, findings, facts, evidence."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from msgspec.structs import replace

from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.authorisations import AUTHORISATION_TYPE, AuthorisationStatement, Authoriser, write_statement
from services.contracts.bundles import REPORT_TYPE
from services.contracts.claims import Entity
from services.contracts.evidence import EvidenceRecord, merkle_root, seal
from services.contracts.findings import SEVERITIES, Severity
from services.contracts.plan import Limits, Plan, PlannedModule
from services.contracts.resources import (
    BlobQuery,
    BlobView,
    Change,
    DiffQuery,
    NewStatement,
    PublishedKeys,
    RecordView,
    Scan,
    ScanId,
    ScanRef,
    ScanSummary,
    SignedAuthorisation,
    SignedStatement,
    SourceState,
    WorkspaceRef,
)
from services.contracts.resources.correlation import (
    FindingPage,
    FindingRef,
    FindingRow,
    FindingsQuery,
    FindingView,
    Ground,
    Named,
    StatusChange,
)
from services.contracts.resources.reports import BundleQuery, NewReport, ReportFile, ReportView
from services.contracts.resources.storage import EntityFacts, Facts, FactsQuery, RelationFacts, SaidBy, SaidValue
from services.contracts.scope import scope
from services.kernel.calls import A, Caller, CallsOf, Endpoint, LocalCalls, Nothing, Q, operator
from services.kernel.documents.sqlite import SqliteDocuments
from services.kernel.errors import NotFound
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.principals import private_key
from services.kernel.service import Ports
from services.kernel.signatures import sign
from services.kernel.sql import migrations
from services.reporting.api import DOORS
from services.reporting.service import service
from tests.stores import open_store

WORKSPACE, ELSEWHERE = UUID(int=1), UUID(int=2)
SCAN, BEFORE = UUID(int=3), UUID(int=4)
TARGET = entities.domain("example.org")
#: 2026-11-02 08:00 UTC, when the scan was made.
CREATED: Final = 1_793_606_400_000_000
HOUR: Final = 3_600_000_000
AS_OF: Final = CREATED + 5 * HOUR
KID, KEY = "the workspace's", private_key(bytes(range(32)))
TITLES: Final = {
    "database": ("critical", "A database answers everybody", "Let only those networks reach it that need it."),
    "expired_certificate": ("high", "A certificate has expired", "Renew it, and have it renewed by itself."),
    "missing_dmarc": ("medium", "Anybody can send mail in your name", "Publish a DMARC policy, and read its reports."),
    "old_software": ("low", "Software that is no longer cared for", "Move to a version that gets fixes."),
    "one_source": ("info", "A name that only one source knows", "Look whether it is yours."),
}  # fmt: skip


def named(entity: Entity) -> Named:
    return Named(entity.id.hex(), entity.type, entity.value)


def record(number: int, body: bytes) -> EvidenceRecord:
    return seal(
        EvidenceRecord(
            id=b"", protocol="http", request=f"GET https://host{number}.example.org/",
            key=uuid5(SCAN, str(number)).bytes, at=CREATED + number, elapsed=1200, peer="192.0.2.1:443",
            status="HTTP/1.1 200 OK",
            head="HTTP/1.1 200 OK\r\n", blob=hashlib.sha256(body).digest(), size=len(body),
        )
    )  # fmt: skip


class Press:
    """The service, and what the others say; a test changes that before it asks."""

    def __init__(self, folder: Path, findings: int = 8) -> None:
        self.folder = folder
        self.key, self.kid = KEY, KID
        self.bodies: dict[str, bytes] = {}
        self.records: list[EvidenceRecord] = []
        self.hosts: list[Entity] = []
        self.views: list[FindingView] = []
        for number in range(findings):
            self.add_finding(number)
        self.modules = tuple(
            PlannedModule(
                id=name, version=2, activity=activity, consumes=(), produces=(), options={}, rate=0, cost=1,
                concurrency=1, timeout=1, missing_key="urlscan" if name == "urlscan" else "",
            )
            for name, activity in (("crtsh", "passive"), ("web", "active"), ("urlscan", "passive"))
        )  # fmt: skip
        self.sources: tuple[SourceState, ...] = (
            self.source("crtsh", "answered", {"found": 4}),
            self.source("web", "partial", {"found": 7, "unreachable": 2}, "no answer within 10 s"),
            self.source("urlscan", "rate_limited", {"rate_limited": 1}, "again after 09:00"),
        )
        self.scan = self._make_scan()
        self.changes = [
            Change(kind="new", layer="entity", type="hostname", value="host1.example.org", what="", modules=("crtsh",)),
            Change(kind="gone", layer="entity", type="hostname", value="old.example.org", what="", modules=("crtsh",)),
        ]
        self.judged = True
        self.extra: list[Facts] = []
        self.asked: Counter[str] = Counter()
        self.sql = open_store(folder / "reporting.db")
        self.documents = SqliteDocuments(folder / "documents.db")
        self.calls = LocalCalls({"reporting": service.asks})
        self.calls.serve(None, self._doors())
        self.ports = Ports("reporting", sql=self.sql, documents=self.documents, calls=CallsOf("reporting", self.calls))
        self.ports.outbox = Outbox(self.sql, None, "reporting")  # type: ignore[arg-type]
        self.calls.serve(self.ports, DOORS)

    async def open(self) -> "Press":
        await self.sql.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
        return self

    async def close(self) -> None:
        await self.documents.close()
        await self.sql.close()

    def source(
        self, module: str, state: Any, outcomes: Any, reason: str = "", activity: Any = "passive"
    ) -> SourceState:
        return SourceState(
            module=module, version=2, activity=activity, state=state, open=0, outcomes=outcomes, claims=12, requests=9,
            reason=reason,
        )  # fmt: skip

    def add_finding(self, number: int, *, rule: str = "", value: str = "", **fields: Any) -> FindingView:
        """A finding on a host of its own, resting on three claims and two records."""
        rule = rule or list(TITLES)[number % len(TITLES)]
        severity, title, advice = TITLES[rule]
        host = entities.hostname(f"host{number}.example.org")
        shown = replace(named(host), value=value) if value else named(host)
        self.hosts.append(host)
        made = [record(2 * number + each, f"<html>{number} {each}</html>".encode()) for each in range(2)]
        for each in made:
            assert each.blob is not None
            self.records.append(each)
            self.bodies[each.blob.hex()] = f"<html>{number} {made.index(each)}</html>".encode()
        proof = tuple(each.id.hex() for each in made)
        address = entities.ip_address("192.0.2.1")
        grounds = (
            Ground(role="host", entity=shown, modules=("crtsh@2",), evidence=proof[:1], at=CREATED + number),
            Ground(
                role="host", entity=shown, predicate="resolves_to", target=named(address), modules=("web@2",),
                evidence=proof, at=CREATED + number,
            ),
            Ground(
                role="host", entity=shown, predicate="page_title", value=f"Title {number}", modules=("web@2",),
                at=CREATED,
            ),
        )  # fmt: skip
        row = FindingRow(
            **{
                "id": uuid5(SCAN, f"finding {number}"), "scan": SCAN, "rule": rule, "rule_version": 1,
                "category": "exposure", "severity": severity, "confidence": 95 - number % 60,
                "title": title, "status": "new", "entities": (shown,), "first_found": CREATED + HOUR,
                "last_found": CREATED + 2 * HOUR, **fields,
            }
        )  # fmt: skip
        view = FindingView(
            finding=row,
            description=f"{title}. It was seen on {shown.value}.",
            advice=advice,
            references=("https://www.rfc-editor.org/rfc/rfc7489",),
            matches=1,
            grounds=grounds,
            history=(StatusChange(status=row.status, at=CREATED + HOUR),),
        )
        self.views.append(view)
        self.views.sort(key=lambda each: (-SEVERITIES.index(each.finding.severity), each.finding.id))
        return view

    def authorise(self) -> None:
        said = AuthorisationStatement(
            id=UUID(int=9), workspace=WORKSPACE, scan=SCAN, by=Authoriser(kind="person", name="Jo Doe"),
            why="Jo Doe, ticket 7", targets=("example.org",), target_count=1, includes=(), excludes=(), networks=(),
            scope_digest="", techniques=("web",), begins=CREATED, until=CREATED + 48 * HOUR, at=CREATED,
        )  # fmt: skip
        self.scan = replace(self.scan, authorised="Jo Doe, ticket 7", authorisation=said)

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> A:
        return await self.calls.ask(endpoint, question, operator(workspace))

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> list[A]:
        return [part async for part in self.calls.follow(endpoint, question, operator(workspace))]

    async def make(self, template: Any = "executive", *, as_of: int | None = AS_OF, **fields: Any) -> ReportView:
        new = NewReport(scan=SCAN, template=template, as_of=as_of, **fields)
        report = (await self.follow(e.MAKE_REPORT, new))[-1].report
        assert report is not None
        return report

    async def read(self, report: ReportView, form: Any) -> bytes:
        pieces = await self.follow(e.READ_REPORT, ReportFile(report=report.id.hex, format=form))
        return b"".join(piece.data for piece in pieces)

    async def bundle(self, report: ReportView, *, bodies: bool = False) -> bytes:
        pieces = await self.follow(e.READ_BUNDLE, BundleQuery(report=report.id.hex, bodies=bodies))
        return b"".join(piece.data for piece in pieces)

    @property
    def counts(self) -> Counter[Severity]:
        return Counter(view.finding.severity for view in self.views)

    def _make_scan(self) -> Scan:
        root = merkle_root(sorted(each.id for each in self.records)).hex()
        return Scan(
            id=SCAN, state="finished", reason="", run=1, targets=(TARGET,), profile="deep", created=CREATED,
            started=CREATED, ended=CREATED + 3 * HOUR, deadline=None, items={"done": 40}, entities={"hostname": 8},
            sources=self.sources, evidence_root=root, target_count=1,
        )  # fmt: skip

    def _doors(self) -> dict[Endpoint[Any, Any], Any]:
        return {
            e.GET_SCAN: self._get_scan,
            e.GET_PLAN: self._get_plan,
            e.LIST_SCANS: self._list_scans,
            e.GET_AUTHORISATION: self._get_authorisation,
            e.LIST_FINDINGS: self._list_findings,
            e.GET_FINDING: self._get_finding,
            e.READ_FACTS: self._read_facts,
            e.LIST_RECORDS: self._list_records,
            e.DIFF: self._diff,
            e.GET_BLOB: self._get_blob,
            e.SIGN_STATEMENT: self._sign_statement,
            e.PUBLISH_WORKSPACE_KEYS: self._publish_keys,
        }

    async def _get_scan(self, _: object, caller: Caller, question: ScanRef) -> Scan:
        if caller.workspace != WORKSPACE or question.scan != str(SCAN):
            raise NotFound(f"there is no scan {question.scan}")
        return self.scan

    async def _get_plan(self, _: object, caller: Caller, question: ScanId) -> Plan:
        return Plan(
            scan=question.scan, profile="deep", targets=(TARGET,), scope=scope((TARGET,)), modules=self.modules,
            limits=Limits(), salt="salt",
        )  # fmt: skip

    async def _list_scans(self, _: object, caller: Caller, question: Nothing) -> tuple[ScanSummary, ...]:
        earlier = ScanSummary(
            id=BEFORE, state="finished", targets=("example.org",), profile="deep", created=CREATED - 700 * HOUR,
            ended=CREATED - 699 * HOUR, entities=5, open=0, done=30, target_count=1,
        )  # fmt: skip
        return (earlier,)

    async def _get_authorisation(self, _: object, caller: Caller, question: ScanId) -> SignedAuthorisation:
        if self.scan.authorisation is None:
            raise NotFound("nobody authorised it")
        said = self.scan.authorisation
        return SignedAuthorisation(said, sign(write_statement(said), AUTHORISATION_TYPE, self.kid, self.key))

    async def _list_findings(self, _: object, caller: Caller, question: FindingsQuery) -> FindingPage:
        self.asked["findings"] += 1
        assert question.all, "what is put aside is counted too"
        start = int(question.cursor or 0)
        rows = tuple(view.finding for view in self.views[start : start + question.limit])
        end = start + len(rows)
        cursor = str(end) if end < len(self.views) else None
        return FindingPage(findings=rows, counts=dict(self.counts), judged=self.judged, cursor=cursor)

    async def _get_finding(self, _: object, caller: Caller, question: FindingRef) -> FindingView:
        self.asked["finding"] += 1
        return next(view for view in self.views if str(view.finding.id) == question.finding)

    async def _read_facts(self, _: object, caller: Caller, question: FactsQuery) -> AsyncIterator[Facts]:
        assert question.as_of is not None
        for piece in self.facts():
            yield piece

    def facts(self) -> Sequence[Facts]:
        said = (SaidBy("crtsh", 2, CREATED, 90, TARGET.id, (self.records[0].id,) if self.records else ()),)
        address = entities.ip_address("192.0.2.1")
        found = [
            EntityFacts(
                entity=host, role="in_scope", distance=0, first_seen=CREATED - number * 24 * HOUR, last_seen=CREATED,
                said=said, attributes=(SaidValue("page_title", f"Title {number}", said),),
            )
            for number, host in enumerate(self.hosts)
        ]  # fmt: skip
        relations = [RelationFacts(type="resolves_to", source=host, target=address, said=said) for host in self.hosts]
        return [Facts(entities=tuple(found), relations=tuple(relations)), *self.extra]

    async def _list_records(self, _: object, caller: Caller, question: ScanId) -> AsyncIterator[RecordView]:
        for each in self.records:
            yield RecordView(
                id=each.id.hex(), blob=each.blob and each.blob.hex(), record=each, scan=SCAN, item=UUID(int=5),
                module="web", version=2,
            )  # fmt: skip

    async def _diff(self, _: object, caller: Caller, question: DiffQuery) -> AsyncIterator[Change]:
        for change in self.changes:
            yield change

    async def _get_blob(self, _: object, caller: Caller, question: BlobQuery) -> BlobView:
        if question.digest not in self.bodies:
            raise NotFound("it is not kept")
        return BlobView(self.bodies[question.digest])

    async def _sign_statement(self, _: object, caller: Caller, question: NewStatement) -> SignedStatement:
        assert caller.service == "reporting"
        return SignedStatement(sign(question.payload, REPORT_TYPE, self.kid, self.key))

    async def _publish_keys(self, _: object, caller: Caller, question: WorkspaceRef) -> PublishedKeys:
        return PublishedKeys((published(self.kid, self.key),))


def published(kid: str, key: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "Ed25519"}
