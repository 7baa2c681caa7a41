"""Names, records and questions on the wire (RFC 1035, RFC 6891)."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct as Layout

import dns.rdata
import dns.rdataclass
import dns.rdatatype

A, NS, CNAME, SOA, PTR, TXT, AAAA, OPT, NSEC, AXFR = 1, 2, 5, 6, 12, 16, 28, 41, 47, 252
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
IN = b"\0\x01"
OWNER = b"\xc0\x0c"
"""A pointer to the name in the question, which is always the first thing after the header."""
EDNS = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
"""An OPT record that offers datagrams of 1,232 octets."""

record_head = Layout("!HHIH").pack


@lru_cache(maxsize=65536)
def encode_name(name: str) -> bytes:
    """`name` (lower case, with or without the trailing dot) as labels; the empty name is the root."""
    labels = name.rstrip(".").split(".") if name.strip(".") else []
    return b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"


def decode_name(wire: bytes) -> str:
    """The text of an uncompressed name, without a trailing dot, bytes outside ASCII as they are in Latin-1."""
    labels, place = [], 0
    while place < len(wire) and (length := wire[place]):
        labels.append(wire[place + 1 : place + 1 + length].decode("latin-1"))
        place += 1 + length
    return ".".join(labels)


def parent(name: bytes) -> bytes:
    """The wire name one label shorter."""
    return name[1 + name[0] :]


@lru_cache(maxsize=65536)
def encode_value(kind: str, value: str) -> bytes:
    """The data of a record from its presentation form."""
    if kind == "A":
        return IPv4Address(value).packed
    if kind == "AAAA":
        return IPv6Address(value).packed
    if kind in ("CNAME", "NS", "PTR"):
        return encode_name(value)
    wire = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), value).to_wire()
    assert wire is not None
    return wire


def type_number(kind: str) -> int:
    return int(dns.rdatatype.from_text(kind))


def type_name(number: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def record(owner: bytes, kind: int, ttl: int, value: bytes) -> bytes:
    """A whole record; `owner` is a wire name or `OWNER`."""
    return owner + record_head(kind, 1, ttl, len(value)) + value
