"""kill -9 at any instant loses nothing, and asks no source twice for what is finished.

Each seed's scan is killed once in each state that a work item, an outbox and the journal can be in. To hit one, the
process is stopped, its files are read, and it is killed when a state that is still missing is there and let go on when
not.
"""

import asyncio
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from itertools import accumulate
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from services.contracts.evidence import EvidenceRecord
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.messages import workspace_id
from tests.proof.asked import Asked, content_of, dialled_for, is_request
from tests.proof.moments import RATED, STATES, WAITING, Exchange, Moment, Window, journal, look
from tests.proof.processes import DEEP, SLOW, WAIT, Lab, Mirage, ended, excluding, started_lab, steady, stop_signal

pytestmark = pytest.mark.timeout(300)

HOSTS = 60
WORDS = 1500
SEEDS = (1, 2, 3, 4, 5)
#: A source that says once that it wants to be left alone, and for how many seconds.
LATER, PAUSE = "hackertarget", 2


class Kill(Struct, frozen=True):
    """A kill in ``state`` (any, when empty): what the lab had been asked by then, and what was in the journal."""

    state: str
    asked: Counter[Asked]
    journalled: dict[Exchange, EvidenceRecord]


class Killed(Struct, frozen=True):
    """A scan that was killed again and again and came to its end, beside one that nobody disturbed.

    ``contents``: what each exchange that was ever in its journal asked, and when, by which exchanges that share one
    answer are known. ``dialled``: names that are looked up to be dialled, too.
    """

    kills: list[Kill]
    end: Kill
    claims: list[str]
    claims_undisturbed: list[str]
    asked_undisturbed: Counter[Asked]
    contents: dict[Exchange, tuple[int, Counter[Asked]]]
    dialled: frozenset[str]


@pytest.fixture(scope="module", params=SEEDS)
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return scan_twice(request.param, tmp_path_factory.mktemp(f"seed-{request.param}"))


def scan_twice(seed: int, folder: Path) -> Killed:
    """Scan the lab of ``seed`` once undisturbed and once with kills."""
    words = folder / "words.txt"
    with started_lab(folder / "lab", "--wordlist", str(words), "--words", str(WORDS), hosts=HOSTS, seed=seed) as lab:
        how = (*DEEP, *excluding(*SLOW), *steady(lab), "--wordlist", str(words))
        lab.fault(LATER, "rate_limited", retry_after=PAUSE, times=1)
        calm = Mirage(folder / "calm", lab)
        calm.scan(*how)
        total = look(calm.folder).exchanges
        undisturbed = asked_by_now(lab)
        lab.reset()
        lab.fault(LATER, "rate_limited", retry_after=PAUSE, times=1)
        mirage = Mirage(folder / "killed", lab)
        # What a source wants to be left alone for passes, and items wait while there is much to do: these come first.
        others = [state for state in STATES if state not in (RATED, WAITING)]
        order = [RATED, WAITING, *others[seed % len(others) :], *others[: seed % len(others)]]
        kills = kill_again_and_again(mirage, lab, how, order, total, random.Random(seed))
        end = Kill("", asked_by_now(lab), read_journal(mirage.folder))
        records = {place: record for kill in (*kills, end) for place, record in kill.journalled.items()}
        return Killed(
            kills,
            end,
            mirage.canonical(),
            calm.canonical(),
            undisturbed,
            asyncio.run(contents_of(mirage.folder, records)),
            frozenset(name for record in records.values() for name in dialled_for(record)),
        )


def kill_again_and_again(
    mirage: Mirage, lab: Lab, how: tuple[str, ...], order: list[str], total: int, chance: random.Random
) -> list[Kill]:
    """Scan; kill the process in each state of ``order``, ever later, and while it takes over; let others go on.

    When something is in several states that are missing, the first of ``order`` counts; the first kill of all is in
    that one, whenever it comes.
    """
    kills: list[Kill] = []
    exchanges = 0
    missing = list(order)
    process = mirage.start(*mirage.scan_arguments(*how))
    for number in range(len(order)):
        with ended(process):
            after = max(exchanges + 10, when(number, len(order), total)) if number else 0
            moment = kill_in(process, mirage.folder, missing if number else missing[:1], after, chance)
        exchanges = moment.exchanges
        state = next(each for each in missing if each in moment.states)
        missing.remove(state)
        kills.append(note_kill(mirage, lab, state))
        process = mirage.start("scans", "watch", "last")
        if number == len(order) // 2:
            with ended(process):
                time.sleep(chance.uniform(0.1, 1.0))
                process.kill()
            kills.append(note_kill(mirage, lab, ""))
            process = mirage.start("scans", "watch", "last")
    with ended(process):
        assert process.wait(WAIT) == 0
    return kills


def when(number: int, kills: int, total: int) -> int:
    """How many exchanges are to be journalled before a kill: they spread over the first two thirds."""
    return int(total * (number + 0.3) / (kills + 2))


