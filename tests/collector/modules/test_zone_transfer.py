import asyncio

import pytest

from lab.running import Lab
from lab.world import Zone
from services.contracts import entities, relations
from services.contracts.claims import Relation
from tests.collector.modules.wired import Wire, named


def servers_of(lab: Lab, zone: Zone) -> list[Relation]:
    servers = [server for server in lab.world.nameservers if zone.name in server.zones]
    return [relations.uses_nameserver(entities.name(zone.name), entities.name(server.name)) for server in servers]


@pytest.mark.parametrize("module", ["zone_transfer", "nsec_walk"])
async def test_a_deeper_zone_that_gives_itself_away_is_known_whole(lab: Lab, wire: Wire, module: str) -> None:
    open_zones = [
        zone
        for zone in lab.world.zones
        if zone.name.endswith(f".{lab.target}")
        and (
            zone.nsec
            if module == "nsec_walk"
            else any(zone.name in server.transfers for server in lab.world.nameservers)
        )
    ]
    assert open_zones
    for zone in open_zones:
        results = await asyncio.gather(*(wire.run(module, server) for server in servers_of(lab, zone)))
        found = set().union(*map(named, results))
        hosts = {record.owner for record in zone.records if record.type in {"A", "AAAA", "CNAME"}}
        assert {name for name in hosts if "*" not in name} <= found


@pytest.mark.parametrize("module", ["zone_transfer", "nsec_walk"])
async def test_the_domain_itself_is_refused_and_that_is_no_failure(lab: Lab, wire: Wire, module: str) -> None:
    result = await wire.run(module, entities.domain(lab.target))
    assert (result.outcome, result.said) == ("empty", ())
