"""The names that a network's own reverse zone gives to its addresses (PTR). Every address of a network in scope is
asked for, through the resolvers; only they and the network's name servers see the questions.
"""

import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address, ip_network

from services.collector.archetypes.names import any_name
from services.collector.archetypes.sound import sound
from services.collector.context import Answer, Context, DnsAnswer, Skipped, Unreachable
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="reverse_sweep",
    version=1,
    title="Reverse DNS of networks",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc1035",
    format="https://www.rfc-editor.org/rfc/rfc3596",
    consumes=("netblock",),
    produces=("domain", "hostname", "ip_address", "reverse_resolves_to"),
    options={"addresses": 65_536},
    rate=0.0,
    concurrency=4,
    cost=1.0,
    freshness=604_800,
    timeout=1800.0,
    licence="none",
)

MAX_NAMES = 8  # of one address
_ipv4 = re.compile(r"((?:[0-9]{1,3}\.){4})in-addr\.arpa").fullmatch
_ipv6 = re.compile(r"((?:[0-9a-f]\.){32})ip6\.arpa").fullmatch


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if not ctx.scope.covers(seen):
        raise Skipped(f"{seen.value} is out of scope")
    network = ip_network(seen.value)
    if network.num_addresses > int(ctx.options["addresses"]):
        raise Skipped(f"{seen.value} has {network.num_addresses} addresses, too many to ask for each")
    silent = asked = 0
    async for answer in ctx.dns.sweep((address.reverse_pointer for address in network), "PTR"):
        silent += sum(not resolution.asked for resolution in answer.resolutions)
        asked += len(answer.resolutions)
        yield answer
    if silent > asked // 10:
        raise Unreachable(f"{silent} of {asked} addresses of {seen.value} got no answer")


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    for resolution in answer.resolutions:
        address = sound(entities.ip_address, pointed(resolution.name)) if resolution.status == "found" else None
        if address is None:
            continue
        pointers = [record for record in resolution.records if record.type == "PTR"]
        for record in pointers[:MAX_NAMES]:
            name = any_name(record.data)
            if name is not None:
                yield relations.reverse_resolves_to(address, name, ttl=record.ttl)


def pointed(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for, or nothing."""
    if match := _ipv4(name):
        return ".".join(reversed(match[1].rstrip(".").split(".")))
    if match := _ipv6(name):
        digits = "".join(reversed(match[1].rstrip(".").split(".")))
        return str(ip_address(bytes.fromhex(digits)))
    return ""
