"""The guard's list, address by address, in every form in which an address can hide."""

import contextlib
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.egress import Forbidden, Guard
from services.kernel.egress.guard import FORBIDDEN_V4, FORBIDDEN_V6
from tests.examples import examples

INSIDE = {
    "0.0.0.0": "this network",
    "0.255.255.255": "this network",
    "10.0.0.0": "private",
    "10.255.255.255": "private",
    "100.64.0.0": "carrier-grade NAT",
    "100.100.100.200": "carrier-grade NAT",
    "100.127.255.255": "carrier-grade NAT",
    "127.0.0.0": "loopback",
    "127.0.0.1": "loopback",
    "127.255.255.255": "loopback",
    "168.63.129.16": "metadata",
    "169.254.0.0": "link-local",
    "169.254.169.254": "metadata",
    "169.254.170.2": "link-local",
    "169.254.255.255": "link-local",
    "172.16.0.0": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "metadata",
    "192.168.0.0": "private",
    "192.168.255.255": "private",
    "224.0.0.0": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.0": "reserved",
    "255.255.255.254": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "0:0:0:0:0:0:0:1": "loopback",
    "64:ff9b:1::": "local NAT64",
    "64:ff9b:1::808:808": "local NAT64",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff": "local NAT64",
    "fc00::": "unique local",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "unique local",
    "fe80::": "link-local",
    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "link-local",
    "fec0::": "site-local",
    "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "site-local",
    "ff00::": "multicast",
    "ff02::1": "multicast",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "multicast",
}
OUTSIDE = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.0.191",
    "192.0.0.193",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    # documentation and benchmark networks
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "2001:db8::1",
    "3fff::1",
    "2606:4700:4700::1111",
    "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe00::",
    "64:ff9b:2::",
]


def mapped(address: str) -> dict[str, str]:
    """Every standard way to write an IPv4 address into an IPv6 one."""
    first, second, third, fourth = map(int, address.split("."))
    high, low = f"{first << 8 | second:x}", f"{third << 8 | fourth:x}"
    inverted = f"{~(first << 8 | second) & 0xFFFF:x}:{~(third << 8 | fourth) & 0xFFFF:x}"
    return {
        "mapped": f"::ffff:{address}",
        "mapped, in hexadecimal": f"::ffff:{high}:{low}",
        "compatible": f"::{address}",
        "translated": f"::ffff:0:{address}",
        "NAT64": f"64:ff9b::{address}",
        "6to4": f"2002:{high}:{low}::",
        "6to4 with a host": f"2002:{high}:{low}:1::abcd",
        "Teredo client": f"2001:0:808:808:0:0:{inverted}",
        "Teredo server": f"2001:0:{high}:{low}:0:0:f7f7:f7f7",
        "ISATAP": f"2001:db8::5efe:{address}",
        "ISATAP, universal": f"2001:db8::200:5efe:{address}",
    }


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_on_the_list_is_refused_with_its_reason(address: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        Guard().check(address)
    assert refusal.value.reason == INSIDE[address]
    assert refusal.value.address == address


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_not_on_the_list_may_be_dialled(address: str) -> None:
    Guard().check(address)


@pytest.mark.parametrize("form", mapped("10.0.0.1"))
@pytest.mark.parametrize("address", [each for each in INSIDE if "." in each])
def test_a_listed_address_is_found_inside_another(address: str, form: str) -> None:
    with pytest.raises(Forbidden):
        Guard().check(mapped(address)[form])


@pytest.mark.parametrize("form", mapped("8.8.8.8"))
@pytest.mark.parametrize("address", ["8.8.8.8", "192.0.2.1", "198.18.0.1"])
def test_an_innocent_address_inside_another_is_no_reason(address: str, form: str) -> None:
    Guard().check(mapped(address)[form])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "example.org",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1 ",
        " 8.8.8.8",
        "8.8.8.8:80",
        "8.8.8.8/32",
        "[::1]",
        "::ffff:127.0.0.1%eth0",
        "fe80::1%eth0",
        "2001:db8::1%1",
        "١.1.1.1",
        "8.8.8.8\n",
        "8.8.8.8\0",
    ],
)
def test_only_plain_addresses_are_addresses(text: str) -> None:
    with pytest.raises(Forbidden):
        Guard().check(text)


def test_an_allowed_network_is_let_through_and_only_it() -> None:
    guard = Guard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    guard.check("10.1.2.3")
    guard.check("::ffff:10.1.2.3")
    guard.check("fd00:1::5")
    for address in ("10.2.0.1", "::ffff:10.2.0.1", "fd00:2::5", "127.0.0.1"):
        with pytest.raises(Forbidden):
            guard.check(address)


def test_an_allowed_outer_network_does_not_need_the_inner_one() -> None:
    Guard([ip_network("64:ff9b:1::/48")]).check("64:ff9b:1::a00:1")


@examples(150, database=None)
@given(st.sampled_from(FORBIDDEN_V4 + FORBIDDEN_V6), st.integers(min_value=0))
def test_every_address_of_a_listed_network_is_refused(listed, offset: int) -> None:
    network, _ = listed
    with pytest.raises(Forbidden):
        Guard().check(str(network[offset % network.num_addresses]))


@examples(150, database=None)
@given(st.text(max_size=50))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(Forbidden):
        Guard().check(text)
