import pytest

from lab.dial import dial_table, logical, loopback
from lab.running import Lab
from services.kernel.egress.dial import DialTable
from services.kernel.egress.errors import Refused, Unreachable


@pytest.mark.parametrize(
    "ip",
    ["192.0.2.0", "192.0.2.53", "198.51.100.255", "203.0.113.9", "198.18.0.1", "198.19.255.254", "2001:db8:100::c"],
)
def test_every_logical_address_has_one_loopback_address(ip: str) -> None:
    assert loopback(ip).startswith("127.")
    assert logical(loopback(ip)) == ip


@pytest.mark.parametrize("ip", ["8.8.8.8", "127.0.0.1", "2001:db8::1", "198.20.0.1", "10.0.0.1"])
def test_no_other_address_has_one(ip: str) -> None:
    with pytest.raises(ValueError, match="not an address of the lab"):
        loopback(ip)


async def test_the_kernel_reads_the_table_and_finds_exactly_what_is_open(lab: Lab) -> None:
    table = DialTable.read(lab.environment()["MIRAGE_DIAL_TABLE"])
    for address in lab.world.addresses:
        numbers = {port.number for port in address.ports} - {53}
        for number in {22, 25, 80, 443, 8080} | numbers:
            if number in numbers:
                assert table.find(address.ip, number, "tcp") == lab.dial(address.ip, number)
            else:
                with pytest.raises(Refused):
                    table.find(address.ip, number, "tcp")
    assert table.find("192.0.2.53", 53, "udp") == lab.resolver_address
    for server in lab.world.nameservers:
        assert table.find(server.address, 53, "udp") == lab.dial(server.address, 53, "udp")
    for stranger in ("192.0.2.200", "198.18.77.77", "10.0.0.1", "2001:db8:100::ffff"):
        with pytest.raises(Unreachable):
            table.find(stranger, 80, "tcp")


def test_neighbouring_addresses_become_one_entry() -> None:
    table = dial_table([(f"192.0.2.{n}", "tcp", 80) for n in range(8, 16)], ["192.0.2.8"], {("tcp", 80): 9})
    assert table.count(b"network") == 1
    assert b'"192.0.2.8/29"' in table
