"""urlscan.io's search: visits, newest first, a page at a time (https://docs.urlscan.io/apis/urlscan-openapi/search)."""

from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

from lab.providers import Provider, Request, Response, json
from lab.sightings import known_to, period
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/api/v1/search/":
        return None
    field, _, value = request.parameter("q").partition(":")
    visits = sorted(
        (visit(world, name) for name in found(world, field, value.strip('"').lower())),
        key=lambda made: (-made["sort"][0], made["_id"]),
    )
    size = request.parameter("size", "100")
    count = min(int(size), 100) if size.isascii() and size.isdecimal() else 100
    after = request.parameter("search_after").rpartition(",")[2]
    start = next((place + 1 for place, made in enumerate(visits) if made["_id"] == after), 0)
    shown = visits[start : start + count]
    more = len(visits) > start + count
    return json({"results": shown, "total": len(visits), "took": 11, "has_more": more})


def found(world: World, field: str, value: str) -> list[str]:
    """The names that a question is about."""
    if field in {"domain", "page.domain"}:
        return world.known_names("urlscan", value)
    names = [name for name in known_to(world, "urlscan") if world.last_address(name)]
    if field == "page.ip":
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            return []
        return [name for name in names if ip_address(world.last_address(name)) in network]
    if field == "page.asn":
        return [name for name in names if f"as{number_of(world, name)}" == value]
    return []


def number_of(world: World, name: str) -> int:
    block = world.netblock(world.last_address(name))
    return block.asn if block else 0


def visit(world: World, name: str) -> dict[str, Any]:
    when: datetime = period(world, "urlscan", name)[1]
    address = world.last_address(name)
    block = world.netblock(address) if address else None
    system = world.system(block.asn) if block else None
    identity = str(UUID(sha256(f"{world.seed} visit {name}".encode()).hexdigest()[:32], version=4))
    url = f"https://{name}/"
    return {
        "submitter": {},
        "task": {
            "visibility": "public",
            "method": "api",
            "domain": name,
            "apexDomain": ".".join(name.split(".")[-2:]),
            "time": when.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "uuid": identity,
            "url": url,
        },
        "stats": {"uniqIPs": 3, "uniqCountries": 1, "dataLength": 90210, "encodedDataLength": 30210, "requests": 12},
        "page": {
            "country": block.country if block else "",
            "server": "nginx",
            "ip": address,
            "mimeType": "text/html",
            "title": name,
            "url": url,
            "tlsValidDays": 89,
            "tlsAgeDays": 12,
            "domain": name,
            "apexDomain": ".".join(name.split(".")[-2:]),
            "asnname": f"{system.name} {system.description}, {system.country}" if system else "",
            "asn": f"AS{system.number}" if system else "",
            "tlsIssuer": "R11",
            "status": "200",
        },
        "_id": identity,
        "_score": None,
        "sort": [int(when.timestamp() * 1000), identity],
        "result": f"https://urlscan.io/api/v1/result/{identity}/",
        "screenshot": f"https://urlscan.io/screenshots/{identity}.png",
    }


def states(world: World) -> list[tuple[str, ...]]:
    """The pages that were visited, whether or not anything answers there now."""
    return [("url", f"https://{name}/") for name in known_to(world, "urlscan")]


PROVIDER = Provider(id="urlscan", hosts=("urlscan.io",), answer=answer, states=states)
