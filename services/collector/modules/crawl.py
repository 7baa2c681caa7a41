"""The pages of the target's own sites. From the front page of a site its links are followed, on the same host, to a
bounded depth and number, leaving out what robots.txt asks to; the pages say which names, mailboxes, accounts and
documents they have. The host that is asked learns that it was.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import islice

from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.turns import give_way
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, HttpAnswer, Nameless, Refused, Skipped, Unreachable
from services.collector.manifest import Manifest
from services.collector.pages.claims import content_claims, document_claims
from services.collector.pages.page import FRONT_SHARED, document_of, is_html, read_page
from services.collector.pages.robots import Robots, read_robots
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="crawl",
    version=2,
    title="Pages of sites",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc9309",
    format="https://html.spec.whatwg.org/",
    consumes=("url",),
    produces=(
        "account",
        "cloud_resource",
        "crypto_address",
        "domain",
        "email_address",
        "hostname",
        "ip_address",
        "phone_number",
        "url",
        "web_tracker",
        "links_to",
        "mentions",
        "uses",
    ),
    options={"pages": 30, "depth": 3},
    rate=0.0,
    concurrency=16,
    cost=4.0,
    timeout=300.0,
    licence="the target's own",
)

AGENT = "mirage"
SECONDS = 10.0
MAX_PAGE = 1_000_000
MAX_ROBOTS = 512_000
MAX_DOCUMENTS = 50
MAX_FAILURES = 3  # then the site has had enough
MAX_LINKS = 500  # of a page that are looked at
MAX_REFUSED = 500  # by robots.txt; then the site wants nobody to look around

DOCUMENTS = (
    *(
        ".pdf",
        ".doc",
        ".docx",
        ".odt",
        ".rtf",
        ".xls",
        ".xlsx",
        ".ods",
        ".csv",
        ".ppt",
        ".pptx",
        ".odp",
        ".txt",
        ".xml",
    ),
    *(".json", ".yaml", ".yml", ".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".sql", ".bak", ".log", ".conf", ".env"),
)
# What holds no links: pictures, sound, fonts, code.
LEAVES = (
    *(
        ".jpg",
        ".jpeg",
        ".png",
        ".gif",
        ".svg",
        ".webp",
        ".avif",
        ".ico",
        ".bmp",
        ".mp3",
        ".mp4",
        ".webm",
        ".ogg",
        ".wav",
    ),
    *(".mov", ".avi", ".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".exe", ".dmg", ".apk"),
    *(".iso", ".msi", ".deb", ".rpm", ".swf"),
)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if not begins_here(seen, ctx):
        return
    host = entities.host_of(seen.value)
    try:
        start = await fetch(seen.value, ctx, MAX_PAGE, share=FRONT_SHARED)
    except (Nameless, Refused):
        return
    links = links_of(start, host)
    if links:
        yield start
        robots = await robots_of(seen, ctx)
        async for page in follow(links, {path_of(seen.value), path_of(start.url)}, robots, host, ctx):
            yield page


async def follow(
    links: list[str], visited: set[str], robots: Robots, host: str, ctx: Context
) -> AsyncIterator[HttpAnswer]:
    """The pages that links lead to, nearest first, each path once.

    Raises:
        Unreachable: some page could not be had; the others were given first.
    """
    waiting = deque((url, 1) for url in links)
    left = int(ctx.options["pages"])
    troubles: list[Unreachable] = []
    refused = 0
    while waiting and left and len(troubles) < MAX_FAILURES and refused < MAX_REFUSED:
        url, depth = waiting.popleft()
        if path_of(url) in visited:
            continue
        visited.add(path_of(url))
        await give_way()  # a site can make its rules slow to match
        if not robots.allows(path_of(url), AGENT):
            refused += 1
            continue
        left -= 1
        try:
            page = await fetch(url, ctx, MAX_PAGE)
        except Skipped:
            continue
        except Unreachable as error:
            troubles.append(error)
            continue
        if is_page(page, host):
            yield page
            if depth < int(ctx.options["depth"]):
                waiting.extend((link, depth + 1) for link in links_of(page, host))
    if troubles:
        raise troubles[0]


def begins_here(seen: Entity, ctx: Context) -> bool:
    """Whether to crawl from a URL: the root of a site, or what was asked for; every other page has its turn in that."""
    asked_for = any(target.type == seen.type and target.key == seen.key for target in ctx.scope.targets)
    return asked_for or (seen.value.startswith("http") and path_of(seen.value) == "/" and "?" not in seen.value)


async def fetch(url: str, ctx: Context, limit: int, share: int = 0) -> HttpAnswer:
    return await ctx.http.get(
        url, statuses="any", redirects=3, max_bytes=limit, timeout=SECONDS, verify=False, share=share
    )


async def robots_of(seen: Entity, ctx: Context) -> Robots:
    """What robots.txt says; a server that fails on it wants no robots at all (RFC 9309, section 2.3.1.4)."""
    site = seen.value[: seen.value.find("/", 8)]
    answer = await fetch(f"{site}/robots.txt", ctx, MAX_ROBOTS)
    if answer.status >= 500:
        return read_robots("User-agent: *\nDisallow: /")
    return read_robots(answer.text() if answer.status == 200 and not is_html(answer) else "")


def is_page(answer: HttpAnswer, host: str) -> bool:
    return answer.status == 200 and host_in(answer.url) == host and is_html(answer)


def links_of(page: HttpAnswer, host: str) -> list[str]:
    """The pages of the same host that a page leads to, without fragments, each once."""
    if not is_page(page, host):
        return []
    urls = (url.partition("#")[0] for url in document_of(page).urls("a", "area", "iframe", "frame", "refresh"))
    found = dict.fromkeys(url for url in urls if host_in(url) == host and url[:4].lower() == "http")
    pages = (url for url in found if not path_of(url).lower().endswith((*DOCUMENTS, *LEAVES)))
    return list(islice(pages, MAX_LINKS))


def path_of(url: str) -> str:
    """The path of a URL: the queries of one path are mostly views of one thing."""
    slash = url.find("/", 8)
    return url[slash:].partition("?")[0].partition("#")[0] if slash >= 0 else "/"


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    about = sound(entities.url, answer.hops[0].url if answer.hops else answer.url)
    host = entities.host_of(seen.value)
    if about is None or not is_page(answer, host):
        return
    domain = sound(entities.registered_domain, host)
    page = read_page(answer, domain.value if domain else "")
    if path_of(about.value) != "/":
        # The front page was described when it was found.
        yield about
        yield from described(about, http_status=answer.status)
        yield from document_claims(page, about)
    yield from content_claims(page, about)
    documents = (url for url in page.document.urls("a", "area") if path_of(url).lower().endswith(DOCUMENTS))
    for url in list(dict.fromkeys(documents))[:MAX_DOCUMENTS]:
        document = sound(entities.url, url)
        if document is not None:
            yield relations.links_to(about, document, element="document")
