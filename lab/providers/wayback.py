"""The Wayback Machine's CDX server, as JSON with a resumption key
(https://github.com/internetarchive/wayback/tree/master/wayback-cdx-server).
"""

from collections.abc import Iterator
from urllib.parse import quote_plus

from lab.providers import Provider, Request, Response, json, text
from lab.sightings import known_to, period
from lab.world import World

STAMP = "%Y%m%d%H%M%S"
COLUMNS = ("urlkey", "timestamp", "original", "endtimestamp")
LEFT_BEHIND = "/old/backup-2019.sql.gz"
"""A file that was captured once on the first host of the source's list."""


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/cdx/search/cdx":
        return None
    domain = request.parameter("url").removeprefix("*.").removesuffix("/*").lower()
    rows = sorted(captures(world, domain))
    if request.parameter("output") != "json":
        return text("".join(f"{key} {stamp} {url}\n" for key, stamp, url, _ in rows))
    if not rows:
        return json([])
    resume = request.parameter("resumeKey").partition(" ")[0]
    limit = request.parameter("limit", "150000")
    count = int(limit) if limit.isascii() and limit.isdecimal() and limit != "0" else 150_000
    rest = [row for row in rows if row[0] >= resume] if resume else rows
    columns = [COLUMNS.index(name) for name in fields(request)]
    table = [fields(request), *([row[column] for column in columns] for row in rest[:count])]
    if len(rest) > count and request.parameter("showResumeKey") == "true":
        table += [[], [quote_plus(f"{rest[count][0]} {rest[count][1]}")]]
    return json(table)


def fields(request: Request) -> list[str]:
    told = COLUMNS if request.parameter("lastSkipTimestamp") == "true" else COLUMNS[:3]
    return [name for name in request.parameter("fl").split(",") if name in told] or list(told)


def captures(world: World, domain: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows of (key, first timestamp, URL, last timestamp), one a URL."""
    for number, name in enumerate(world.known_names("wayback", domain)):
        first, last = (moment.strftime(STAMP) for moment in period(world, "wayback", name))
        key = ",".join(reversed(name.split(".")))
        yield f"{key})/", first, f"https://{name}/", last
        yield f"{key})/index.html", first, f"http://{name}:80/index.html", first
        if number == 0:
            yield f"{key}){LEFT_BEHIND}", first, f"https://{name}{LEFT_BEHIND}", first


def states(world: World) -> Iterator[tuple[str, ...]]:
    """The file that somebody left behind on the first host of each domain."""
    for domain in world.organisation.domains:
        yield from (("url", f"https://{name}{LEFT_BEHIND}") for name in world.known_names("wayback", domain)[:1])
    yield from (("url", f"https://{name}/") for name in known_to(world, "wayback"))


PROVIDER = Provider(id="wayback", hosts=("web.archive.org",), answer=answer, states=states)
