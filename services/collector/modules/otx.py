"""Open Threat Exchange (LevelBlue, once AlienVault) keeps passive DNS and URLs that its users' sensors met. It is asked
for a domain or an address and lists names with type, answer and period, and URLs of a domain; it learns what was asked.
Without a key it keeps the passive DNS of domains to itself, and still gives that of addresses, and URLs.
"""

from collections.abc import AsyncIterator, Iterator

import msgspec

from services.collector.archetypes.documents import fitting, refuse_pages, secret
from services.collector.archetypes.names import names_below
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.archetypes.rate_limits import refuse_when_spent
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, ParseError, RateLimited, Truncated, Unauthorised
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="otx",
    version=3,
    title="Open Threat Exchange",
    activity="passive",
    source="https://otx.alienvault.com/",
    format="https://otx.alienvault.com/api",
    consumes=("domain", "ip_address"),
    produces=("domain", "hostname", "ip_address", "resolves_to", "alias_of", "uses_nameserver", "uses_mailserver"),
    hosts=("otx.alienvault.com",),
    options={"url_pages": 2},
    key="otx",
    affiliates=False,
    rate=1.0,
    burst=20,
    quota={"hour": 100},
    key_quota={"hour": 10_000},
    cost=2.0,
    freshness=604_800,
    timeout=300.0,
    licence="OTX terms of use",
    key_adds="no other answers, but the account's limit instead of the one for all who ask from this address",
)

API = "https://otx.alienvault.com/api/v1/indicators"
MAX_BYTES = 20_000_000
HOUR = 3600.0


class Document(msgspec.Struct):
    passive_dns: list[msgspec.Raw] | None = None
    url_list: list[msgspec.Raw] | None = None
    has_next: bool = False


class Refusal(msgspec.Struct):
    detail: str = ""


class Row(msgspec.Struct):
    hostname: str
    address: str
    record_type: str | None = None
    first: str | None = None
    last: str | None = None


class Visited(msgspec.Struct):
    hostname: str


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    kind = {"domain": "domain"}.get(seen.type) or ("IPv6" if ":" in seen.value else "IPv4")
    key = secret(ctx, "X-OTX-API-KEY:")
    refused: Unauthorised | None = None
    try:
        yield await _ask(ctx, f"{API}/{kind}/{seen.value}/passive_dns", key)
    except Unauthorised as failure:
        refused = failure  # each section has its own rule, and the next may be open to everybody
    pages = int(ctx.options["url_pages"]) if seen.type == "domain" else 0
    for page in range(1, pages + 1):
        answer = await _ask(ctx, f"{API}/domain/{seen.value}/url_list?limit=500&page={page}", key)
        yield answer
        if not answer.json(Document).has_next:
            break
    else:
        if pages and not refused:
            raise Truncated(f"there are more than {pages} pages of URLs")
    if refused:
        raise refused


async def _ask(ctx: Context, url: str, key: dict[str, str] | None) -> HttpAnswer:
    answer = await ctx.http.get(url, secret=key, statuses=(200, 404, 429), max_bytes=MAX_BYTES, timeout=60.0)
    refuse_pages(answer)
    refuse_by_detail(answer)
    return answer


def refuse_by_detail(answer: HttpAnswer) -> None:
    """Raise what a 429 stands for: a section for those with a key only, or an hour's requests that are spent.

    Raises:
        Unauthorised, RateLimited: the text of the refusal tells which.
    """
    if answer.status != 429:
        return
    try:
        detail = answer.json(Refusal).detail
    except ParseError:
        detail = ""
    if "authenticate" in detail.lower():
        raise Unauthorised(f"{answer.url}: {detail[:120]}")
    if "throttling limit" in detail.lower():
        raise RateLimited(f"{answer.url}: {detail[:120]}", HOUR)
    refuse_when_spent(answer)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    document = answer.json(Document)
    if answer.status == 200 and document.passive_dns is None and document.url_list is None:
        raise ParseError(f"{answer.url}: neither passive DNS nor URLs")
    yield from records(map(sighting, fitting(document.passive_dns or (), Row)), seen)
    if seen.type == "domain":
        yield from names_below((visited.hostname for visited in fitting(document.url_list or (), Visited)), seen)


def sighting(row: Row) -> Sighting:
    return Sighting(row.hostname, row.address, row.record_type or "", (instant(row.first), instant(row.last)))
