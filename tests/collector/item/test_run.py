"""One module on one work item: what it may say and what becomes of its faults."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import pytest
import structlog

from services.collector.budget import Budget, Wait
from services.collector.context import (
    Answer,
    Blocked,
    HttpAnswer,
    Nameless,
    ParseError,
    RateLimited,
    Refused,
    Skipped,
    Truncated,
    Unauthorised,
    Unreachable,
)
from services.collector.item.exchange import MASK, Exchanges, Performed
from services.collector.item.run import (
    CLAIM_BYTES,
    CLAIMS_PER_ITEM,
    ItemContext,
    Module,
    digest_of,
    run_item,
)
from services.contracts import attributes, entities, relations
from services.contracts.claims import Absence, Attribute, Claim, Entity, Malformed, Relation
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import Corrupt, Exhausted, NotFound, Unavailable
from tests.collector.workshop import TARGET, Workshop, manifest, plan

WWW, ADDRESS = entities.hostname("www.example.org"), entities.ip_address("192.0.2.1")
RESOLVES = relations.resolves_to(WWW, ADDRESS)


async def world(shop: Workshop, *, key: str | None = None, of=None, offline: bool = False) -> ItemContext:
    """A context in which only the journal is real: a module of a test asks nobody."""
    nobody: Any = None
    exchanges = await shop.exchanges(of or manifest(), offline=offline)
    return ItemContext(
        http=nobody, dns=nobody, whois=nobody, tls=nobody, tcp=nobody, scope=plan().scope, at=1, options={},
        wordlist=lambda: iter(()), key=lambda: key, exchanges=exchanges,
    )  # fmt: skip


async def asked(exchanges: Exchanges, request: str, body: bytes = b"body") -> HttpAnswer:
    async def perform() -> Performed:
        return Performed(at=1, status="200", body=body)

    record, got = await exchanges.make("http", request, perform)
    return HttpAnswer(at=1, records=(record.id,), url=request, status=200, headers=(), body=got)


def module(collect: Callable[..., Any], parse: Callable[..., Iterable[Claim]], **fields: Any) -> Module:
    return Module(manifest(**fields), collect, parse)


def saying(*claims: Claim, **fields: Any) -> Module:
    """A module that asks once and claims this."""

    async def collect(seen, ctx):
        yield await asked(ctx.exchanges, "GET /")

    return module(collect, lambda answer, seen: iter(claims), **fields)


def raising(error: BaseException) -> Module:
    """A module that claims a host from its first answer and fails at its second."""

    async def collect(seen, ctx):
        yield await asked(ctx.exchanges, "GET /")
        raise error

    return module(collect, lambda answer, seen: iter([WWW]))


# What it says


async def test_claims_are_stamped_with_the_evidence_they_were_read_from(shop: Workshop) -> None:
    async def collect(seen, ctx):
        yield await asked(ctx.exchanges, "GET /one", b"one")
        yield await asked(ctx.exchanges, "GET /two", b"two")

    def parse(answer, seen):
        yield WWW if answer.body == b"one" else RESOLVES

    context = await world(shop)
    result = await run_item(module(collect, parse), TARGET, context)
    records = {record.id: record.request for record in result.records.values()}
    assert [(claim, [records[each] for each in ids]) for claim, ids in result.said] == [
        (WWW, ["GET /one"]),
        (RESOLVES, ["GET /two"]),
    ]
    assert (result.outcome, result.reason, result.requests) == ("found", "", 2)


async def test_what_is_said_twice_is_said_once_with_its_first_evidence(shop: Workshop) -> None:
    async def collect(seen, ctx):
        for number in range(3):
            yield await asked(ctx.exchanges, f"GET /{number}")

    result = await run_item(module(collect, lambda answer, seen: [WWW, WWW]), TARGET, await world(shop))
    ((claim, (record,)),) = result.said
    assert (claim, result.records[record].request) == (WWW, "GET /0")


async def test_nothing_found_is_empty_and_not_a_failure(shop: Workshop) -> None:
    result = await run_item(saying(), TARGET, await world(shop))
    assert (result.outcome, result.reason, result.said) == ("empty", "", ())
    assert len(result.records) == 1


OUTSIDE: list[Claim] = [
    entities.email_address("a@example.org"),
    relations.alias_of(WWW, entities.hostname("a.example.org")),
    attributes.attribute(entities.asn(64500), "description", "Example"),
    Absence(entities.asn(64500), "description"),
]


@pytest.mark.parametrize("claim", OUTSIDE, ids=lambda claim: type(claim).__name__)
async def test_a_claim_outside_the_manifest_fails_the_item_and_keeps_what_came_before(
    shop: Workshop, claim: Claim
) -> None:
    result = await run_item(saying(WWW, claim, ADDRESS), TARGET, await world(shop))
    assert result.outcome == "failed"
    assert "does not announce" in result.reason
    assert [said for said, _ in result.said] == [WWW]


UNKNOWN: list[Claim] = [
    Attribute(WWW, "no_such_attribute", "x"),
    Attribute(WWW, "line_type", "mobile"),
    Attribute(WWW, "covered_by_wildcard", "yes"),
    Attribute(WWW, "covered_by_wildcard", 1),
    Relation("resolves_to", ADDRESS, WWW),
    Entity("no_such_type", ("x",)),
    Relation("no_such_relation", WWW, ADDRESS),
]


@pytest.mark.parametrize("claim", UNKNOWN, ids=lambda claim: repr(claim)[:60])
async def test_what_is_not_in_the_vocabulary_fails_the_item(shop: Workshop, claim: Claim) -> None:
    produces = ("hostname", "ip_address", "resolves_to", "no_such_type", "no_such_relation", "phone_number")
    result = await run_item(saying(WWW, claim, produces=produces), TARGET, await world(shop))
    assert result.outcome == "failed"
    assert result.reason.startswith("OutsideVocabulary")
    assert [said for said, _ in result.said] == [WWW]


async def test_an_attribute_of_what_it_was_asked_about_need_not_be_announced(shop: Workshop) -> None:
    claims = (attributes.attribute(WWW, "covered_by_wildcard", True), Absence(TARGET, "resolves_to"))
    result = await run_item(saying(*claims, produces=("ip_address",)), TARGET, await world(shop))
    assert (result.outcome, len(result.said)) == ("found", 2)


async def test_a_claim_without_measure_fails_the_item(shop: Workshop) -> None:
    huge = Entity("hostname", ("a" * CLAIM_BYTES,))
    result = await run_item(saying(WWW, huge), TARGET, await world(shop))
    assert (result.outcome, len(result.said)) == ("failed", 1)


async def test_claims_without_end_are_cut_off(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.item.run.CLAIMS_PER_ITEM", 1000)

    def parse(answer, seen) -> Iterator[Claim]:
        number = 0
        while True:
            yield entities.hostname(f"n{number}.example.org")
            number += 1

    async def collect(seen, ctx):
        yield Answer(at=1)

    result = await run_item(module(collect, parse), TARGET, await world(shop))
    assert (result.outcome, len(result.said)) == ("failed", 1000)
    assert CLAIMS_PER_ITEM == 100_000


async def test_a_large_body_is_parsed_off_the_event_loop_to_the_same_end(shop: Workshop) -> None:
    import threading

    threads: list[str] = []

    def parse(answer, seen):
        threads.append(threading.current_thread().name)
        yield WWW

    async def collect(seen, ctx):
        yield await asked(ctx.exchanges, "GET /", b"x" * 600_000)
        yield await asked(ctx.exchanges, "GET /small")

    result = await run_item(module(collect, parse), TARGET, await world(shop))
    assert (result.outcome, len(result.said)) == ("found", 1)
    assert threads[0] != threads[1] == threading.main_thread().name


# What becomes of its failures


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RateLimited("slowly"), "rate_limited"),
        (Blocked("no"), "blocked"),
        (Unauthorised("no key"), "unauthorised"),
        (Skipped("out of scope"), "skipped"),
        (Truncated("more than 10,000 rows"), "truncated"),
        (Unreachable("gone"), "unreachable"),
        (Refused("refused"), "unreachable"),
        (Nameless("no address"), "unreachable"),
        (TimeoutError(), "unreachable"),
        (ParseError("no JSON"), "failed"),
        (Malformed("no name"), "failed"),
        (KeyError("x"), "failed"),
        (RecursionError("deep"), "failed"),
        (ExceptionGroup("several", [ValueError("x")]), "failed"),
        (NotFound("no blob"), "failed"),
        (Corrupt("bad blob"), "failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
async def test_every_failure_has_its_outcome_and_what_was_found_before_is_kept(
    shop: Workshop, error: Exception, outcome: str
) -> None:
    result = await run_item(raising(error), TARGET, await world(shop))
    assert result.outcome == outcome
    assert result.reason
    assert [said for said, _ in result.said] == [WWW]
    assert len(result.records) == 1


@pytest.mark.parametrize("error", [Wait(5.0), Unavailable("scans is away"), Exhausted("the disk is full")])
async def test_what_passes_by_itself_is_no_fault_of_the_item(shop: Workshop, error: Exception) -> None:
    with pytest.raises(type(error)):
        await run_item(raising(error), TARGET, await world(shop))


async def test_a_module_that_is_cancelled_is_cancelled(shop: Workshop) -> None:
    with pytest.raises(asyncio.CancelledError):
        await run_item(raising(asyncio.CancelledError()), TARGET, await world(shop))


async def test_a_source_says_when_it_may_be_asked_again(shop: Workshop) -> None:
    assert (await run_item(raising(RateLimited("slowly", 7.5)), TARGET, await world(shop))).retry_after == 7.5


async def test_a_module_without_end_is_stopped_and_what_it_found_is_kept(shop: Workshop) -> None:
    closed: list[bool] = []

    async def collect(seen, ctx):
        try:
            yield Answer(at=1)
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    endless = module(collect, lambda answer, seen: [WWW], timeout=0.5)
    result = await run_item(endless, TARGET, await world(shop))
    assert (result.outcome, result.reason) == ("unreachable", "took longer than 0.5 s")
    assert [said for said, _ in result.said] == [WWW]
    assert closed == [True]


async def test_what_a_module_holds_is_closed_when_it_fails(shop: Workshop) -> None:
    closed: list[bool] = []

    async def collect(seen, ctx):
        try:
            yield Answer(at=1)
        finally:
            closed.append(True)

    def parse(answer, seen):
        raise ParseError("no JSON")

    assert (await run_item(module(collect, parse), TARGET, await world(shop))).outcome == "failed"
    assert closed == [True]


BROKEN = [
    lambda seen, ctx: None,
    lambda seen, ctx: [Answer(at=1)],
    lambda seen, ctx: 1 / 0,
]


@pytest.mark.parametrize("collect", BROKEN)
async def test_what_is_no_module_at_all_fails_its_item(shop: Workshop, collect) -> None:
    assert (await run_item(module(collect, lambda answer, seen: []), TARGET, await world(shop))).outcome == "failed"


@pytest.mark.parametrize("claims", [None, 5, [None], ["www.example.org"], [("entity", "x")]])
async def test_what_is_no_claim_fails_its_item(shop: Workshop, claims) -> None:
    async def collect(seen, ctx):
        yield Answer(at=1)

    assert (await run_item(module(collect, lambda answer, seen: claims), TARGET, await world(shop))).outcome == "failed"


async def test_no_reason_tells_a_secret_or_is_longer_or_odder_than_a_message_may_carry(shop: Workshop) -> None:
    async def collect(seen, ctx):
        key = ctx.key()
        yield Answer(at=1)
        raise ValueError(f"{key} \ud800 {'x' * 10_000}")

    with structlog.testing.capture_logs() as logs:
        result = await run_item(module(collect, lambda answer, seen: []), TARGET, await world(shop, key="s3cr3t-k3y"))
    assert MASK in result.reason
    assert len(result.reason) <= 500
    result.reason.encode()
    assert logs
    assert "s3cr3t" not in repr(logs) + result.reason


def test_the_digest_of_claims_knows_no_order_and_no_evidence() -> None:
    www, address, resolves = map(msgspec.json.encode, (WWW, ADDRESS, RESOLVES))
    assert digest_of([www, address, resolves]) == digest_of([resolves, www, address])
    assert digest_of([www]) != digest_of([www, address])


# What a module reads of how often it may ask


async def test_a_source_rests_for_as_long_as_its_module_read_in_an_answer(shop: Workshop) -> None:
    often = manifest(rate=100.0, burst=100)
    result = await run_item(raising(RateLimited("none left", 50.0)), TARGET, await world(shop, of=often))
    assert (result.outcome, result.retry_after) == ("rate_limited", 50.0)
    assert await shop.budget.take(shop.budget.account(often)) == pytest.approx(50, abs=5)


@pytest.mark.parametrize("offline", [False, True])
async def test_what_a_source_said_once_pauses_nobody_when_it_is_read_again(shop: Workshop, offline: bool) -> None:
    often = manifest(rate=100.0, burst=100)

    async def refused(seen, ctx):
        async def perform() -> Performed:
            return Performed(at=1, failure=RateLimited("status 429", 50.0))

        yield await ctx.exchanges.make("http", "GET /", perform)

    for again in (False, True):
        shop.budget = Budget(MemoryCache(), shop.sql)
        context = await world(shop, of=often, offline=offline and again)
        result = await run_item(module(refused, lambda answer, seen: iter(())), TARGET, context)
        assert (result.outcome, result.retry_after) == ("rate_limited", 50.0)
        assert await shop.budget.take(shop.budget.account(often)) == (0 if again else pytest.approx(50, abs=5))


async def test_a_limit_that_a_module_read_pauses_whom_it_asked_and_nobody_when_it_is_replayed(shop: Workshop) -> None:
    directory = manifest(rate=100.0, burst=100, hosts=("*",))

    async def collect(seen, ctx):
        async def perform() -> Performed:
            return Performed(at=1, status="200", body=b"none left")

        yield await ctx.exchanges.make("http", "GET /", perform, host="rdap.one.example")
        raise RateLimited("none left", 50.0)

    for offline in (False, True):
        shop.budget = Budget(MemoryCache(), shop.sql)
        context = await world(shop, of=directory, offline=offline)
        result = await run_item(module(collect, lambda *_: iter(())), TARGET, context)
        assert (result.outcome, result.retry_after) == ("rate_limited", 50.0)
        hosts = ("rdap.one.example", "rdap.two.example", "")
        paused = [await shop.budget.take(shop.budget.account(directory, host)) for host in hosts]
        assert paused == [0 if offline else pytest.approx(50, abs=5), 0, 0]
