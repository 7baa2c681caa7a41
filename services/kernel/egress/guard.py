from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from services.kernel.egress.errors import Forbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORBIDDEN_V4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),  # Azure
        ("169.254.169.254/32", "metadata"),  # most clouds
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.192/32", "metadata"),  # Oracle, first generation
        ("192.168.0.0/16", "private"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
FORBIDDEN_V6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local NAT64"),  # RFC 8215: where the IPv4 address sits is a local choice
        ("fd00:ec2::254/128", "metadata"),  # Amazon
        ("fd20:ce::254/128", "metadata"),  # Google
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

V4_AT_THE_END = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # IPv4-compatible, RFC 4291 2.5.5.1
            "::ffff:0:0/96",  # IPv4-mapped, RFC 4291 2.5.5.2
            "::ffff:0:0:0/96",  # IPv4-translated, RFC 7915
            "64:ff9b::/96",  # NAT64, RFC 6052
        ),
    )
)
SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056
TEREDO = IPv6Network("2001::/32")  # RFC 4380
ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: first half of the interface identifier


class Guard:
    """Judges which addresses may be dialled: an explicit list, refused unless a network is ``allowed``.

    An IPv6 address that carries IPv4 addresses (mapped, compatible, translated, 6to4, Teredo, ISATAP, NAT64)
    is judged by each of them too. Documentation and benchmark networks are not on the list.
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def check(self, address: str) -> None:
        """Return when ``address`` may be dialled; raise `Forbidden` when not, or when it is no plain address."""
        try:
            parsed = parse(address)
        except ValueError:
            raise Forbidden(address, "not an address") from None
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            raise Forbidden(address, "an address with a zone")
        if self._allows(parsed):
            return
        for reading in (parsed, *embedded(parsed)):
            reason = forbidden(reading)
            if reason and not self._allows(reading):
                raise Forbidden(address, reason if reading == parsed else f"{reason} {reading} inside")

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def parse(address: str) -> Address:
    """The address as an object; raises ValueError for anything but a plain address."""
    return IPv6Address(address) if ":" in address else IPv4Address(address)


@lru_cache(maxsize=4096)
def forbidden(address: Address) -> str | None:
    """Why ``address`` itself, leaving aside what it embeds, is on the list; None when it is not."""
    listed: Sequence[tuple[Network, str]] = FORBIDDEN_V4 if address.version == 4 else FORBIDDEN_V6
    for network, reason in listed:
        if address in network:
            return reason
    return None


def embedded(address: Address) -> Iterator[IPv4Address]:
    """Every IPv4 address that an IPv6 address carries by a standard scheme."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if any(address in network for network in V4_AT_THE_END):
        yield IPv4Address(number & 0xFFFFFFFF)
    elif address in SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)  # the server
        yield IPv4Address(~number & 0xFFFFFFFF)  # the client, stored inverted
    if number >> 32 & 0xFFFFFFFF in ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)
