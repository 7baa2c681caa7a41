"""MySSL (TrustAsia) tests TLS servers and lists the names below a domain that were tested, each with the address it
had. It is asked for a domain; it learns the domain.
"""

from collections.abc import Iterator

import msgspec

from services.collector.archetypes.documents import fitting, lookup, refuse_pages
from services.collector.archetypes.passive_dns import Sighting, records
from services.collector.archetypes.times import instant
from services.collector.context import HttpAnswer, RateLimited, Unreachable
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="myssl",
    version=1,
    title="MySSL",
    activity="passive",
    source="https://myssl.com/",
    format="https://github.com/RevoltSecurities/Subdominator",
    consumes=("domain",),
    produces=("domain", "hostname", "ip_address", "resolves_to"),
    hosts=("myssl.com",),
    rate=0.2,
    burst=5,
    freshness=604_800,
    licence="free to query, no licence stated",
)


class Document(msgspec.Struct):
    code: int
    data: list[msgspec.Raw] | None = None
    error: str | None = None


class Host(msgspec.Struct):
    domain: str
    ip: str | None = None
    evaluate_date: str | None = None


def check(answer: HttpAnswer) -> None:
    """Raise what a code other than 0 says; it comes with status 200."""
    refuse_pages(answer)
    document = answer.json(Document)
    if document.code != 0:
        said = f"{answer.url}: {document.code} {document.error or ''}"
        raise RateLimited(said) if "limit" in said.lower() else Unreachable(said)


collect = lookup("https://myssl.com/api/v1/discover_sub_domain?domain={value}", check=check)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    yield from records(map(sighting, fitting(answer.json(Document).data or (), Host)), seen)


def sighting(host: Host) -> Sighting:
    tested = instant(host.evaluate_date)
    return Sighting(host.domain, host.ip or "", period=(tested, tested))
