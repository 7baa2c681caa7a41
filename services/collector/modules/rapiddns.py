"""RapidDNS publishes the records of a large forward DNS data set. It is asked for a domain, an address or a network and
lists names with type, answer and the day it saw them, a hundred a page; it learns what was asked.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from services.collector.archetypes.documents import refusal
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, ParseError, Truncated
from services.collector.manifest import Manifest
from services.collector.pages.trees import table_rows
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="rapiddns",
    version=2,
    title="RapidDNS",
    activity="passive",
    source="https://rapiddns.io/",
    format="https://rapiddns.io/help",
    consumes=("domain", "ip_address", "netblock"),
    produces=("domain", "hostname", "ip_address", "resolves_to", "alias_of", "uses_nameserver", "uses_mailserver"),
    hosts=("rapiddns.io",),
    options={"pages": 20},
    affiliates=False,
    rate=0.3,
    burst=10,
    cost=2.0,
    freshness=604_800,
    timeout=300.0,
    licence="free to query, no licence stated",
)

TABLE = b'id="table"'


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    kind = "subdomain" if seen.type == "domain" else "sameip"
    url = f"https://rapiddns.io/{kind}/{quote(seen.value, safe='/')}"
    for page in range(1, int(ctx.options["pages"]) + 1):
        answer = await ctx.http.get(url, {"page": str(page)}, timeout=60.0)
        if TABLE not in answer.body:
            raise refusal(answer)
        yield answer
        if f"page={page + 1}".encode() not in answer.body:
            return
    raise Truncated(f"there are more than {ctx.options['pages']} pages of records")


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    _, found, rest = answer.body.partition(TABLE)
    if not found:
        raise ParseError(f"{answer.url}: it has no table of records")
    rows = table_rows(rest.partition(b"</table>")[0])
    yield from records((sighting(cells) for cells in rows if len(cells) >= 3), seen)


def sighting(cells: list[str]) -> Sighting:
    day = instant(cells[3]) if len(cells) > 3 else None
    return Sighting(cells[0], cells[1], cells[2], (day, day))
