"""From a result on the bus to stored claims: ``python -m tests.bench storage``, or this file with a number of claims.

`Collected` messages as a scan of a large organisation brings them (per host: DNS, web, TLS, registries; per two hundred
hosts a list of names) go through the real bus and inbox into storage, and its index follows. They are made while the
clock stands still, 50,000 claims at a time; what changed is said on the bus as it is in a process, to nobody. Then all
facts of the scan are read, those of 1,000 entities and of relations from them, and a module's claims are withdrawn,
which has all of the scan gone through for what rests on them. The bare limit writes the same rows,
already folded, by executemany into tables without keys and indexes.
"""

import asyncio
import cProfile
import hashlib
import pstats
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import uvloop
from msgspec import Struct

from services.contracts import attributes, entities, relations
from services.contracts.claims import Claim, Entity
from services.contracts.evidence import EvidenceRecord, seal
from services.contracts.facts import Admission, Admitted, Collected, Said
from services.contracts.resources import Retract
from services.contracts.resources.storage import FactsOf, FactsQuery
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import operator
from services.kernel.inbox import Inbox
from services.kernel.messages import NAMESPACE, Envelope, bundle, derive, envelop, message_type, open_bundle
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.search.fts import FtsSearch
from services.kernel.service import Ports
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.streams import consumers_of, streams_of
from services.storage.consumers import CONSUMERS
from services.storage.domain import Rows
from services.storage.service import service
from services.storage.store.intake import CLAIM, RESULT
from services.storage.usecases.facts import facts_of, scan_facts
from services.storage.usecases.index import index_new
from services.storage.usecases.retract import retract
from tests.bench.declaration import Bench, Figure, Options, middle, span

MILLION, FIRST, ROUND, BATCH, BAR = 1_000_000, 200_000, 50_000, 8, 5_000
SOME = 1_000
RESULTS = 40  # in a bundle, about
WORKSPACE, SCAN = UUID(int=1), UUID(int=2)
AT = 1_790_000_000_000_000
HEAD = "HTTP/1.1 200 OK\nServer: nginx/1.25.3\nContent-Type: text/html; charset=utf-8\nVary: Accept-Encoding\n" * 3


