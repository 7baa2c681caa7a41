"""RDAP of autonomous systems: IANA's directory and the registry of the lab's numbers (RFC 9083, RFC 9224)."""

from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.providers.rdap_domain import TYPE, directory, event, missing
from lab.providers.rdap_ip import SERVER, holders
from lab.world import AutonomousSystem, World

SERVICES = [[["8075-8075", "64496-64511"], [f"https://{SERVER}/"]]]


def answer(world: World, request: Request) -> Response | None:
    if request.host == "data.iana.org":
        return directory(world, SERVICES) if request.path == "/rdap/asn.json" else None
    if not request.path.startswith("/autnum/"):
        return None
    digits = request.path.removeprefix("/autnum/")
    system = world.system(int(digits)) if digits.isascii() and digits.isdecimal() else None
    return json(autnum(system), media_type=TYPE) if system else missing()


def autnum(system: AutonomousSystem) -> dict[str, Any]:
    own = f"https://{SERVER}/autnum/{system.number}"
    return {
        "objectClassName": "autnum",
        "rdapConformance": ["rdap_level_0", "nro_rdap_profile_asn_flat_0"],
        "handle": system.handle,
        "startAutnum": system.number,
        "endAutnum": system.number,
        "name": system.name,
        "type": "DIRECT ALLOCATION",
        "status": ["active"],
        "entities": holders(system.holder, system.abuse),
        "links": [{"value": own, "rel": "self", "href": own, "type": TYPE}],
        "events": [event("registration", system.registered), event("last changed", system.changed)],
        "remarks": [{"title": "description", "description": [system.description]}],
        "port43": "whois.ripe.net",
    }


def states(world: World) -> list[tuple[str, ...]]:
    """The systems and their holders, by the registry's own handles."""
    stated: list[tuple[str, ...]] = [("registration", "ripencc", system.handle) for system in world.systems]
    return stated + [("organization", "ripencc", system.holder.handle) for system in world.systems]


PROVIDER = Provider(id="rdap_asn", hosts=("data.iana.org", SERVER), answer=answer, states=states)
