"""HackerTarget keeps forward DNS data of its own. It is asked for a domain and lists up to 500 names below it (fewer
without a key), each with the address it last had; it learns the domain.
"""

from collections.abc import Iterator

from services.collector.archetypes.documents import lookup, refuse_pages
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.context import Blocked, HttpAnswer, ParseError, RateLimited, Unauthorised, Unreachable
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="hackertarget",
    version=2,
    title="HackerTarget",
    activity="passive",
    source="https://hackertarget.com/find-dns-host-records/",
    format="https://hackertarget.com/find-dns-host-records/",
    consumes=("domain",),
    produces=("domain", "hostname", "ip_address", "resolves_to"),
    hosts=("api.hackertarget.com",),
    key="hackertarget",
    affiliates=False,
    rate=0.5,
    burst=5,
    quota={"day": 50},
    freshness=604_800,
    licence="free for personal use within the daily quota",
    key_adds="up to 500 names of a domain instead of fewer, and the account's requests a day instead of the free ones",
)

NOTHING = ("error check your search parameter", "no records found", "error no dns records found")
DAY = 86_400.0


def check(answer: HttpAnswer) -> None:
    """Raise what its messages say; they come as text with status 200."""
    refuse_pages(answer)
    said = answer.text()[:300].strip().lower()
    if said.startswith("api count exceeded"):
        raise RateLimited(said, DAY)
    if "too many requests" in said:
        raise RateLimited(said)
    if said.startswith(("error invalid key", "error valid key required")) or "api key" in said:
        raise Unauthorised(said)
    if said.startswith("error") and not said.startswith(NOTHING):
        raise Blocked(said) if "blocked" in said else Unreachable(said)


collect = lookup("https://api.hackertarget.com/hostsearch/?q={value}", key="apikey", check=check)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    text = answer.text()
    if text.strip().lower().startswith(NOTHING):
        return
    rows = [line.partition(",") for line in text.splitlines()[:100_000] if line.strip()]
    if rows and not any(comma for _, comma, _ in rows):
        raise ParseError(f"{answer.url}: no line is a name and an address")
    yield from records((Sighting(name, address) for name, comma, address in rows if comma), seen)
