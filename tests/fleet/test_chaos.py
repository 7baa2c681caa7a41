"""Whatever goes wrong in a fleet, a scan ends by itself, claims the same, and asks no source again without need."""

import asyncio
import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from lab.journal import HttpRequest
from services.contracts.evidence import EvidenceRecord
from tests.fleet.conftest import Undisturbed
from tests.fleet.faults import MEASURED, Done, Faults
from tests.fleet.running import SCANNING, Fleet, eventually
from tests.proof.asked import Asked, content_of
from tests.proof.processes import Lab, ended

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1200)]

#: Which order the faults come in; each kind once a round.
SEED, ROUNDS = 1, 2
#: Seconds that web hosts take to answer, so that there is work in flight all the time.
SLOWLY = 4.0
#: What loses answers that were given and not journalled yet, and for how many seconds a request may be on its way.
LOSING = frozenset({"kill a service", "restart PostgreSQL", "drain the node"})
UNDER_WAY = 2 * SLOWLY
#: Seconds after it for which the database may still be away.
BACK = 10.0
#: Seconds by which two processes may see the same thing apart.
CLOCK = 0.1


#: From when to when, in seconds since 1970.
Span = tuple[float, float]


class Disturbed(Struct, frozen=True):
    """A scan during which everything went wrong: what did, what it claims, what was asked when, what is journalled."""

    log: Sequence[Done]
    state: str
    claims: Sequence[str]
    asked: Mapping[Asked, Sequence[float]]
    journalled: Mapping[Asked, Sequence[Span]]
    questions: Counter[Asked]


@pytest.fixture(scope="module")
def disturbed(fleet: Fleet, lab: Lab, how: tuple[str, ...], undisturbed: Undisturbed) -> Disturbed:
    lab.reset()
    for host in lab.truth()["names"]:
        lab.fault(host["name"], "slow", seconds=SLOWLY)
    began = time.time()
    try:
        with ended(fleet.start("scan", lab.target, "--quiet", *how)) as process:
            log = asyncio.run(disturb(fleet, process))
            assert process.poll() is None, f"the scan ended during the faults: {log[-1]}"
            assert process.wait(SCANNING) == 0, fleet.said("scan").read_text()
    finally:
        lab.heal()
    asyncio.run(eventually(fleet.well))
    lab.quiet()
    return Disturbed(
        log,
        fleet.last()["state"],
        fleet.canonical(),
        requests_since(lab, began),
        asyncio.run(journalled(fleet, fleet.last()["id"])),
        Counter({**lab.questions()}),
    )


async def disturb(fleet: Fleet, process: "subprocess.Popen[str]") -> Sequence[Done]:
    faults = Faults(fleet, random.Random(SEED))
    await faults.run(lambda: process.poll() is None, ROUNDS)
    return faults.done


def requests_since(lab: Lab, began: float) -> dict[Asked, list[float]]:
    """When each HTTP and WHOIS request reached the lab."""
    asked: dict[Asked, list[float]] = defaultdict(list)
    for line in (lab.folder / "log/web.jsonl").read_bytes().splitlines():
        request = msgspec.json.decode(line, type=HttpRequest)
        if request.at >= began:
            asked[request.host, request.method, request.target].append(request.at)
    return asked


async def journalled(fleet: Fleet, scan: str) -> dict[Asked, list[Span]]:
    """When each request was made whose answer the collectors' journal has; one that items share was made once."""
    connection = await asyncpg.connect(fleet.setting("collector", "sql"))
    try:
        rows = await connection.fetch("SELECT key, record FROM exchange WHERE scan = $1", UUID(scan).bytes)
    finally:
        await connection.close()
    records = [(row["key"], msgspec.msgpack.decode(row["record"], type=EvidenceRecord)) for row in rows]
    kept: dict[Asked, list[Span]] = defaultdict(list)
    for (_, at), record in {(key, record.at): record for key, record in records}.items():
        # Of an HTTP request it says when the answer was there, of others when they were made.
        began = at - record.elapsed if record.protocol == "http" else at
        for asked in content_of(record, b""):
            kept[asked].append((began / 1e6, (began + record.elapsed) / 1e6))
    return kept


def untraced(disturbed: Disturbed) -> Iterator[tuple[Asked, float]]:
    """Requests that were made and are not what the journal has an answer to."""
    for asked, times in disturbed.asked.items():
        left = sorted(times)
        for start, end in sorted(disturbed.journalled.get(asked, ())):
            if met := [each for each in left if start - CLOCK <= each <= end + CLOCK]:
                left.remove(met[0])
        yield from ((asked, at) for at in left)


def lost_at(done: Done, at: float) -> bool:
    """Whether a request that arrived then may have been in flight when something that loses answers was done."""
    return done.kind in LOSING and done.began - UNDER_WAY <= at <= done.ended + BACK


def told(disturbed: Disturbed, asked: Asked, at: float) -> str:
    """A request, and what was seen around it, in seconds from when it arrived."""
    times = [f"{each - at:+.3f}" for each in sorted(disturbed.asked[asked])]
    spans = [f"{start - at:+.3f} to {end - at:+.3f}" for start, end in sorted(disturbed.journalled.get(asked, ()))]
    faults = [f"{done.kind} {done.began - at:+.3f} to {done.ended - at:+.3f}" for done in disturbed.log]
    return f"{asked} arrived at {times}, is journalled from {spans}, while: {faults}"


def test_every_kind_of_fault_was_done_twice_while_the_scan_went_on(disturbed: Disturbed) -> None:
    counts = Counter(done.kind for done in disturbed.log)
    assert len(counts) == 8
    assert min(counts.values()) >= 2, counts


def test_health_said_so_while_a_thing_was_away(disturbed: Disturbed) -> None:
    """The second fault of a kind is not over before it does: see `Faults`."""
    assert {done.kind for done in disturbed.log if done.said} == {done.kind for done in disturbed.log}


def test_the_scan_ends_by_itself_and_claims_what_the_undisturbed_one_does(
    disturbed: Disturbed, undisturbed: Undisturbed
) -> None:
    assert disturbed.state == "finished"
    differing = set(disturbed.claims) ^ set(undisturbed.claims)
    assert not differing, "\n".join(sorted(differing))
    assert disturbed.claims == undisturbed.claims


def test_only_requests_in_flight_are_made_again_and_once_for_each_time_that_they_were(disturbed: Disturbed) -> None:
    lost = Counter(asked for asked, _ in untraced(disturbed))
    MEASURED.info(f"{lost.total()} of {sum(map(len, disturbed.asked.values()))} requests were in flight at a fault")
    unexplained = [each for each in untraced(disturbed) if not any(lost_at(done, each[1]) for done in disturbed.log)]
    assert not unexplained, "\n".join(told(disturbed, *each) for each in unexplained)
    for asked, count in lost.items():
        times = disturbed.asked[asked]
        assert count <= sum(any(lost_at(done, at) for at in times) for done in disturbed.log), (asked, count)


def test_no_question_is_asked_more_often_than_collectors_were_ended(
    disturbed: Disturbed, undisturbed: Undisturbed
) -> None:
    """For each chunk of questions that one is in; and each process looks names up by itself to dial them."""
    losses = sum(done.kind in LOSING for done in disturbed.log)
    more = disturbed.questions - undisturbed.questions
    MEASURED.info(f"{more.total()} questions of {disturbed.questions.total()} more than undisturbed")
    assert not {question: count for question, count in more.items() if count > 2 * losses}
