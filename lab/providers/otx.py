"""Open Threat Exchange: passive DNS of a domain or an address, URLs of a domain (https://otx.alienvault.com/api).

It answers everybody as it answers those with a key; without one the real OTX refuses the passive DNS of domains.
"""

from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.sightings import known_to, names_at, period
from lab.world import World

MOMENT = "%Y-%m-%dT%H:%M:%S"


def answer(world: World, request: Request) -> Response | None:
    parts = request.path.removeprefix("/api/v1/indicators/").split("/")
    if len(parts) != 3:
        return None
    kind, subject, section = parts
    if kind == "domain" and section == "url_list":
        return json(urls(world, subject.lower(), request))
    if section != "passive_dns" or kind not in {"domain", "IPv4", "IPv6"}:
        return json({"detail": "Endpoint not found."}, status=404)
    if kind == "domain":
        rows = [row(world, name, world.last_address(name)) for name in world.known_names("otx", subject.lower())]
    else:
        rows = [row(world, name, subject) for name in names_at(world, "otx", subject)]
    return json({"passive_dns": [found for found in rows if found["address"]], "count": len(rows)})


def row(world: World, name: str, address: str) -> dict[str, Any]:
    first, last = period(world, "otx", name)
    block = world.netblock(address) if address else None
    system = world.system(block.asn) if block else None
    return {
        "address": address,
        "first": first.strftime(MOMENT),
        "last": last.strftime(MOMENT),
        "hostname": name,
        "record_type": "AAAA" if ":" in address else "A",
        "indicator_link": f"/indicator/hostname/{name}",
        "flag_url": "assets/images/flags/gb.png",
        "flag_title": "United Kingdom",
        "asset_type": "hostname",
        "asn": f"AS{system.number} {system.description.lower()}" if system else None,
        "suspicious": False,
        "whitelisted_message": [],
        "whitelisted": False,
    }


def urls(world: World, domain: str, request: Request) -> dict[str, Any]:
    number, limit = request.parameter("page", "1"), request.parameter("limit", "10")
    page, size = (int(text) if text.isascii() and text.isdecimal() and text != "0" else 1 for text in (number, limit))
    names = world.known_names("otx", domain)
    shown = names[(page - 1) * size : page * size]
    return {
        "url_list": [
            {
                "url": f"https://{name}/",
                "date": period(world, "otx", name)[1].strftime(MOMENT),
                "domain": domain,
                "hostname": name,
                "result": {"urlworker": {"ip": world.last_address(name), "http_code": 200}},
                "httpcode": 200,
                "gsb": [],
                "encoded": f"https%3A//{name}/",
            }
            for name in shown
        ],
        "page_num": page,
        "limit": size,
        "paged": True,
        "has_next": len(names) > page * size,
        "full_size": len(names),
        "actual_size": len(names),
    }


def states(world: World) -> list[tuple[str, ...]]:
    """Other people's names at addresses that the target shares."""
    known = set(known_to(world, "otx"))
    return [("hostname", stranger.name) for stranger in world.strangers if stranger.name not in known]


PROVIDER = Provider(id="otx", hosts=("otx.alienvault.com",), answer=answer, states=states)
