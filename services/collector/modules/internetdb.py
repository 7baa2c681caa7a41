"""Shodan's InternetDB tells what Shodan's scanners last saw of an address: open ports, products, host names, marks and
weaknesses that the versions suggest. It is asked for the address and learns that somebody looked at it.
"""

from collections.abc import Iterator

from msgspec import Struct

from services.collector.archetypes.documents import lookup, refuse_pages
from services.collector.archetypes.names import any_name, weighed
from services.collector.archetypes.sound import described, sound
from services.collector.context import HttpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="internetdb",
    version=1,
    title="Shodan InternetDB",
    activity="passive",
    source="https://internetdb.shodan.io/",
    format="https://internetdb.shodan.io/docs",
    consumes=("ip_address",),
    produces=(
        "domain",
        "hostname",
        "service",
        "technology",
        "vulnerability",
        "exposes",
        "resolves_to",
        "runs",
        "affected_by",
    ),
    hosts=("internetdb.shodan.io",),
    rate=1.0,
    burst=200,
    freshness=604_800,
    timeout=120.0,
    licence="free for non-commercial use",
)

MAX_VALUES = 500
TRANSPORT_UNSAID = 80  # its ports are TCP and UDP alike, most of them TCP
NAMED_SOMEHOW = 60  # from PTR records, certificates and banners, and up to a week old
BY_VERSION = 30  # concluded from a version in a banner, never tried

collect = lookup("https://internetdb.shodan.io/{value}", check=refuse_pages)


class Host(Struct):
    ip: str
    ports: list[int] = []
    cpes: list[str] = []
    hostnames: list[str] = []
    tags: list[str] = []
    vulns: list[str] = []


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 404:
        return
    host = answer.json(Host)
    for port in host.ports[:MAX_VALUES]:
        service = sound(entities.service, seen.value, "tcp", port)
        if service is not None:
            yield weighed(relations.exposes(seen, service), TRANSPORT_UNSAID)
    for text in host.hostnames[:MAX_VALUES]:
        name = any_name(text)
        if name is not None:
            yield weighed(relations.resolves_to(name, seen), NAMED_SOMEHOW)
    for cpe in host.cpes[:MAX_VALUES]:
        technology = sound(entities.technology, cpe) if cpe.startswith("cpe:") else None
        if technology is not None:
            yield relations.runs(seen, technology)
    for advisory in host.vulns[:MAX_VALUES]:
        vulnerability = sound(entities.vulnerability, advisory)
        if vulnerability is not None:
            yield weighed(relations.affected_by(seen, vulnerability), BY_VERSION)
    yield from described(seen, tag=host.tags)
