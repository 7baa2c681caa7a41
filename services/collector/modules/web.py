"""The web servers of the target themselves. The front page of a host is asked for over https and http, with its icon
and its own scripts; it says what is served there, with which software, whom it links to, and which names, mailboxes
and accounts it gives away. The host that is asked learns that it was.
"""

import re
from collections.abc import AsyncIterator, Iterator

from msgspec import structs

from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, HttpAnswer, Nameless, Refused, Skipped, Unreachable
from services.collector.manifest import Manifest
from services.collector.pages.claims import content_claims, page_claims
from services.collector.pages.favicon import MAX_BYTES as MAX_ICON
from services.collector.pages.favicon import favicon_hash, is_image
from services.collector.pages.html import absolute
from services.collector.pages.page import FRONT_SHARED, document_of, is_html, read_page
from services.collector.pages.technologies import technologies
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Relation

MANIFEST = Manifest(
    id="web",
    version=3,
    title="Web servers",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc9110",
    format="https://html.spec.whatwg.org/",
    consumes=("domain", "hostname", "exposes"),
    produces=(
        "account",
        "cloud_resource",
        "crypto_address",
        "domain",
        "email_address",
        "fingerprint",
        "hostname",
        "ip_address",
        "phone_number",
        "service",
        "technology",
        "url",
        "web_tracker",
        "exposes",
        "links_to",
        "mentions",
        "runs",
        "serves",
        "uses",
    ),
    options={"scripts": 3, "favicon": True},
    rate=0.0,
    # It asks more of a host than the others that come there, and with a few more at a time it keeps in step with them.
    concurrency=36,
    cost=3.5,
    timeout=90.0,
    licence="the target's own",
)

MAX_PAGE = 1_000_000
MAX_SCRIPT = 2_000_000
MAX_HOPS = 4
SECONDS = 10.0

# Ports on which web servers are commonly found, with the scheme that they speak there.
SCHEMES = {
    **dict.fromkeys(("80", "81", "3000", "5000", "8000", "8008", "8080", "8081", "8888", "9000", "9090"), "http"),
    **dict.fromkeys(("443", "4443", "8443", "9443", "10443"), "https"),
}

# How servers head the page on which they list what is in a folder.
_listing = re.compile(r"(?:index of|directory listing for|listing directory|listing of) /", re.IGNORECASE).match


async def collect(seen: Entity | Relation, ctx: Context) -> AsyncIterator[Answer]:
    trouble: Unreachable | None = None
    page: HttpAnswer | None = None
    for root in roots(seen):
        try:
            async for answer in landing(root, ctx):
                if page and (answer.status, answer.body) == (page.status, page.body):
                    # The same page over http teaches only where it is served.
                    yield structs.replace(answer, body=b"")
                    continue
                yield answer
                if page is None and not redirect_of(answer):
                    page = answer
                    async for more in beside(page, ctx):
                        yield more
        except Nameless:
            return
        except Refused:
            continue
        except Unreachable as error:
            trouble = error
    if trouble:
        raise trouble


async def landing(root: str, ctx: Context) -> AsyncIterator[HttpAnswer]:
    """What the root of a site answers, and where it sends the browser within the site; other hosts have their turn."""
    asked: list[str] = []
    url = root
    while url not in asked and root_of(url) == root and len(asked) < MAX_HOPS:
        asked.append(url)
        answer = await fetch(url, ctx, MAX_PAGE, share=FRONT_SHARED)
        yield answer
        url = redirect_of(answer)


async def fetch(url: str, ctx: Context, limit: int, share: int = 0) -> HttpAnswer:
    return await ctx.http.get(
        url, statuses="any", redirects=0, max_bytes=limit, timeout=SECONDS, verify=False, share=share
    )


def roots(seen: Entity | Relation) -> list[str]:
    """Where to ask: both schemes of a name, or the one that the port of an exposed service speaks."""
    if isinstance(seen, Entity):
        return [f"https://{seen.value}/", f"http://{seen.value}/"]
    port = seen.target.key[2]
    scheme = SCHEMES.get(port)
    standard = port in {"80", "443"}
    if scheme is None or (standard and seen.source.type != "ip_address"):
        return []
    host = f"[{seen.source.value}]" if ":" in seen.source.value else seen.source.value
    return [f"{scheme}://{host}/" if standard else f"{scheme}://{host}:{port}/"]


