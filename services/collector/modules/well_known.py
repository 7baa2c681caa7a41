"""Files that a site keeps in known places for robots and researchers: robots.txt, sitemaps and security.txt. They say
which paths are kept from robots, which hosts belong together, and who answers for security. The host that is asked
learns that it was.
"""

from collections.abc import AsyncIterator, Iterable, Iterator

from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, HttpAnswer, Nameless, Refused, Skipped, Unreachable
from services.collector.manifest import Manifest
from services.collector.pages.claims import name_claims
from services.collector.pages.html import absolute
from services.collector.pages.names import names_below
from services.collector.pages.robots import Robots, read_robots
from services.collector.pages.sitemaps import read_sitemap
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="well_known",
    version=2,
    title="robots.txt, sitemaps, security.txt",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc9116",
    format="https://www.sitemaps.org/protocol.html",
    consumes=("domain", "hostname"),
    produces=(
        "domain",
        "email_address",
        "hostname",
        "ip_address",
        "phone_number",
        "url",
        "has_contact",
        "links_to",
        "mentions",
    ),
    options={"sitemaps": 8},
    rate=0.0,
    concurrency=32,
    cost=3.0,
    timeout=120.0,
    licence="the target's own",
)

SECONDS = 10.0
MAX_ROBOTS = 512_000
MAX_SITEMAP = 10_000_000
MAX_SECURITY = 65_536
MAX_PATHS = 50
MAX_CONTACTS = 10


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    trouble: Unreachable | None = None
    for scheme in ("https", "http"):
        site = f"{scheme}://{seen.value}/"
        try:
            robots = await fetch(site + "robots.txt", ctx, MAX_ROBOTS)
            if says_something(robots, seen):
                yield robots
            async for answer in files(site, robots_of(robots, seen), seen, ctx):
                yield answer
        except Nameless:
            return
        except Refused:
            continue
        except Unreachable as error:
            trouble = error
            continue
        return
    if trouble:
        raise trouble


async def files(site: str, robots: Robots, seen: Entity, ctx: Context) -> AsyncIterator[HttpAnswer]:
    """The security.txt and the sitemaps of a site that answers; one that fails does not keep the others back."""
    trouble: Unreachable | None = None
    try:
        security = await fetch(site + ".well-known/security.txt", ctx, MAX_SECURITY)
        if says_something(security, seen):
            yield security
    except Unreachable as error:
        trouble = error
    async for sitemap in sitemaps(site, robots, seen, ctx):
        yield sitemap
    if trouble:
        raise trouble


async def sitemaps(site: str, robots: Robots, seen: Entity, ctx: Context) -> AsyncIterator[HttpAnswer]:
    """The sitemaps that robots.txt names, or the one in the usual place, and those that they name in turn."""
    waiting = [absolute(url, site) for url in robots.sitemaps] or [site + "sitemap.xml"]
    asked: set[str] = set()
    while waiting and len(asked) < int(ctx.options["sitemaps"]):
        url = waiting.pop(0)
        if url in asked or host_in(url) != seen.value:
            continue
        asked.add(url)
        try:
            answer = await fetch(url, ctx, MAX_SITEMAP)
        except Skipped:
            continue
        if says_something(answer, seen):
            yield answer
            found = read_sitemap(answer.body)
            waiting += found.urls[:100] if found.index else ()


async def fetch(url: str, ctx: Context, limit: int) -> HttpAnswer:
    return await ctx.http.get(url, statuses="any", redirects=3, max_bytes=limit, timeout=SECONDS, verify=False)


def says_something(answer: HttpAnswer, seen: Entity) -> bool:
    """Whether a file was given, by this host, and not the page that it gives for every path."""
    given = answer.status == 200 and host_in(answer.url) == seen.value and bool(answer.body)
    return given and (answer.body[:512].lstrip()[:1] != b"<" or b"<loc>" in answer.body)


def robots_of(answer: HttpAnswer, seen: Entity) -> Robots:
    return read_robots(answer.text() if says_something(answer, seen) else "")


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    about = sound(entities.url, answer.url)
    if about is None or not says_something(answer, seen):
        return
    path = answer.hops[0].url if answer.hops else answer.url
    if path.endswith("/robots.txt"):
        yield from robots_claims(answer, about, seen)
    elif path.endswith("/security.txt"):
        yield from security_claims(answer, about, seen)
    else:
        yield from sitemap_claims(answer, about, seen)


def robots_claims(answer: HttpAnswer, about: Entity, seen: Entity) -> Iterator[Claim]:
    robots = robots_of(answer, seen)
    yield from described(
        seen,
        disallowed_path=[path for path in robots.disallowed if path not in {"", "/"}][:MAX_PATHS],
        sitemap=robots.sitemaps[:MAX_PATHS],
    )
    yield from pointed(answer.body, robots.sitemaps, "sitemap", about, seen)


def sitemap_claims(answer: HttpAnswer, about: Entity, seen: Entity) -> Iterator[Claim]:
    sitemap = read_sitemap(answer.body)
    if sitemap.urls:
        yield from described(about, sitemap_entries=len(sitemap.urls))
        yield from pointed(b"", sitemap.urls, "sitemap", about, seen)


def security_claims(answer: HttpAnswer, about: Entity, seen: Entity) -> Iterator[Claim]:
    """The fields of RFC 9116, section 2.5, signed or not."""
    fields: dict[str, list[str]] = {}
    for line in answer.text().splitlines()[:500]:
        name, colon, value = line.partition(":")
        if colon and value.strip():
            fields.setdefault(name.strip().lower(), []).append(value.strip()[:2048])
    if "contact" not in fields:
        return
    for contact in fields["contact"][:MAX_CONTACTS]:
        target = contact_of(contact)
        if target is not None:
            yield relations.has_contact(seen, target, role="security")
    yield from described(
        seen,
        security_policy=fields.get("policy"),
        security_encryption=fields.get("encryption"),
        security_expires_at=instant(fields.get("expires", [""])[0]),
    )
    places = [value for values in fields.values() for value in values if "://" in value]
    yield from pointed(answer.body, places, "security", about, seen)


def pointed(text: bytes, urls: Iterable[str], element: str, about: Entity, seen: Entity) -> Iterator[Claim]:
    """The hosts that a file points to, and the names below the domain that it speaks of."""
    domain = entities.registered_domain(seen.value).value
    hosts = dict.fromkeys(filter(None, map(host_in, urls)), element)
    names = dict.fromkeys(names_below(text, domain), "text")
    names.update((host, element) for host in hosts if host == domain or host.endswith(f".{domain}"))
    yield from name_claims(names, hosts, about)


def contact_of(text: str) -> Entity | None:
    """The mailbox, number or page that a contact is, with or without its scheme."""
    if text[:4].lower() == "http":
        return sound(entities.url, text)
    if text[:4].lower() == "tel:" or text[:1] == "+":
        return sound(entities.phone_number, text)
    return sound(entities.email_address, text)