def note_kill(mirage: Mirage, lab: Lab, state: str) -> Kill:
    lab.quiet()
    return Kill(state, asked_by_now(lab), read_journal(mirage.folder))


def asked_by_now(lab: Lab) -> Counter[Asked]:
    return Counter({**lab.requests(), **lab.questions()})


def kill_in(
    process: "subprocess.Popen[str]", folder: Path, states: list[str], exchanges: int, chance: random.Random
) -> Moment:
    """Kill the process as soon as so many exchanges are journalled and something is in one of ``states``."""
    with closing(Window(folder)) as window:
        while True:
            assert process.poll() is None, f"it ended before anything was in {states} after {exchanges} exchanges"
            if is_it(window.look(), states, exchanges) and stop_signal(process):
                moment = window.look()
                if is_it(moment, states, exchanges):
                    process.kill()
                    process.wait()
                    return moment
                process.send_signal(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.002))


def is_it(moment: Moment, states: list[str], exchanges: int) -> bool:
    return moment.exchanges >= exchanges and not moment.states.isdisjoint(states)


def read_journal(folder: Path) -> dict[Exchange, EvidenceRecord]:
    return {place: msgspec.msgpack.decode(raw, type=EvidenceRecord) for place, raw in journal(folder).items()}


async def contents_of(
    folder: Path, records: dict[Exchange, EvidenceRecord]
) -> dict[Exchange, tuple[int, Counter[Asked]]]:
    blobs = SegmentBlobs(folder / "evidence")
    workspace = workspace_id("default")
    try:
        return {
            place: (record.at, content_of(record, await blobs.get(workspace, record.blob) if record.blob else b""))
            for place, record in records.items()
        }
    finally:
        await blobs.close()


class Life(Struct, frozen=True):
    """One process, from its start to its kill or end: what it asked without a trace, and what it could not know yet.

    ``untraced`` is what was asked and not journalled in this life; ``due``, what the journal still lacked at its end.
    """

    untraced: Counter[Asked]
    due: Counter[Asked]


def lives_of(killed: Killed) -> list[Life]:
    """The lives of a killed scan; what was journalled by the end says what had to be asked in all."""
    moments = [*killed.kills, killed.end]
    # Where a source is asked again for what it put off, the new answer takes the place of the old one.
    by_then = list(accumulate((frozenset(moment.journalled) for moment in moments), frozenset.union))
    journalled = [Counter[Asked](), *(journal_of(killed, places) for places in by_then)]
    asked = [Counter[Asked](), *(moment.asked for moment in moments)]
    return [
        Life(asked[n] - asked[n - 1] - (journalled[n] - journalled[n - 1]), journalled[-1] - journalled[n])
        for n in range(1, len(asked))
    ]


def journal_of(killed: Killed, places: Iterable[Exchange]) -> Counter[Asked]:
    """What was asked for what is journalled there; an answer that several items share was asked for once."""
    answers = {(place[1], at): asked for place in places for at, asked in (killed.contents[place],)}
    journalled: Counter[Asked] = Counter()
    for asked in answers.values():
        journalled.update(asked)
    return journalled


def test_a_killed_scan_takes_up_again_and_claims_the_same(killed: Killed) -> None:
    differing = set(killed.claims) ^ set(killed.claims_undisturbed)
    assert not differing, "\n".join(sorted(differing))
    assert killed.claims == killed.claims_undisturbed


def test_it_was_killed_in_every_state(killed: Killed) -> None:
    assert {kill.state for kill in killed.kills} >= set(STATES)
    assert len(killed.kills) * len(SEEDS) >= 30


def test_no_request_that_is_journalled_is_made_again_and_one_in_flight_once_more(killed: Killed) -> None:
    lives = lives_of(killed)
    for life in lives:
        assert not [asked for asked, count in life.untraced.items() if is_request(asked) and count > life.due[asked]]
    in_flight = sum((life.untraced for life in lives), Counter[Asked]())
    more = killed.end.asked - killed.asked_undisturbed - in_flight
    assert not [asked for asked in more if is_request(asked)]


def test_no_question_that_is_journalled_is_asked_again_and_one_in_flight_once_more(killed: Killed) -> None:
    """For each chunk that it is in; and once by each process that looks the name up to dial it."""
    for life in lives_of(killed):
        asked = {question: count for question, count in life.untraced.items() if not is_request(question)}
        assert not [each for each, count in asked.items() if count > life.due[each] + looked_up(killed, each)]


def looked_up(killed: Killed, question: Asked) -> bool:
    name, kind = question
    return name in killed.dialled and kind in {"A", "AAAA"}


def test_chunks_of_questions_were_in_flight_at_kills_or_the_count_of_them_says_nothing(killed: Killed) -> None:
    lives = lives_of(killed)[:-1]
    assert [question for life in lives for question in life.untraced if not is_request(question) and life.due[question]]
