from pathlib import Path

import msgspec
import pytest

from services.kernel.egress import DialTable, Refused, Unreachable

DOCUMENT = {
    "version": 1,
    "entries": [
        {"network": "192.0.2.0/24", "transport": "tcp", "port": 443, "address": "127.192.2.0", "to_port": 20443},
        {"network": "192.0.2.7/32", "transport": "tcp", "port": 443, "address": "127.9.9.9", "to_port": 21443},
        {"network": "192.0.2.53", "transport": "udp", "port": 53, "address": "127.192.2.53", "to_port": 20053},
        {"network": "198.18.0.0/15", "transport": "tcp", "port": 80, "address": "127.18.0.0", "to_port": 20080},
        {"network": "2001:db8::/112", "transport": "tcp", "port": 80, "address": "127.6.0.0", "to_port": 20080},
        {"network": "2001:db8:1::/48", "transport": "tcp", "port": 80, "address": "127.7.0.0", "to_port": 20080},
    ],
}


@pytest.fixture
def table(tmp_path: Path) -> DialTable:
    path = tmp_path / "dial.json"
    path.write_bytes(msgspec.json.encode(DOCUMENT))
    return DialTable.read(path)


def with_hosts(*hosts: str) -> DialTable:
    document = msgspec.json.encode({**DOCUMENT, "hosts": hosts})
    return DialTable.decode(document)


@pytest.mark.parametrize(
    ("address", "port", "real"),
    [
        ("192.0.2.0", 443, ("127.192.2.0", 20443)),
        ("192.0.2.1", 443, ("127.192.2.1", 20443)),
        ("192.0.2.255", 443, ("127.192.2.255", 20443)),
        ("198.18.1.2", 80, ("127.18.1.2", 20080)),
        ("198.19.255.255", 80, ("127.19.255.255", 20080)),
        ("2001:db8::1:2", 80, None),
        ("2001:db8::12", 80, ("127.6.0.18", 20080)),
        ("2001:db8:1:5::ff01", 80, ("127.7.255.1", 20080)),
        ("::ffff:192.0.2.1", 443, ("127.192.2.1", 20443)),
    ],
)
def test_the_offset_in_the_network_is_added_to_the_base(table: DialTable, address, port, real) -> None:
    if real is None:
        with pytest.raises(Unreachable):
            table.find(address, port, "tcp")
    else:
        assert table.find(address, port, "tcp") == real


def test_the_longest_network_wins(table: DialTable) -> None:
    assert table.find("192.0.2.7", 443, "tcp") == ("127.9.9.9", 21443)


def test_a_known_address_without_the_port_refuses(table: DialTable) -> None:
    for address, port, transport in (("192.0.2.1", 80, "tcp"), ("192.0.2.53", 53, "tcp"), ("192.0.2.1", 443, "udp")):
        with pytest.raises(Refused):
            table.find(address, port, transport)


def test_an_unknown_address_is_unreachable(table: DialTable) -> None:
    for address in ("192.0.3.1", "8.8.8.8", "127.192.2.1", "2001:db8:2::1", "::1"):
        with pytest.raises(Unreachable):
            table.find(address, 443, "tcp")


def test_hosts_say_which_addresses_exist() -> None:
    table = with_hosts("192.0.2.0/28", "203.0.113.9")
    assert table.find("192.0.2.15", 443, "tcp") == ("127.192.2.15", 20443)
    with pytest.raises(Unreachable):
        table.find("192.0.2.16", 443, "tcp")
    with pytest.raises(Refused):
        table.find("192.0.2.3", 80, "tcp")
    with pytest.raises(Refused):
        table.find("203.0.113.9", 443, "tcp")


def test_no_hosts_at_all_means_that_nothing_exists() -> None:
    with pytest.raises(Unreachable):
        with_hosts().find("192.0.2.1", 443, "tcp")


def test_the_real_side_is_known(table: DialTable) -> None:
    assert table.leads_to("127.192.2.53", 20053, "udp")
    assert table.leads_to("127.192.2.200", 20443, "tcp")
    assert not table.leads_to("127.192.2.53", 20053, "tcp")
    assert not table.leads_to("127.192.2.53", 53, "udp")
    assert not table.leads_to("127.192.3.0", 20443, "tcp")
    assert not table.leads_to("192.0.2.53", 53, "udp")


@pytest.mark.parametrize(
    "change",
    [
        {"network": "192.0.2.1/24"},
        {"network": "example.org"},
        {"transport": "sctp"},
        {"port": 0},
        {"to_port": 70000},
        {"address": "localhost"},
        {"address": "255.255.255.0", "network": "192.0.2.0/23"},
        {"extra": 1},
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(change) -> None:
    entry = {**DOCUMENT["entries"][0], **change}
    with pytest.raises(ValueError, match=r"."):
        DialTable.decode(msgspec.json.encode({"version": 1, "entries": [entry]}))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"version": 2, "entries": []}', b'{"version": 1}'])
def test_another_document_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        DialTable.decode(document)