def hosts(number: int) -> Iterator[tuple[str, Entity, list[Claim], list[EvidenceRecord]]]:
    """What the modules say about the ``number``-th host: module, subject, claims, records."""
    name = entities.hostname(f"host-{number:06}.unit-{number % 50}.example.org")
    text = f"198.{18 + number // 65536 % 2}.{number // 256 % 256}.{number % 256}"
    address, block = entities.ip_address(text), entities.netblock(text + "/24")
    service, url = entities.service(text, "tcp", 443), entities.url(f"https://{name.value}/")
    certificate = entities.certificate(hashlib.sha256(name.value.encode()).hexdigest())
    asn, nginx = entities.asn(64500 + number // 256 % 50), entities.technology("nginx", "1.25.3")

    yield (
        "dns_records",
        name,
        [
            relations.resolves_to(name, address, record="A"),
            attributes.attribute(name, "covered_by_wildcard", False),
        ],
        [record("dns", f"A,AAAA,CNAME {name.value}", number)],
    )
    yield (
        "web",
        name,
        [
            url,
            relations.exposes(address, service),
            relations.serves(service, name, host=name.value),
            relations.runs(url, nginx),
            *(
                attributes.attribute(url, "title", f"{title} {number}")
                for title in ("Welcome to", "Sign in to", "Status of")
            ),
            *(
                relations.links_to(url, entities.url(f"https://{name.value}/{page}"))
                for page in ("about", "login", "news")
            ),
            *(attributes.attribute(url, "category", f"category-{word}") for word in range(6)),
        ],
        [record("http", f"GET https://{name.value}/{path}", number, HEAD) for path in ("", "favicon.ico", "app.js")],
    )
    yield (
        "tls_certificate",
        name,
        [
            certificate,
            relations.presents(service, certificate),
            *(relations.covers_name(certificate, each) for each in (name, entities.hostname(f"alias-{name.value}"))),
            attributes.attribute(certificate, "not_before", AT),
            attributes.attribute(certificate, "not_after", AT + number),
            attributes.attribute(certificate, "serial_number", f"{number:032x}"),
            attributes.attribute(certificate, "issuer", "CN=Example CA,O=Example,C=NL"),
        ],
        [record("tls", f"{text}:443 as {name.value}", number, "TLSv1.3\nTLS_AES_256_GCM_SHA384\nhttp/1.1")],
    )
    yield (
        "rdap_ip",
        address,
        [
            relations.part_of(address, block),
            relations.announced_by(block, asn),
            attributes.attribute(address, "country", "NL"),
            *(attributes.attribute(block, "remark", f"remark {number % 256} {line}") for line in range(4)),
        ],
        [record("http", f"GET https://rdap.example.net/ip/{text}", number, HEAD)],
    )
    yield (
        "reverse_dns",
        address,
        [
            relations.reverse_resolves_to(address, name),
            attributes.attribute(address, "forward_confirmed", True),
        ],
        [record("dns", f"PTR {text}", number)],
    )
    if number % 200 == 0:
        domain = entities.domain("example.org")
        names = [entities.hostname(f"host-{number + n:06}.unit-{(number + n) % 50}.example.org") for n in range(400)]
        yield "crtsh", domain, list(names), [record("http", f"GET https://crt.sh/?q={number}", number, HEAD)]


def record(protocol: str, request: str, number: int, head: str = "") -> EvidenceRecord:
    key = hashlib.sha256(f"{request} {number}".encode()).digest()
    return seal(
        EvidenceRecord(
            id=b"", protocol=protocol, request=request, key=key, at=AT + number, elapsed=20_000, peer="198.18.0.1:443",
            status="200", head=head, blob=key, size=5000,
        )
    )  # fmt: skip


def messages() -> Iterator[tuple[int, Envelope]]:
    """Claims in it, and the envelope, without end; results come bundled, as collectors send them."""
    number = ordinal = claimed = 0
    results: dict[str, Collected] = {}
    while True:
        for module, subject, claims, records in hosts(number):
            item = derive(SCAN, f"{module} {number}")
            said = tuple(Said(claim, (place % len(records),)) for place, claim in enumerate(claims))
            result = Collected(
                scan=SCAN, run=1, batch=SCAN, item=item, module=module, version=1, subject=subject, part=0,
                at=AT + number, said=said, records=tuple(records), outcome="found", parts=1, requests=len(records),
            )  # fmt: skip
            results[item.hex] = result
            claimed += len(claims)
        number += 1
        if len(results) >= RESULTS:
            envelopes = list(bundle(results, source="collector", workspace=WORKSPACE, at=AT + number))
            yield from zip((claimed, *[0] * (len(envelopes) - 1)), envelopes, strict=True)
            results, claimed = {}, 0
        if number % 100 == 0:
            ordinal += 1
            taken = [subject for n in range(number - 100, number) for _, subject, _, _ in hosts(n)]
            admitted = Admitted(
                scan=SCAN,
                ordinal=ordinal,
                admissions=(
                    Admission(entities.domain("example.org"), "target", 0),
                    *(Admission(each, "in_scope", 0) for each in dict.fromkeys(taken) if each.type != "domain"),
                ),
            )
            yield 0, envelop(admitted, source="scans", workspace=WORKSPACE, id=derive(NAMESPACE, f"admitted {ordinal}"))


class Taken(Struct):
    """``walls`` and ``cpus``: seconds for each `ROUND` claims; ``size``: bytes of the database.

    ``facts`` and ``facts_of``: seconds to read the facts of the scan, and of `SOME` entities with their relations;
    ``retracted``: to withdraw the claims of one module.
    """

    walls: list[float]
    cpus: list[float]
    loops: list[float]
    bare: float = 0.0
    size: int = 0
    facts: float = 0.0
    facts_of: float = 0.0
    retracted: float = 0.0


class Store:
    """Storage as it runs in a process: its consumers on a bus, its index behind."""

    def __init__(self, folder: Path) -> None:
        self.bus = SqliteBus(folder / "bus.db")
        self.sql = SqliteSql(folder / "storage.db", cache_kib=1024 * service.cache_mib)
        self.search = FtsSearch(folder / "search.db")
        self.ports = Ports("storage", sql=self.sql, bus=self.bus, search=self.search)
        self.ports.outbox = Outbox(self.sql, self.bus, "storage")
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self.bus.declare(streams_of([service]), consumers_of({"storage": CONSUMERS}))
        await self.sql.migrate([*MIGRATIONS, *migrations.load("services.storage.migrations")])
        running = [Inbox(self.ports, self.ports.outbox, handles).run() for handles in CONSUMERS]
        others = (index_new(self.ports), self.ports.outbox.relay())
        self._tasks = [asyncio.create_task(each) for each in (*running, *others)]

    async def take(self, envelopes: list[Envelope]) -> None:
        """Publish, never more than a few batches ahead, and return when all are stored."""
        for first in range(0, len(envelopes), BATCH):
            await self.bus.publish(envelopes[first : first + BATCH])
            await self._behind(8 * BATCH)
        await self._behind(0)

    async def _behind(self, most: int) -> None:
        while True:
            lags = [await self.bus.lag(f"storage__{handles.name}") for handles in CONSUMERS]
            if sum(lag.waiting + lag.in_flight for lag in lags) <= most:
                return
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)
        for port in (self.bus, self.search, self.sql):
            await port.close()


