"""PeeringDB's networks and organisations (https://www.peeringdb.com/apidocs/)."""

from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.world import AutonomousSystem, World

STAMP = "%Y-%m-%dT%H:%M:%SZ"


def answer(world: World, request: Request) -> Response | None:
    listed = [system for system in world.systems if system.peeringdb_id]
    if request.path == "/api/net":
        number = request.parameter("asn")
        found = [network(system) for system in listed if str(system.number) == number]
    elif request.path == "/api/org":
        name, identity = request.parameter("name").lower(), request.parameter("id")
        found = [
            organisation(system)
            | {"net_set": [{"id": system.peeringdb_id, "asn": system.number, "name": system.name, "status": "ok"}]}
            for system in listed
            if system.description.lower() == name or str(system.peeringdb_id) == identity
        ]
    else:
        return None
    return json({"data": found, "meta": {}})


def organisation(system: AutonomousSystem) -> dict[str, Any]:
    return {
        "id": system.peeringdb_id,
        "name": system.description,
        "aka": "",
        "name_long": "",
        "website": system.website,
        "social_media": [],
        "notes": "",
        "net_set": [system.peeringdb_id],
        "fac_set": [],
        "ix_set": [],
        "carrier_set": [],
        "campus_set": [],
        "address1": system.holder.street,
        "address2": "",
        "city": system.holder.city,
        "country": system.country,
        "state": "",
        "zipcode": system.holder.postcode,
        "floor": "",
        "suite": "",
        "latitude": None,
        "longitude": None,
        "created": system.registered.strftime(STAMP),
        "updated": system.changed.strftime(STAMP),
        "status": "ok",
    }


def network(system: AutonomousSystem) -> dict[str, Any]:
    times = {"created": system.registered.strftime(STAMP), "updated": system.changed.strftime(STAMP), "status": "ok"}
    return {
        "id": system.peeringdb_id,
        "org_id": system.peeringdb_id,
        "org": organisation(system),
        "name": system.name,
        "aka": "",
        "name_long": "",
        "website": system.website,
        "social_media": [],
        "asn": system.number,
        "looking_glass": system.looking_glass,
        "route_server": "",
        "irr_as_set": system.as_set,
        "info_type": system.network_type,
        "info_types": [system.network_type],
        "info_prefixes4": 10,
        "info_prefixes6": 2,
        "info_traffic": "1-5Gbps",
        "info_ratio": "Balanced",
        "info_scope": "Europe",
        "info_unicast": True,
        "info_multicast": False,
        "info_ipv6": True,
        "info_never_via_route_servers": False,
        "ix_count": len(system.exchanges),
        "fac_count": len(system.facilities),
        "notes": "",
        "policy_url": "",
        "policy_general": system.policy,
        "policy_locations": "Not Required",
        "policy_ratio": False,
        "policy_contracts": "Not Required",
        "netfac_set": [
            {
                "id": 50_000 + facility.id,
                "name": facility.name,
                "city": facility.city,
                "country": facility.country,
                "fac_id": facility.id,
                "local_asn": system.number,
                **times,
            }
            for facility in system.facilities
        ],
        "netixlan_set": [
            {
                "id": 60_000 + exchange.id,
                "ix_id": exchange.id,
                "name": exchange.name,
                "ixlan_id": exchange.id,
                "notes": "",
                "speed": exchange.speed,
                "asn": system.number,
                "ipaddr4": exchange.ipv4,
                "ipaddr6": exchange.ipv6,
                "is_rs_peer": True,
                "bfd_support": False,
                "operational": True,
                **times,
            }
            for exchange in system.exchanges
        ],
        "poc_set": [
            {"id": 1, "role": "NOC", "visible": "Public", "name": "NOC", "phone": system.holder.phone,
             "email": system.holder.email, "url": "", **times},
            {"id": 2, "role": "Abuse", "visible": "Public", "name": "Abuse", "phone": "",
             "email": system.abuse.email, "url": "", **times},
        ],
        "allow_ixp_update": False,
        "status_dashboard": "",
        "rir_status": "ok",
        "rir_status_updated": system.changed.strftime(STAMP),
        "logo": None,
        **times,
    }  # fmt: skip


PROVIDER = Provider(id="peeringdb", hosts=("www.peeringdb.com",), answer=answer)
