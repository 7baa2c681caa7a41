"""What is said of the networks among the targets of a scan."""

from services.cli.commands.scan import networks_among
from services.cli.networks import described
from services.contracts.entities import name, netblock
from services.contracts.resources import NewScan
from tests.services.scans.desk import module

MODULES = (
    module("cymru", "passive", "netblock", "asn"),
    module("tcp_ports", "active", "netblock", options={"addresses": 1024}),
    module("web", "active", "hostname"),
)
PLANNED = {"cymru", "tcp_ports", "web"}


def test_a_network_has_its_size_and_who_goes_through_it() -> None:
    (said,) = described([name("example.org"), netblock("198.51.100.0/24")], PLANNED, MODULES)
    assert said.startswith("198.51.100.0/24 is 256 addresses: asked about as a whole by cymru; gone through")
    assert "by tcp_ports" in said
    assert "web" not in said


def test_a_network_that_is_too_large_for_a_module_is_said_so() -> None:
    (said,) = described([netblock("198.18.0.0/15")], PLANNED, MODULES)
    assert "131,072 addresses" in said
    assert "too large to be gone through by tcp_ports (it takes 1,024)" in said


def test_what_is_not_planned_does_nothing() -> None:
    (said,) = described([netblock("2001:db8::/32")], {"cymru"}, MODULES)
    assert said.startswith("2001:db8::/32 is 2^96 addresses: asked about as a whole by cymru; other modules")


def test_many_networks_are_summed_up() -> None:
    *_, last = described([netblock(f"10.{n}.0.0/16") for n in range(9)], PLANNED, MODULES)
    assert "6 other networks" in last
    assert "589,824 addresses in all" in last


def test_networks_are_found_among_however_many_targets() -> None:
    targets = (*(f"https://www.example.org/{n}" for n in range(200)), "198.51.100.0/24")
    assert networks_among(NewScan(targets=targets)) == [netblock("198.51.100.0/24")]
