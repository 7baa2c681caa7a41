"""Shodan's InternetDB: what scanners saw of an address (https://internetdb.shodan.io/docs)."""

from ipaddress import ip_address

from lab.providers import Provider, Request, Response, json
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    text = request.path.removeprefix("/")
    try:
        ip = str(ip_address(text))
    except ValueError:
        return json({"detail": "Invalid IP address"}, status=422) if text and "/" not in text else None
    address = world.address(ip)
    if address is None or not address.ports:
        return json({"detail": "No information available"}, status=404)
    names = dict.fromkeys((address.ptr, *address.known_hosts) if address.ptr else address.known_hosts)
    return json(
        {
            "cpes": list(dict.fromkeys(address.cpes)),
            "hostnames": list(names),
            "ip": ip,
            "ports": [port.number for port in address.ports],
            "tags": list(address.tags),
            "vulns": list(address.vulnerabilities),
        }
    )


PROVIDER = Provider(id="internetdb", hosts=("internetdb.shodan.io",), answer=answer)