async def take_in(claims: int, profile: cProfile.Profile | None = None) -> Taken:
    taken = Taken([], [], [])
    coming = messages()
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        await store.open()
        for number in range(claims // ROUND):
            envelopes, size = [], 0
            while size < ROUND:
                count, envelope = next(coming)
                envelopes.append(envelope)
                size += count
            if number == 0:
                taken.bare = bare(Path(name) / "bare.db", envelopes) / size
            wall, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
            if profile:
                profile.enable()
            await store.take(envelopes)
            if profile:
                profile.disable()
            taken.walls.append((time.perf_counter() - wall) / size)
            taken.cpus.append((time.process_time() - cpu) / size)
            taken.loops.append((time.thread_time() - loop) / size)
        await read_back(store, taken)
        await store.close()
        taken.size = sum(file.stat().st_size for file in Path(name).glob("storage.db*"))
    return taken


async def read_back(store: Store, taken: Taken) -> None:
    """Read all facts, and those of some entities from all over the scan and of the relations from them."""
    started = time.perf_counter()
    entities, relations = list[bytes](), list[tuple[bytes, bytes]]()
    async with store.sql.read() as view:
        async for piece in scan_facts(view, WORKSPACE, FactsQuery(scan=SCAN, all=True)):
            entities += [each.entity.id for each in piece.entities[::50]]
            relations += [(each.source.id, each.id) for each in piece.relations[::50]]
    taken.facts = time.perf_counter() - started
    query = FactsOf(scan=SCAN, entities=tuple(entities[:SOME]), relations=tuple(relations[: 2 * SOME]))
    started = time.perf_counter()
    async with store.sql.read() as view:
        async for _ in facts_of(view, WORKSPACE, query):
            pass
    taken.facts_of = time.perf_counter() - started
    started = time.perf_counter()
    async for _ in retract(store.ports, operator(WORKSPACE), Retract(module="reverse_dns", reason="wrong")):
        pass
    taken.retracted = time.perf_counter() - started


def bare(path: Path, envelopes: list[Envelope]) -> float:
    """Seconds to write the rows of ``envelopes`` in batches as large, into tables that are nothing but rows."""
    kind = message_type(Collected)
    batches: list[Rows] = []
    for first in range(0, len(envelopes), BATCH):
        rows = Rows()
        for envelope in envelopes[first : first + BATCH]:
            if envelope.type == kind:
                for result in open_bundle(envelope, Collected):
                    rows.add(WORKSPACE, result, AT)
        batches.append(rows)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    for table, width in (
        ("entity", 7),
        ("relation", 6),
        ("claim", len(CLAIM)),
        ("record", 6),
        ("result", len(RESULT) - 1),
    ):
        connection.execute(f"CREATE TABLE {table} ({', '.join(f'c{n}' for n in range(width))})")
    started = time.perf_counter()
    for rows in batches:
        connection.execute("BEGIN")
        tables = {
            "entity": [
                (*key, seen.entity.type, "", seen.entity.value, *seen[1:3]) for key, seen in rows.entities.items()
            ],
            "relation": [(*key, each[0].type, *each[1:3], "") for key, each in rows.relations.items()],
            "claim": [(space, about, item, *said) for space, about, (_, _, item, _), *said in rows.claims],
            "record": [(space, scan, item, *kept) for space, scan, (_, _, item, _), *kept in rows.records],
            "result": [(*key, *answer) for key, answer in rows.results.items()],
        }
        for table, written in tables.items():
            if written:
                connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(written[0]))})", written)
        connection.execute("COMMIT")
    spent = time.perf_counter() - started
    connection.close()
    path.unlink()
    return spent


