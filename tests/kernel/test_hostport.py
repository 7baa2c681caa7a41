import pytest

from services.kernel.hostport import join_host_port, split_host_port


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]", "2001:db8::1", 53),
        ("[2001:db8::1]:5353", "2001:db8::1", 5353),
        ("ns.example:1", "ns.example", 1),
        ("ns.example:65535", "ns.example", 65535),
    ],
)
def test_a_host_is_read_with_and_without_a_port(text: str, host: str, port: int) -> None:
    assert split_host_port(text, 53) == (host, port)


@pytest.mark.parametrize(
    "text", ["a:0", "a:65536", "a:x", "a:٣", "a:-1", "[::1]53", "[::1]:x", "a: 53", "a:1000000", "[::1:53"]
)
def test_what_is_no_port_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        split_host_port(text, 53)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "ns.example"])
def test_what_was_joined_is_split_the_same_way(host: str) -> None:
    assert split_host_port(join_host_port(host, 8053), 53) == (host, 8053)
