"""Common Crawl: the list of its indexes, and captures a line each (https://index.commoncrawl.org/)."""

import json as plain_json
from math import ceil

from lab.providers import Provider, Request, Response, json, text
from lab.sightings import known_to, period
from lab.world import World

INDEXES = (("CC-MAIN-2026-39", "September 2026 Index"), ("CC-MAIN-2026-34", "August 2026 Index"))
PAGE = 500


def answer(world: World, request: Request) -> Response | None:
    if request.path == "/collinfo.json":
        return json(
            [
                {
                    "id": index,
                    "name": name,
                    "timegate": f"https://index.commoncrawl.org/{index}/",
                    "cdx-api": f"https://index.commoncrawl.org/{index}-index",
                    "from": "2026-08-01T00:00:00",
                    "to": "2026-09-30T00:00:00",
                }
                for index, name in INDEXES
            ]
        )
    place = next((place for place, (index, _) in enumerate(INDEXES) if request.path == f"/{index}-index"), None)
    if place is None:
        return None
    asked = request.parameter("url").lower()
    # Each name is in one index or the other, so that the newest alone does not have them all.
    names = [name for name in world.known_names("commoncrawl", asked.removeprefix("*.")) if len(name) % 2 == place]
    number = request.parameter("page", "0")
    page = int(number) if number.isascii() and number.isdecimal() else 0
    if request.parameter("showNumPages") == "true":
        return json({"pages": ceil(len(names) / PAGE), "pageSize": 5, "blocks": ceil(len(names) / 100)})
    shown = names[page * PAGE : (page + 1) * PAGE]
    if not shown:
        return json({"message": f"No Captures found for: {asked}"}, status=404)
    return text("".join(capture(world, name) for name in shown), media_type="text/x-ndjson")


def capture(world: World, name: str) -> str:
    stamp = period(world, "commoncrawl", name)[1].strftime("%Y%m%d%H%M%S")
    return plain_json.dumps({"url": f"https://{name}/", "timestamp": stamp}) + "\n"


def states(world: World) -> list[tuple[str, ...]]:
    return [("url", f"https://{name}/") for name in known_to(world, "commoncrawl")]


PROVIDER = Provider(id="commoncrawl", hosts=("index.commoncrawl.org",), answer=answer, states=states)
