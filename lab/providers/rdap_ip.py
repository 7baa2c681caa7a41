"""RDAP of addresses: IANA's directory and the registry of the lab's networks (RFC 9083, RFC 9224)."""

from ipaddress import ip_network
from typing import Any

from msgspec.structs import replace

from lab.providers import Provider, Request, Response, json
from lab.providers.rdap_domain import TYPE, card, directory, event, missing
from lab.world import Contact, Netblock, World

SERVER = "rdap.db.ripe.net"
SERVICES = {
    "ipv4": [[["192.0.0.0/8", "198.0.0.0/8", "203.0.0.0/8"], [f"https://{SERVER}/"]]],
    "ipv6": [[["2001:c00::/22"], [f"https://{SERVER}/"]]],
}


def answer(world: World, request: Request) -> Response | None:
    if request.host == "data.iana.org":
        kind = request.path.removeprefix("/rdap/").removesuffix(".json")
        return directory(world, SERVICES[kind]) if kind in SERVICES else None
    if not request.path.startswith("/ip/"):
        return None
    try:
        block = world.netblock(request.path.removeprefix("/ip/"))
    except ValueError:
        block = None
    return json(network(block), media_type=TYPE) if block else missing()


def holders(holder: Contact, abuse: Contact) -> list[dict[str, Any]]:
    """The organisation, the maintainer that guards the record, and who takes complaints."""
    return [
        {
            "objectClassName": "entity",
            "handle": "LAB-MNT",
            "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "LAB-MNT"],
                                     ["kind", {}, "text", "individual"]]],
            "roles": ["registrant"],
        },
        {
            "objectClassName": "entity",
            "handle": holder.handle,
            "vcardArray": card(replace(holder, name=holder.organisation), "org", country=False),
            "roles": ["registrant"],
        },
        {
            "objectClassName": "entity",
            "handle": abuse.handle,
            "vcardArray": card(abuse, "group", country=False),
            "roles": ["abuse"],
        },
    ]  # fmt: skip


def network(block: Netblock) -> dict[str, Any]:
    whole = ip_network(block.network)
    own = f"https://{SERVER}/ip/{block.network}"
    return {
        "objectClassName": "ip network",
        "rdapConformance": ["cidr0", "rdap_level_0", "nro_rdap_profile_0"],
        "handle": block.handle,
        "startAddress": str(whole[0]),
        "endAddress": str(whole[-1]),
        "ipVersion": f"v{whole.version}",
        "name": block.name,
        "type": block.status,
        "country": block.country,
        "parentHandle": f"LAB-PARENT-{whole.version}",
        "cidr0_cidrs": [{f"v{whole.version}prefix": str(whole[0]), "length": whole.prefixlen}],
        "status": ["active"],
        "entities": holders(block.holder, block.abuse),
        "links": [{"value": own, "rel": "self", "href": own, "type": TYPE}],
        "events": [event("registration", block.registered), event("last changed", block.changed)],
        "port43": "whois.ripe.net",
    }


def states(world: World) -> list[tuple[str, ...]]:
    """The networks and their holders, by the registry's own handles."""
    stated: list[tuple[str, ...]] = [("registration", "ripencc", block.handle) for block in world.netblocks]
    return stated + [("organization", "ripencc", block.holder.handle) for block in world.netblocks]


PROVIDER = Provider(id="rdap_ip", hosts=("data.iana.org", SERVER), answer=answer, states=states)
