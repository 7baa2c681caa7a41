"""How sure one can be of a million claims, and what may be one: ``python -m tests.bench confidence``.

Claims are judged as the rule engine does, number by number, and with their terms, as when a person asks. Entities come
in batches as a scan brings them, through the real store; the bare limit is a full run over all of them in memory.
"""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

import uvloop
from msgspec import Struct

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidBy, SaidValue
from services.correlation.domain.confidence import Judge, Word
from services.correlation.domain.identity.hypotheses import resolve
from services.correlation.domain.origins import SOURCES
from services.correlation.store.identity import Place, read_hypotheses
from services.correlation.usecases import identity
from services.kernel.once_store import MIGRATIONS
from services.kernel.service import Ports
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql
from tests.bench.declaration import Bench, Figure, Options, middle, span

CLAIMS, EXPLAINED, ENTITIES, BATCH = 1_000_000, 50_000, 30_000, 1_000
AT, DAY = 1_790_000_000_000_000, 86_400_000_000
WORKSPACE, SCAN = UUID(int=1), UUID(int=2)


def statements(number: int) -> Iterator[tuple[SaidBy, ...]]:
    """What one to four modules say of one thing each, so many words in all."""
    random, modules = Random(1), [*SOURCES]
    left = number
    while left > 0:
        count = min(left, random.choice((1, 1, 1, 2, 2, 3, 4)))
        left -= count
        yield tuple(
            SaidBy(random.choice(modules), 1, AT - random.randrange(300) * DAY, 100, b"", ()) for _ in range(count)
        )


def judge_numbers(said: list[tuple[SaidBy, ...]]) -> float:
    """Microseconds of processor time a claim for the number alone."""
    judge, began = Judge(now=AT), time.process_time()
    for words in said:
        judge.number_of("resolves_to", words)
    return (time.process_time() - began) / CLAIMS * 1e6


def judge_terms(said: list[tuple[SaidBy, ...]]) -> float:
    """Microseconds of processor time a claim with its terms."""
    judge = Judge(now=AT)
    asked = [[Word(word.module, word.version, word.at) for word in words] for words in islice(said, EXPLAINED)]
    began = time.process_time()
    for words in asked:
        judge.weigh("resolves_to", {True: words})
    return (time.process_time() - began) / sum(map(len, asked)) * 1e6


def world() -> Iterator[tuple[list[EntityFacts], list[RelationFacts]]]:
    """Organisations of which one in ten has another entry, people with mailboxes, domains with trackers; in batches."""
    random = Random(2)
    words = [f"{a}{b}" for a in ("north", "south", "blue", "harbour", "quay", "stone") for b in range(400)]
    said = (SaidBy("rdap_domain", 1, AT, 100, bytes(16), ()),)
    for start in range(0, ENTITIES, BATCH):
        things: list[Entity] = []
        joined: list[Relation] = []
        for number in range(start, start + BATCH // 3):
            name = f"{random.choice(words)} {random.choice(words)} {number}"
            things.append(entities.organization("name", f"{name} GmbH", "DE"))
            if number % 10 == 0:
                things.append(entities.organization("name", f"{name} Ltd", ""))
            person = entities.person("rdap", f"P{number}")
            things.append(person)
            joined.append(relations.controls(person, entities.email_address(f"p{number // 2}@example.org")))
            site = entities.url(f"https://www.site-{number}.example/")
            tracker = entities.web_tracker("google_analytics", f"UA-{1_000_000 + number // 3}-1")
            joined.append(relations.uses(site, tracker))
        yield (
            [
                EntityFacts(
                    entity=each, role="in_scope", distance=0, first_seen=AT, last_seen=AT, said=said,
                    attributes=(SaidValue("display_name", each.value, said),),
                )
                for each in things
            ],
            [RelationFacts(type=each.type, source=each.source, target=each.target, said=said) for each in joined],
        )  # fmt: skip


class Followed(Struct, frozen=True):
    """Seconds for all batches, for the mean of the first and of the last tenth of them; how many hypotheses came."""

    whole: float
    first: float
    last: float
    found: int
    processor: float


async def follow(folder: Path) -> Followed:
    sql = SqliteSql(folder / "correlation.db")
    await sql.migrate([*MIGRATIONS, *migrations.load("services.correlation.migrations")])
    ports, spent, used = Ports("correlation", sql=sql), [], time.process_time()
    for things, joined in world():
        began = time.perf_counter()
        async with sql.begin() as tx:
            await identity.follow(ports, tx, WORKSPACE, SCAN, things, joined, ())
        spent.append(time.perf_counter() - began)
    used = time.process_time() - used
    async with sql.read() as view:
        found = len(await read_hypotheses(view, Place(WORKSPACE, SCAN)))
    await sql.close()
    tenth = max(1, len(spent) // 10)
    return Followed(sum(spent), sum(spent[:tenth]) / tenth, sum(spent[-tenth:]) / tenth, found, used)


async def measure(options: Options) -> list[Figure]:
    words = list(statements(CLAIMS))
    numbers = [judge_numbers(words) for _ in range(options.runs)]
    terms = [judge_terms(words) for _ in range(options.runs)]
    began = time.perf_counter()
    batches = list(world())
    full = resolve([each for things, _ in batches for each in things], [each for _, said in batches for each in said])
    bare = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        kept = await follow(Path(folder))
    assert kept.found == len(full), (kept.found, len(full))
    return [
        Figure(
            what="a claim judged, the number alone", value=middle(numbers), unit="µs", bar=5.0, at_most=True,
            spread=span(numbers), beside=f"{CLAIMS:,} claims",
        ),
        Figure(
            what="a claim judged, with its terms", value=middle(terms), unit="µs", spread=span(terms),
            beside=f"{EXPLAINED:,} statements",
        ),
        Figure(
            what=f"hypotheses of {ENTITIES:,} entities, kept up with", value=kept.whole, unit="s", bare=bare,
            beside=f"{kept.found:,} hypotheses, {kept.processor:.1f} s of processor time; bare: all in memory",
        ),
        Figure(
            what=f"a batch of {BATCH:,} at the end", value=kept.last, unit="s", bar=1.0, at_most=True, bare=kept.first,
            beside="bare: a batch at the beginning",
        ),
    ]  # fmt: skip


BENCH = Bench(
    "confidence",
    "a number ≤ 5 µs a claim; 1,000 new facts compared in ≤ 1 s",
    lambda options: uvloop.run(measure(options)),
)
