"""Common Crawl publishes what its crawler fetched, with an index for each crawl. It is asked for a domain in the newest
indexes and lists the URLs below it, of which the host names are kept, and few URLs; it learns the domain.
"""

from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from services.collector.archetypes.captures import captured
from services.collector.archetypes.documents import lines, refuse_pages, rows
from services.collector.context import Answer, Context, HttpAnswer, ParseError, Truncated
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="commoncrawl",
    version=2,
    title="Common Crawl",
    activity="passive",
    source="https://index.commoncrawl.org/",
    format="https://github.com/webrecorder/pywb/wiki/CDX-Server-API",
    consumes=("domain",),
    produces=("domain", "hostname", "url"),
    hosts=("index.commoncrawl.org",),
    options={"indexes": 2, "pages": 3},
    rate=0.5,
    burst=5,
    cost=5.0,
    freshness=604_800,
    timeout=900.0,
    licence="Common Crawl terms of use",
)

INDEXES = "https://index.commoncrawl.org/collinfo.json"
DAY = 86_400
MAX_BYTES = 30_000_000


class Index(Struct):
    """A row of collinfo.json, newest first; ``cdx-api`` is left alone, since an address from outside is not asked."""

    id: str


class Pages(Struct):
    pages: int


class Row(Struct):
    url: str
    timestamp: str


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    listed = await ctx.http.get(INDEXES, statuses=(200,), share=DAY)
    refuse_pages(listed)
    most, left_out = int(ctx.options["pages"]), 0
    for index in rows(listed, Index)[: int(ctx.options["indexes"])]:
        if not index.id.replace("-", "").isalnum():
            raise ParseError(f"{INDEXES}: {index.id[:40]!r} is not the id of an index")
        url = f"https://index.commoncrawl.org/{index.id}-index"
        question = {"url": f"*.{seen.value}", "output": "json"}
        size = await _ask(ctx, url, question | {"showNumPages": "true"})
        count = size.json(Pages).pages if size.status == 200 else 0
        for page in range(min(count, most)):
            yield await _ask(ctx, url, question | {"fl": "url,timestamp", "page": str(page)})
        left_out += max(0, count - most)
    if left_out:
        raise Truncated(f"{left_out} more pages of captures were not asked for")


async def _ask(ctx: Context, url: str, question: dict[str, str]) -> HttpAnswer:
    answer = await ctx.http.get(url, question, max_bytes=MAX_BYTES, timeout=120.0)
    refuse_pages(answer)
    return answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 200:
        yield from captured(((row.url, row.timestamp, row.timestamp) for row in lines(answer, Row)), seen)
