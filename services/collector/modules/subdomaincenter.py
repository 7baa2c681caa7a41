"""Subdomain Center (ARPSyndicate) guesses and collects names with its own crawlers. It is asked for a domain and lists
names below it, without saying when or how they were seen; it learns the domain.
"""

from collections.abc import Iterator

from services.collector.archetypes.documents import lookup, refuse_pages, rows
from services.collector.archetypes.names import names_below
from services.collector.context import HttpAnswer
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="subdomaincenter",
    version=1,
    title="Subdomain Center",
    activity="passive",
    source="https://www.subdomain.center/",
    format="https://www.subdomain.center/",
    consumes=("domain",),
    produces=("domain", "hostname"),
    hosts=("api.subdomain.center",),
    rate=0.05,
    burst=3,
    freshness=604_800,
    licence="free for use within the published rate limits",
)

MAX_NAMES = 80_000

collect = lookup("https://api.subdomain.center/?domain={value}", check=refuse_pages)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    yield from names_below(rows(answer, str), seen, MAX_NAMES)
