"""RIPEstat's data calls (https://stat.ripe.net/docs/data-api/api-endpoints/)."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.world import AutonomousSystem, World

MOMENT = "%Y-%m-%dT%H:%M:%S"


def answer(world: World, request: Request) -> Response | None:
    _, *parts = request.path.split("/")
    if len(parts) != 3 or parts[0] != "data" or parts[2] != "data.json":
        return None
    call = CALLS.get(parts[1])
    resource = request.parameter("resource")
    data = call(world, resource) if call else None
    sound = data is not None
    return json(
        {
            "messages": [] if sound else [["error", f"{resource!r} is not a valid resource."]],
            "see_also": [],
            "version": "1.3",
            "data_call_name": parts[1],
            "data_call_status": "supported",
            "cached": False,
            "data": data or {},
            "query_id": "20261102090000-0b1e",
            "process_time": 7,
            "server_id": "app101",
            "build_version": "live.2026.10.30.200",
            "status": "ok" if sound else "error",
            "status_code": 200 if sound else 400,
            "time": world.now.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        },
        status=200 if sound else 400,
    )


def system_of(world: World, resource: str) -> AutonomousSystem | None:
    digits = resource.upper().removeprefix("AS")
    return world.system(int(digits)) if digits.isascii() and digits.isdecimal() else None


def prefix_overview(world: World, resource: str) -> dict[str, Any] | None:
    try:
        ip_address(resource.partition("/")[0])
        block = world.netblock(resource)
    except ValueError:
        return None
    system = world.system(block.asn) if block else None
    holder = {"asn": system.number, "holder": f"{system.name} - {system.description}"} if system else None
    return {
        "is_less_specific": block is not None and block.network != resource,
        "announced": system is not None,
        "asns": [holder] if holder else [],
        "related_prefixes": [],
        "resource": block.network if block else resource,
        "type": "prefix",
        "block": {"resource": "0.0.0.0/0", "desc": "Lab", "name": "IANA IPv4 Address Space Registry"},
        "actual_num_related": 0,
        "query_time": world.now.strftime(MOMENT),
        "num_filtered_out": 0,
    }


def as_overview(world: World, resource: str) -> dict[str, Any]:
    system = system_of(world, resource)
    return {
        "type": "as",
        "resource": resource.upper().removeprefix("AS"),
        "block": {"resource": "64496-64511", "desc": "Lab", "name": "IANA AS Numbers"},
        "holder": f"{system.name} - {system.description}" if system else None,
        "announced": bool(system and system.prefixes),
        "query_starttime": world.now.strftime(MOMENT),
        "query_endtime": world.now.strftime(MOMENT),
    }


def announced_prefixes(world: World, resource: str) -> dict[str, Any]:
    system = system_of(world, resource)
    begin, end = world.now.replace(day=1).strftime(MOMENT), world.now.strftime(MOMENT)
    timelines = [{"starttime": begin, "endtime": end}]
    prefixes = system.prefixes if system else ()
    return {
        "prefixes": [{"prefix": prefix, "timelines": timelines} for prefix in prefixes],
        "query_starttime": begin,
        "query_endtime": end,
        "resource": resource.upper().removeprefix("AS"),
        "latest_time": end,
        "earliest_time": "2000-08-01T00:00:00",
    }


def abuse_contact_finder(world: World, resource: str) -> dict[str, Any] | None:
    try:
        found = system_of(world, resource) or world.netblock(resource)
    except ValueError:
        return None
    return {
        "abuse_contacts": [found.abuse.email] if found else [],
        "authoritative_rir": found.registry if found else "",
        "latest_time": world.now.strftime(MOMENT),
        "earliest_time": world.now.strftime(MOMENT),
        "parameters": {"resource": resource, "cache": None},
    }


def maxmind_geo_lite(world: World, resource: str) -> dict[str, Any] | None:
    try:
        block = world.netblock(resource)
    except ValueError:
        return None
    place = {
        "country": block.holder.country if block else "?",
        "city": block.holder.city if block else "",
        "resources": [resource],
        "latitude": 53.4106,
        "longitude": -2.9779,
        "covered_percentage": 100.0,
        "unknown_percentage": 0.0,
    }
    return {
        "located_resources": [{"resource": resource, "locations": [place], "unknown_percentage": 0.0}],
        "result_time": world.now.strftime(MOMENT),
        "parameters": {"resources": [resource]},
    }


CALLS: dict[str, Callable[[World, str], dict[str, Any] | None]] = {
    "prefix-overview": prefix_overview,
    "as-overview": as_overview,
    "announced-prefixes": announced_prefixes,
    "abuse-contact-finder": abuse_contact_finder,
    "maxmind-geo-lite": maxmind_geo_lite,
}

PROVIDER = Provider(id="ripestat", hosts=("stat.ripe.net",), answer=answer)
