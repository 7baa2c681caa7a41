"""AnubisDB keeps names that users of the Anubis tool submitted. It is asked for a domain and lists names below it,
without saying when or how they were seen; it learns the domain.
"""

from collections.abc import Iterator

from services.collector.archetypes.documents import lookup, refuse_pages, rows
from services.collector.archetypes.names import names_below
from services.collector.context import HttpAnswer
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="anubis",
    version=2,
    title="AnubisDB",
    activity="passive",
    source="https://anubisdb.com/",
    format="https://github.com/jonluca/Anubis-DB#usage",
    consumes=("domain",),
    produces=("domain", "hostname"),
    hosts=("anubisdb.com",),
    rate=1.0,
    concurrency=2,
    freshness=604_800,
    licence="community submissions, no licence stated",
)

UNKNOWN = (204, 300)  # its statuses, today's and an older one, for a domain that it has never seen

MAX_NAMES = 80_000

collect = lookup("https://anubisdb.com/anubis/subdomains/{value}", statuses=(200, *UNKNOWN), check=refuse_pages)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status not in UNKNOWN:
        yield from names_below(rows(answer, str), seen, MAX_NAMES)