async def beside(page: HttpAnswer, ctx: Context) -> AsyncIterator[HttpAnswer]:
    """The icon of a page and those of its scripts that are its own, not somebody's library."""
    if not is_html(page):
        return
    document = document_of(page)
    host = host_in(page.url)
    wanted: dict[str, int] = {}
    if ctx.options["favicon"]:
        icons = [icon for icon in document.icons if host_in(icon) == host]
        wanted[icons[0] if icons else root_of(page.url) + "favicon.ico"] = MAX_ICON
    scripts = [url for url in document.urls("script") if host_in(url) == host and not technologies(assets=[url])]
    for script in scripts[: int(ctx.options["scripts"])]:
        wanted[script] = MAX_SCRIPT
    for url, limit in wanted.items():
        try:
            answer = await fetch(url, ctx, limit)
        except (Unreachable, Skipped):
            continue
        if answer.status == 200 and not is_html(answer):
            yield answer


def parse(answer: HttpAnswer, seen: Entity | Relation) -> Iterator[Claim]:
    root = sound(entities.url, root_of(answer.url))
    if root is None:
        return
    if answer.url == root_of(answer.url):
        yield from front(answer, root)
    elif is_html(answer):
        yield from shown(answer, root)
    else:
        yield from beside_claims(answer, root)


def front(answer: HttpAnswer, root: Entity) -> Iterator[Claim]:
    """Where a site is served, and how its root answers."""
    host = entities.host_of(root.value)
    target = redirect_of(answer)
    # What only leads to https, or is the page that https gave, is no page of its own.
    if answer.url.startswith("http:") and (not answer.body or target.startswith(f"https://{host}/")):
        name = sound(entities.name, host)
        if name is not None:
            yield from served(answer, name, host)
        return
    yield root
    yield from served(answer, root, host)
    yield from described(
        root, http_status=answer.status, redirect_location=answer.header("location") if target else None
    )
    yield from shown(answer, root)


def shown(answer: HttpAnswer, root: Entity) -> Iterator[Claim]:
    """Everything that a page of the site's front says; nobody reads the text of a redirect."""
    target = redirect_of(answer)
    domain = domain_of(root)
    page = read_page(structs.replace(answer, body=b"") if target else answer, domain)
    if target:
        host = host_in(target)
        names = {host: "redirect"} if host == domain or host.endswith(f".{domain}") else {}
        hosts = {**page.hosts, host: "redirect"}
        page = structs.replace(page, hosts=hosts, names={**page.names, **names}, missing=[])
    yield from page_claims(answer, page, root)
    if answer.status == 200 and _listing(page.document.title):
        yield from described(root, directory_listing=True)


def served(answer: HttpAnswer, target: Entity, host: str) -> Iterator[Claim]:
    """The port that answered, and what it answered for."""
    ip, _, port = answer.peer.rpartition(":")
    service = sound(entities.service, ip.strip("[]"), "tcp", port)
    if service is None:
        return
    secure = answer.url.startswith("https:")
    named = sound(entities.name, host) is not None
    yield relations.exposes(entities.ip_address(service.key[0]), service)
    yield from described(service, protocol="http")
    yield relations.serves(service, target, host=host if named else "", sni=host if named and secure else "")


def beside_claims(answer: HttpAnswer, root: Entity) -> Iterator[Claim]:
    """What an icon or a script says of the site that it belongs to."""
    if is_image(answer.body):
        if not answer.truncated:
            yield from described(root, favicon=answer.url)
            yield relations.uses(root, entities.fingerprint("favicon_mmh3", str(favicon_hash(answer.body))))
        return
    page = read_page(answer, domain_of(root))
    places = {name: "script" if place == "text" else place for name, place in page.names.items()}
    yield from content_claims(structs.replace(page, names=places), root)


def redirect_of(answer: HttpAnswer) -> str:
    """The absolute URL that an answer sends the browser to, or nothing."""
    location = answer.header("location") if 300 <= answer.status < 400 else None
    return absolute(location, answer.url).partition("#")[0] if location else ""


def root_of(url: str) -> str:
    """The URL of the front page of the site that a URL is in."""
    return url[: url.find("/", 8) + 1]


def domain_of(root: Entity) -> str:
    """The registrable domain of a site, or nothing for one at an address."""
    domain = sound(entities.registered_domain, entities.host_of(root.value))
    return domain.value if domain else ""
