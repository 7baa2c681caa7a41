import ipaddress

from lab.running import Lab
from services.collector.modules.reverse_sweep import pointed
from services.contracts import entities
from tests.collector.modules.wired import Wire, related


async def test_every_address_of_a_network_that_has_a_name_gives_it(lab: Lab, wire: Wire) -> None:
    network = next(block for block in lab.world.organisation.netblocks if ":" not in block)
    result = await wire.run("reverse_sweep", entities.netblock(network))
    found = {(relation.source.value, relation.target.value) for relation in related(result, "reverse_resolves_to")}
    within = [address for address in lab.world.addresses if ":" not in address.ip and _holds(network, address.ip)]
    assert found == {(address.ip, address.ptr) for address in within if address.ptr}


def _holds(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def test_the_name_of_an_address_in_the_reverse_tree_leads_back_to_it() -> None:
    for text in ("192.0.2.1", "2001:db8::a:1"):
        assert pointed(ipaddress.ip_address(text).reverse_pointer) == text
    for text in ("x.2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa", "1.0.ip6.arpa", "example.org"):
        assert pointed(text) == ""
