import asyncio
import re

import pytest

from lab.running import Lab
from services.collector.modules.tcp_ports import MANIFEST, ports_of
from services.contracts import entities
from tests.collector.modules.wired import Wire, related


async def test_the_open_ports_of_an_address_are_exactly_its_own(lab: Lab, wire: Wire) -> None:
    asked = set(ports_of(str(MANIFEST.options["ports"])))
    own = [
        address
        for address in lab.world.addresses
        if address.owner == "target" and address.ports and ":" not in address.ip
    ]
    chosen = sorted(own, key=lambda address: -len(address.ports))[:3]
    results = await asyncio.gather(*(wire.run("tcp_ports", entities.ip_address(address.ip)) for address in chosen))
    for address, result in zip(chosen, results, strict=True):
        exposed = {relation.target.key for relation in related(result, "exposes")}
        assert exposed == {(address.ip, "tcp", str(port.number)) for port in address.ports if port.number in asked}
        greeting = {port.product.lower() for port in address.ports if port.product and port.banner}
        assert greeting <= {relation.target.key[0] for relation in related(result, "runs")}


async def test_an_address_out_of_scope_is_not_touched(lab: Lab, wire: Wire) -> None:
    other = next(
        address.ip for address in lab.world.addresses if address.owner == "stranger" or address.owner == "affiliate"
    )
    result = await wire.run("tcp_ports", entities.ip_address(other))
    assert result.outcome == "skipped"
    assert lab.touched() == 0


@pytest.mark.parametrize(
    ("text", "ports"),
    [("22, 80,22", (22, 80)), ("8000-8002", (8000, 8001, 8002)), ("x,-1,0,70000,65535-70000", (65535,))],
)
def test_ports_are_listed_as_numbers_and_ranges(text: str, ports: tuple[int, ...]) -> None:
    assert ports_of(text) == ports


@pytest.mark.parametrize("text", [str(MANIFEST.options["ports"]), "443", "22,80,8000-8010", "1-65535", "65535"])
def test_lists_of_ports_are_taken(text: str) -> None:
    assert re.fullmatch(MANIFEST.forms["ports"], text)
    assert ports_of(text)


@pytest.mark.parametrize("text", ["", "abc", "0", "65536", "443,", ",443", "1-2-3", " 443", "80 443", "1--2", "null"])
def test_what_is_no_list_of_ports_is_not_taken(text: str) -> None:
    assert not re.fullmatch(MANIFEST.forms["ports"], text)
