"""urlscan.io keeps the pages that its users had it visit. It is asked for a domain, an address, a network or a system
and lists visits with host, address and URL, newest first; it learns what was asked.
"""

from collections.abc import AsyncIterator, Iterator

import msgspec

from services.collector.archetypes.documents import fitting, refuse_pages, secret
from services.collector.archetypes.names import MAX_NAMES
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import pages_below
from services.collector.context import Answer, Context, HttpAnswer, ParseError, RateLimited, Truncated
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="urlscan",
    version=2,
    title="urlscan.io",
    activity="passive",
    source="https://urlscan.io/",
    format="https://docs.urlscan.io/apis/urlscan-openapi/search",
    consumes=("domain", "ip_address", "netblock", "asn"),
    produces=("domain", "hostname", "ip_address", "url", "resolves_to"),
    hosts=("urlscan.io",),
    options={"pages": 5},
    key="urlscan",
    affiliates=False,
    rate=0.5,
    burst=30,
    cost=2.0,
    freshness=86_400,
    timeout=300.0,
    licence="urlscan.io terms of service, public scans",
    key_adds="no other answers, but the account's searches a day instead of those for all who ask from this address",
)

SEARCH = "https://urlscan.io/api/v1/search/"
SIZE = 100  # as much as is given without a key
QUESTIONS = {"domain": "domain:{}", "ip_address": 'page.ip:"{}"', "netblock": 'page.ip:"{}"', "asn": "page.asn:{}"}


class Document(msgspec.Struct):
    results: list[msgspec.Raw]
    has_more: bool = False


class Page(msgspec.Struct, frozen=True):
    domain: str | None = None
    ip: str | None = None
    asn: str | None = None
    url: str | None = None


class Task(msgspec.Struct, frozen=True):
    time: str | None = None
    domain: str | None = None


class Visit(msgspec.Struct):
    page: Page = Page()
    task: Task = Task()
    sort: list[int | str] = []


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    question = {"q": QUESTIONS[seen.type].format(seen.value), "size": str(SIZE)}
    key = secret(ctx, "API-Key:")
    for _ in range(int(ctx.options["pages"])):
        answer = await ctx.http.get(SEARCH, question, secret=key, statuses=(200, 429), max_bytes=20_000_000)
        check(answer)
        yield answer
        document = answer.json(Document)
        last = fitting(document.results[-1:], Visit)
        if not document.has_more or not last or not last[0].sort:
            return
        question["search_after"] = ",".join(map(str, last[0].sort))
    raise Truncated(f"there are more than {ctx.options['pages']} pages of visits")


def check(answer: HttpAnswer) -> None:
    """Raise its limit with the seconds that it states in a header of its own."""
    refuse_pages(answer)
    if answer.status == 429:
        after = answer.header("x-rate-limit-reset-after") or answer.header("retry-after") or ""
        raise RateLimited(f"{answer.url}: 429", float(after) if after.isdecimal() else None)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    document = answer.json(Document)
    visits = fitting(document.results, Visit)
    if document.results and not visits:
        raise ParseError(f"{answer.url}: no result is a visit")
    yield from records(sightings(visits, seen), seen)
    if seen.type == "domain":
        yield from pages_below(((visit.page.url or "", _period(visit)) for visit in visits), seen)


def sightings(visits: list[Visit], seen: Entity) -> Iterator[Sighting]:
    """The host that was asked for, and the host that answered with its address."""
    for visit in visits[:MAX_NAMES]:
        if seen.type == "asn" and visit.page.asn != seen.value:
            continue
        if visit.page.domain:
            yield Sighting(visit.page.domain, visit.page.ip or "", period=_period(visit))
        if visit.task.domain and seen.type == "domain":
            yield Sighting(visit.task.domain, "", period=_period(visit))


def _period(visit: Visit) -> tuple[int | None, int | None]:
    when = instant(visit.task.time)
    return (when, when)
