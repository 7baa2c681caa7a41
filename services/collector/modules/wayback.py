"""The Wayback Machine (Internet Archive) keeps web pages since 1996. It is asked for a domain and lists the URLs below
it that were captured, from their first to their last capture, of which the host names are kept, and few URLs; it
learns the domain.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote_plus

from services.collector.archetypes.captures import captured
from services.collector.archetypes.documents import refuse_pages
from services.collector.context import Answer, Context, HttpAnswer, ParseError, Truncated
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="wayback",
    version=3,
    title="Wayback Machine",
    activity="passive",
    source="https://web.archive.org/",
    format="https://github.com/internetarchive/wayback/tree/master/wayback-cdx-server",
    consumes=("domain",),
    produces=("domain", "hostname", "url"),
    hosts=("web.archive.org",),
    options={"pages": 4},
    rate=0.2,
    burst=5,
    cost=2.0,
    freshness=604_800,
    timeout=900.0,
    licence="Internet Archive terms of use",
)

CDX = "https://web.archive.org/cdx/search/cdx"
ROWS = 50_000
MAX_BYTES = 30_000_000
COLUMNS = ("timestamp", "original", "endtimestamp")

Row = list[str | None]


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    question = {
        "url": seen.value,
        "matchType": "domain",
        "fl": ",".join(COLUMNS),
        # Of the captures of a URL the first is kept, and the last of those that are skipped has a column of its own.
        "collapse": "urlkey",
        "showSkipCount": "true",
        "lastSkipTimestamp": "true",
        "output": "json",
        "limit": str(ROWS),
        "showResumeKey": "true",
    }
    for _ in range(int(ctx.options["pages"])):
        answer = await ctx.http.get(CDX, question, statuses=(200,), max_bytes=MAX_BYTES, timeout=180.0)
        refuse_pages(answer)
        yield answer
        resume = resume_key(answer.json(list[Row]) if answer.body.strip() else [])
        if resume is None:
            return
        question["resumeKey"] = resume
    raise Truncated(f"there are more than {int(ctx.options['pages']) * ROWS:,} URLs")


def resume_key(rows: list[Row]) -> str | None:
    """What the next page is asked with: the only value of the last row, after an empty row; it comes encoded."""
    if len(rows) >= 2 and not rows[-2] and len(rows[-1]) == 1:
        return unquote_plus(rows[-1][0] or "") or None
    return None


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    header, *rows = decoded(answer) or [list(COLUMNS)]
    if not {"timestamp", "original"}.issubset(header):
        raise ParseError(f"{answer.url}: its first row does not name the columns that were asked for")
    yield from captured((capture for row in rows if (capture := capture_of(header, row))), seen)


def capture_of(header: Row, row: Row) -> tuple[str, str, str] | None:
    """The URL of a row with its first and last timestamp, the last empty where it is not told; None for other rows."""
    if len(row) != len(header):
        return None  # the resumption key, and the empty row before it
    first, url, last = (dict(zip(header, row, strict=True)).get(column) for column in COLUMNS)
    return (url, first, last if last and last != "-" else "") if url and first else None


def decoded(answer: HttpAnswer) -> list[Row]:
    """The rows; a domain without captures has an empty body or an empty list."""
    if not answer.body.strip():
        return []
    rows: list[Row] = answer.json(list[Row])
    return rows
