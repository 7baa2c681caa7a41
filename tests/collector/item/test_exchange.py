"""Exchanges: made once, kept first, counted within a turn; what a module gets is what the journal has."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.collector.budget import BREAKS_AFTER, Wait
from services.collector.context import (
    Blocked,
    Nameless,
    RateLimited,
    Refused,
    Skipped,
    SourceError,
    Unauthorised,
    Unreachable,
)
from services.collector.item.exchange import MASK, Exchanges, Performed, describe, recall
from services.contracts.evidence import record_digest
from services.kernel.errors import Exhausted, NotFound
from tests.collector.workshop import WORKSPACE, Workshop, manifest

SOURCE = manifest()
FAILURES: list[SourceError] = [
    Nameless("no address"),
    Refused("port 80 refused"),
    Unreachable("took too long: 5 s"),
    Blocked("status 403"),
    Unauthorised("status 401"),
    Skipped("out of scope"),
    RateLimited("status 429"),
    RateLimited("status 429: slowly", 7.5),
]


class World:
    """Answers requests one after the other with what it was given, and counts."""

    def __init__(self, *answers: Performed) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def perform(self) -> Performed:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answers.pop(0)


def answer(body: bytes = b"body", **fields: object) -> Performed:
    return Performed(**{"at": 1, "status": "200", "head": "HTTP/1.1 200 OK", "body": body, **fields})  # type: ignore[arg-type]


def failure(of: SourceError) -> Performed:
    return Performed(at=1, failure=of)


async def ask(exchanges: Exchanges, world: World, request: str = "GET /") -> bytes:
    return (await exchanges.make("http", request, world.perform))[1]


# Once


async def test_a_request_that_was_answered_is_never_made_again(shop: Workshop) -> None:
    world = World(answer())
    assert await ask(await shop.exchanges(SOURCE), world) == b"body"
    for turn in (0, 1, 5):
        assert await ask(await shop.exchanges(SOURCE, turn=turn), world) == b"body"
    assert world.asked == 1


async def test_another_item_asks_for_itself(shop: Workshop) -> None:
    world = World(answer(b"one"), answer(b"two"))
    assert await ask(await shop.exchanges(SOURCE), world) == b"one"
    assert await ask(await shop.exchanges(SOURCE, 2), world) == b"two"


async def test_what_differs_in_protocol_request_or_payload_is_another_request(shop: Workshop) -> None:
    exchanges = await shop.exchanges(SOURCE)
    forms = [("http", "GET /", b""), ("http", "GET /x", b""), ("dns", "GET /", b""), ("http", "GET /", b"x")]
    world = World(*(answer(str(number).encode()) for number in range(4)))
    live = [(await exchanges.make(protocol, name, world.perform, payload))[1] for protocol, name, payload in forms]
    again = await shop.exchanges(SOURCE, offline=True)
    recalled = [(await again.make(protocol, name, world.perform, payload))[1] for protocol, name, payload in forms]
    assert live == recalled == [b"0", b"1", b"2", b"3"]


async def test_the_same_request_made_again_in_an_item_is_told_apart_by_its_ordinal(shop: Workshop) -> None:
    world = World(answer(b"first"), answer(b"second"), answer(b"third"))
    exchanges = await shop.exchanges(SOURCE)
    assert [await ask(exchanges, world) for _ in range(2)] == [b"first", b"second"]
    again = await shop.exchanges(SOURCE)
    assert [await ask(again, world) for _ in range(3)] == [b"first", b"second", b"third"]
    assert world.asked == 3


@pytest.mark.parametrize("failed", FAILURES, ids=lambda failed: f"{type(failed).__name__}")
async def test_a_failure_counts_within_its_turn_and_not_in_the_next(shop: Workshop, failed: SourceError) -> None:
    world = World(failure(failed), answer(b"at last"))
    for _ in range(3):
        with pytest.raises(type(failed)) as raised:
            await ask(await shop.exchanges(SOURCE), world)
        assert (type(raised.value), str(raised.value)) == (type(failed), str(failed))
        assert getattr(raised.value, "after", None) == getattr(failed, "after", None)
    assert world.asked == 1
    assert await ask(await shop.exchanges(SOURCE, turn=1), world) == b"at last"
    assert await ask(await shop.exchanges(SOURCE, turn=0), world) == b"at last"
    assert world.asked == 2


@pytest.mark.parametrize("status", ["401", "403", "429", "500", "503"])
async def test_an_answer_that_refuses_counts_within_its_turn_and_not_in_the_next(shop: Workshop, status: str) -> None:
    world = World(answer(b"not now", status=status), answer(b"at last"))
    for _ in range(3):
        assert await ask(await shop.exchanges(SOURCE), world) == b"not now"
    assert world.asked == 1
    assert await ask(await shop.exchanges(SOURCE, turn=1), world) == b"at last"
    assert [(record.status, turn) for turn, record in (await shop.recorded()).values()] == [("200", 1)]
    for turn in (0, 1, 2):
        assert await ask(await shop.exchanges(SOURCE, turn=turn), world) == b"at last"
    assert await ask(await shop.exchanges(SOURCE, turn=1, offline=True), world) == b"at last"
    assert world.asked == 2


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ("2 timeout", 2),
        ("1 servfail", 2),
        ("1 nodata, 1 timeout", 2),
        ("1 found, 1 timeout", 1),
        ("2 nxdomain", 1),
        ("1 nodata, 1 nxdomain", 1),
        ("", 1),
    ],
)
async def test_questions_that_nobody_answered_are_asked_in_the_next_turn(
    shop: Workshop, status: str, asked: int
) -> None:
    world = World(answer(b"first", status=status), answer(b"second", status="2 nodata"))
    for turn in (0, 0, 1, 1):
        exchanges = await shop.exchanges(SOURCE, turn=turn)
        await exchanges.make("dns", "A,AAAA www.example.org", world.perform)
    assert world.asked == asked


@pytest.mark.parametrize("status", ["204", "301", "400", "404", "410"])
async def test_an_answer_that_says_no_is_an_answer(shop: Workshop, status: str) -> None:
    world = World(answer(b"no such thing", status=status))
    for turn in (0, 1):
        assert await ask(await shop.exchanges(SOURCE, turn=turn), world) == b"no such thing"
    assert world.asked == 1


async def test_an_answer_is_not_given_up_for_a_later_failure(shop: Workshop) -> None:
    await ask(await shop.exchanges(SOURCE), World(answer(b"kept")))
    late = Exchanges(
        shop.journal, shop.budget, SOURCE, (await shop.exchanges(SOURCE, turn=3))._owner, {}, offline=False
    )
    world = World(failure(Unreachable("it hung up")))
    assert await ask(late, world) == b"kept"
    assert [record.error for record in await shop.records()] == [""]


# First written


async def test_of_two_attempts_at_once_the_first_written_counts_for_both(shop: Workshop) -> None:
    attempts = [await shop.exchanges(SOURCE) for _ in range(5)]
    worlds = [World(answer(str(number).encode(), at=number)) for number in range(5)]
    bodies = await asyncio.gather(*(ask(each, world) for each, world in zip(attempts, worlds, strict=True)))
    (record,) = await shop.records()
    assert len(set(bodies)) == 1
    assert {identity for each in attempts for identity in each.records} == {record.id}
    assert await shop.blobs.get(WORKSPACE, record.blob) == bodies[0]


async def test_a_second_attempt_takes_the_answer_that_was_written_meanwhile(shop: Workshop) -> None:
    first, second = await shop.exchanges(SOURCE), await shop.exchanges(SOURCE)
    assert await ask(first, World(answer(b"first"))) == b"first"
    for late in (answer(b"second", at=2), failure(Unreachable("it hung up"))):
        second._ordinals.clear()
        assert await ask(second, World(late)) == b"first"
    assert list(second.records) == list(first.records)


async def test_a_second_attempt_fails_as_the_first_one_did(shop: Workshop) -> None:
    first, second = await shop.exchanges(SOURCE), await shop.exchanges(SOURCE)
    with pytest.raises(Blocked):
        await ask(first, World(failure(Blocked("status 403"))))
    with pytest.raises(Blocked):
        await ask(second, World(answer(b"second")))


# Evidence before use


async def test_nobody_sees_an_answer_before_it_is_on_disk(shop: Workshop) -> None:
    seen: list[int] = []
    begin = shop.sql.begin

    class Watched:
        def __init__(self) -> None:
            self.block = begin()

        async def __aenter__(self):
            return await self.block.__aenter__()

        async def __aexit__(self, *error):
            seen.append(len(done))
            return await self.block.__aexit__(*error)

    done: list[bytes] = []
    shop.sql.begin = Watched  # type: ignore[method-assign]
    for number in range(3):
        done.append(await ask(await shop.exchanges(SOURCE, number), World(answer())))
        (record,) = await shop.records(number)
        assert record_digest(record) == record.id
        assert await shop.blobs.get(WORKSPACE, record.blob) == b"body"
    assert seen == [0, 1, 2]


async def test_an_answer_that_cannot_be_kept_is_not_used(shop: Workshop) -> None:
    async def full(*_: object) -> None:
        raise Exhausted("the disk is full")

    shop.blobs.put = full  # type: ignore[method-assign]
    with pytest.raises(Exhausted):
        await ask(await shop.exchanges(SOURCE), World(answer()))
    assert not await shop.records()


async def test_the_record_says_what_was_asked_and_answered(shop: Workshop) -> None:
    exchanges = await shop.exchanges(SOURCE)
    performed = answer(peer="192.0.2.1:80", elapsed=5, tls_error="expired", truncated=True, egress="proxy")
    record, _ = await exchanges.make("http", "GET /", World(performed).perform)
    assert (record.protocol, record.request, record.at, record.elapsed) == ("http", "GET /", 1, 5)
    assert (record.peer, record.status, record.head) == ("192.0.2.1:80", "200", "HTTP/1.1 200 OK")
    assert (record.size, record.tls_error, record.truncated, record.egress) == (4, "expired", True, "proxy")
    assert exchanges.records == {record.id: record}
    assert exchanges.made == 1


# Replay


async def test_offline_nothing_is_asked_and_everything_recorded_is_there(shop: Workshop) -> None:
    live = await shop.exchanges(SOURCE)
    await ask(live, World(answer()), "GET /a")
    with pytest.raises(Nameless):
        await ask(live, World(failure(Nameless("no address"))), "GET /b")
    world = World()
    offline = await shop.exchanges(SOURCE, offline=True)
    assert await ask(offline, world, "GET /a") == b"body"
    with pytest.raises(Nameless, match="no address"):
        await ask(offline, world, "GET /b")
    with pytest.raises(Skipped, match="not recorded"):
        await ask(offline, world, "GET /c")
    assert world.asked == 0
    assert offline.records == live.records


async def test_a_body_that_is_gone_is_no_empty_one(shop: Workshop) -> None:
    await ask(await shop.exchanges(SOURCE), World(answer()))
    (record,) = await shop.records()
    await shop.blobs.drop(WORKSPACE, [record.blob])
    with pytest.raises(NotFound):
        await ask(await shop.exchanges(SOURCE, offline=True), World())


# Budget


async def test_a_recorded_answer_costs_nothing(shop: Workshop) -> None:
    rare = manifest(rate=0.1)
    assert await ask(await shop.exchanges(rare), World(answer())) == b"body"
    exchanges = await shop.exchanges(rare)
    assert await ask(exchanges, World()) == b"body"
    with pytest.raises(Wait):
        await ask(exchanges, World(answer()), "GET /other")
    assert exchanges.made == 0


async def test_a_source_that_says_later_is_left_alone(shop: Workshop) -> None:
    often = manifest(rate=100.0, burst=100)
    with pytest.raises(RateLimited):
        await ask(await shop.exchanges(often), World(failure(RateLimited("status 429", 50.0))))
    with pytest.raises(Wait) as waiting:
        await ask(await shop.exchanges(often, 2), World(answer()))
    assert 45 < waiting.value.seconds <= 50


async def test_a_source_that_says_much_later_is_not_waited_for(shop: Workshop) -> None:
    often, world = manifest(rate=100.0, burst=100), World(answer())
    with pytest.raises(RateLimited):
        await ask(await shop.exchanges(often), World(failure(RateLimited("status 429", 7200.0))))
    exchanges = await shop.exchanges(often, 2)
    with pytest.raises(RateLimited, match="left alone") as limited:
        await ask(exchanges, world)
    assert limited.value.after == pytest.approx(3600, abs=5)
    assert (exchanges.made, world.asked) == (0, 0)


async def test_a_source_that_gives_one_a_minute_is_not_waited_for_when_it_has_no_more_at_once(shop: Workshop) -> None:
    slow, world = manifest(rate=1 / 60, burst=20), World(answer())
    for number in range(20):
        await ask(await shop.exchanges(slow, number), World(answer()))
    exchanges = await shop.exchanges(slow, 20)
    with pytest.raises(RateLimited, match="20 at once and then one in 60 s") as limited:
        await ask(exchanges, world)
    assert limited.value.after == pytest.approx(1200, abs=5), "then there are as many again"
    assert (exchanges.made, world.asked) == (0, 0)


@pytest.mark.parametrize(
    ("performed", "breaks"),
    [
        (failure(Unreachable("took too long")), True),
        (Performed(at=1, status="503", failure=Unreachable("status 503")), True),
        (Performed(at=1, status="400", failure=Unreachable("unexpected status 400")), False),
        (Performed(at=1, status="403", failure=Blocked("status 403")), False),
        (failure(Skipped("private address")), False),
    ],
)
async def test_a_source_that_is_away_is_left_alone_and_one_that_refuses_is_not(
    shop: Workshop, performed: Performed, breaks: bool
) -> None:
    for number in range(5):
        with pytest.raises(SourceError):
            await ask(await shop.exchanges(SOURCE, number), World(performed))
    world = World(answer())
    if breaks:
        with pytest.raises(Unreachable, match="left alone"):
            await ask(await shop.exchanges(SOURCE, 9), world)
    else:
        await ask(await shop.exchanges(SOURCE, 9), world)
    assert world.asked == (0 if breaks else 1)


async def test_an_answer_between_failures_makes_them_no_row(shop: Workshop) -> None:
    for number in range(12):
        performed = answer() if number % 4 == 3 else failure(Unreachable("took too long"))
        await asyncio.gather(ask(await shop.exchanges(SOURCE, number), World(performed)), return_exceptions=True)
    assert not await shop.budget.broken(shop.budget.account(SOURCE))


# Secrets


async def test_a_secret_is_masked_in_whatever_is_written_and_returned(shop: Workshop) -> None:
    exchanges = await shop.exchanges(SOURCE)
    exchanges.conceal("s3cr3t key")
    performed = answer(b"you said s3cr3t key, s3cr3t+key or s3cr3t%20key", head="X: s3cr3t key")
    record, body = await exchanges.make("http", "GET /?key=s3cr3t%20key", World(performed).perform)
    assert b"s3cr3t" not in body
    assert body.count(MASK.encode()) == 3
    assert "s3cr3t" not in repr(record)
    with pytest.raises(Unreachable) as raised:
        await ask(exchanges, World(failure(Unreachable("no way to s3cr3t key"))), "GET /b")
    assert str(raised.value) == f"no way to {MASK}"


async def test_why_a_source_is_left_alone_tells_no_secret(shop: Workshop) -> None:
    for number in range(BREAKS_AFTER):
        exchanges = await shop.exchanges(SOURCE, number)
        exchanges.conceal("s3cr3t")
        with pytest.raises(Unreachable):
            await ask(exchanges, World(failure(Unreachable("no way to s3cr3t"))))
    broken = await shop.budget.broken(shop.budget.account(SOURCE))
    assert broken is not None
    assert broken.endswith(f"no way to {MASK}")


async def test_a_secret_within_another_is_masked_as_well(shop: Workshop) -> None:
    exchanges = await shop.exchanges(SOURCE)
    exchanges.conceal("abc")
    exchanges.conceal("Bearer abc-def")
    assert exchanges.mask("Bearer abc-def, abc-def") == f"{MASK}, {MASK}-def"


# Words


@given(st.sampled_from(FAILURES), st.text(max_size=40), st.none() | st.floats(0, 86_400))
def test_a_failure_is_recalled_as_it_was_described(of: SourceError, reason: str, after: float | None) -> None:
    failed = RateLimited(reason, after) if isinstance(of, RateLimited) else type(of)(reason)
    found = recall(describe(failed))
    assert (type(found), str(found)) == (type(failed), reason)
    if isinstance(found, RateLimited):
        assert found.after == (None if after is None else pytest.approx(after, rel=1e-5))


@given(st.text(max_size=40))
@example("rate_limited soon: x")
def test_whatever_a_record_has_for_an_error_is_some_failure(text: str) -> None:
    assert isinstance(recall(text), SourceError)
