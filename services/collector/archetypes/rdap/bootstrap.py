"""Which RDAP server knows a domain, an address or a system (RFC 9224)."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import quote, urlsplit

from msgspec import Struct

from services.collector.archetypes.documents import refuse_pages
from services.collector.context import Context, HttpAnswer, Skipped
from services.contracts.claims import Entity

WEEK = 604_800
ACCEPT = {"Accept": "application/rdap+json, application/json;q=0.9"}

Service = list[list[str]]  # entries, then base URLs


class Directory(Struct):
    services: list[Service]


async def ask_registry(seen: Entity, ctx: Context, *, share: int = 0) -> HttpAnswer:
    """Ask the server that the directory of IANA names for the subject; ``share`` as in `Http.get`.

    Raises:
        Skipped: the directory names no server for it.
    """
    directory = await ctx.http.get(f"https://data.iana.org/rdap/{_directory(seen)}.json", statuses=(200,), share=WEEK)
    refuse_pages(directory)
    base = server_of(seen, directory.json(Directory).services)
    if base is None:
        raise Skipped(f"no registry of {seen.value} has an RDAP server")
    answer = await ctx.http.get(base.rstrip("/") + _path(seen), headers=ACCEPT, share=share)
    refuse_pages(answer)
    return answer


def server_of(seen: Entity, services: list[Service]) -> str | None:
    """The base URL of the most specific entry that holds the subject, HTTPS before HTTP."""
    best: tuple[int, list[str]] = (-1, [])
    for service in services:
        if len(service) == 2:
            entries, urls = service
            best = max(best, (max((_fit(seen, entry) for entry in entries), default=-1), urls), key=lambda fit: fit[0])
    usable = [url for url in best[1] if urlsplit(url).scheme in {"https", "http"} and urlsplit(url).hostname]
    return max(usable, key=lambda url: url.startswith("https:"), default=None) if best[0] >= 0 else None


def _fit(seen: Entity, entry: str) -> int:
    """How specific an entry is for the subject, below zero where it does not hold it."""
    if seen.type == "domain":
        suffix = entry.lower().strip(".")
        return suffix.count(".") + 1 if suffix and f".{seen.key[0]}".endswith(f".{suffix}") else -1
    try:
        if seen.type == "asn":
            first, _, last = entry.partition("-")
            inside = int(first) <= int(seen.key[0]) <= int(last or first)
            return 0 if inside else -1
        network, asked = ip_network(entry), ip_network(seen.key[0])
    except ValueError:
        return -1
    return network.prefixlen if _inside(asked, network) else -1


def _inside(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and outer.prefixlen <= inner.prefixlen and inner.overlaps(outer)


def _directory(seen: Entity) -> str:
    if seen.type in {"ip_address", "netblock"}:
        return "ipv6" if ":" in seen.key[0] else "ipv4"
    return {"domain": "dns", "asn": "asn"}[seen.type]


def _path(seen: Entity) -> str:
    kind = {"domain": "domain", "asn": "autnum"}.get(seen.type, "ip")
    return f"/{kind}/{quote(seen.key[0], safe='/:')}"


def related(links: Iterator[tuple[str, str, str]]) -> str | None:
    """The RDAP address of another server that knows more, from links as (relation, media type, address)."""
    for relation, media_type, address in links:
        if relation == "related" and media_type == "application/rdap+json" and address.startswith("https://"):
            return address
    return None
