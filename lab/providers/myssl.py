"""MySSL: hosts below a domain that were tested, as JSON (https://myssl.com/)."""

from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.sightings import period
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/api/v1/discover_sub_domain":
        return None
    domain = request.parameter("domain").lower()
    if "." not in domain:
        return json({"code": -1, "error": "domain error", "data": None})
    return json({"code": 0, "data": [host(world, name) for name in world.known_names("myssl", domain)]})


def host(world: World, name: str) -> dict[str, Any]:
    return {
        "ip": world.last_address(name),
        "port": "443",
        "tips": [],
        "level": 2,
        "title": "",
        "domain": name,
        "is_ats": True,
        "is_pci": False,
        "server": "",
        "is_tlcp": False,
        "duration": 46,
        "icon_url": "",
        "is_sslvpn": False,
        "level_str": "A",
        "ip_location": "英国",
        "is_enable_gm": False,
        "evaluate_date": period(world, "myssl", name)[1].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "demotion_reason": [],
        "ignore_trust_level": "A",
        "meet_gm_double_cert_statndard": False,
    }


PROVIDER = Provider(id="myssl", hosts=("myssl.com",), answer=answer)