def rates(times: list[float], last: int) -> float:
    """Claims a second over the two rounds that end at ``last`` claims."""
    until = last // ROUND
    return 2 / sum(times[until - 2 : until])


def run(options: Options) -> list[Figure]:
    runs = [uvloop.run(take_in(MILLION)) for _ in range(options.runs)]
    early, late = [rates(each.walls, FIRST) for each in runs], [rates(each.walls, MILLION) for each in runs]
    kept = [end / start for start, end in zip(early, late, strict=True)]
    slowest = [1 / max(each.walls) for each in runs]
    limit = middle([1 / each.bare for each in runs])
    cpu = [
        f"{middle([rates(each.cpus, last) for each in runs]):,.0f} claims/s of processor" for last in (FIRST, MILLION)
    ]
    by_cpu = middle([rates(each.cpus, MILLION) / rates(each.cpus, FIRST) for each in runs])
    size = f"{middle([each.size for each in runs]) / 1e6:,.0f} MB"
    kept_of_cpu = f"{by_cpu:.2f} of processor"
    return [
        Figure(
            what="at 200,000",
            value=middle(early),
            unit="claims/s",
            bar=BAR,
            bare=limit,
            spread=span(early),
            beside=cpu[0],
        ),
        Figure(what="at 1,000,000", value=middle(late), unit="claims/s", bar=BAR, spread=span(late), beside=cpu[1]),
        Figure(
            what="slowest 50,000", value=middle(slowest), unit="claims/s", bar=BAR, spread=span(slowest), beside=size
        ),
        Figure(
            what="facts of a million claims",
            value=middle([each.facts for each in runs]),
            unit="s",
            bar=60,
            at_most=True,
            spread=span([each.facts for each in runs]),
        ),
        Figure(
            what="facts of 1,000 entities and the relations from them",
            value=middle([each.facts_of for each in runs]),
            unit="s",
            spread=span([each.facts_of for each in runs]),
        ),
        Figure(
            what="withdrawing a module of a scan of a million claims",
            value=middle([each.retracted for each in runs]),
            unit="s",
            spread=span([each.retracted for each in runs]),
        ),
        Figure(what="kept of the rate", value=middle(kept), bar=0.8, spread=span(kept), beside=kept_of_cpu),
    ]


BENCH = Bench("storage", "Embedded pipeline: ≥ 5,000 claims/s throughout, ≥ 80 % of the rate kept at a million.", run)

if __name__ == "__main__":
    recorded = cProfile.Profile() if "--profile" in sys.argv else None
    found = uvloop.run(take_in(next((int(each) for each in sys.argv[1:] if each.isdigit()), FIRST), recorded))
    for at, (spent, used, own) in enumerate(zip(found.walls, found.cpus, found.loops, strict=True), 1):
        rates = f"{1 / spent:>7,.0f} claims/s, {1 / used:>7,.0f} of processor"
        print(f"{at * ROUND:>9,}: {rates}, {own / used:.0%} on the loop")
    print(f"bare {1 / found.bare:,.0f} claims/s, {found.size / 1e6:,.0f} MB")
    print(f"facts of all {found.facts:.1f} s, of {SOME:,} entities {found.facts_of:.3f} s")
    print(f"withdrawing a module {found.retracted:.1f} s")
    if recorded:
        pstats.Stats(recorded).sort_stats("tottime").print_stats(30)
