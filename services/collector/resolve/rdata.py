"""The data of resource records as text: common types by hand, the others by dnspython."""

from collections.abc import Callable
from socket import AF_INET6, inet_ntoa, inet_ntop
from struct import Struct
from typing import Final

from services.collector.resolve.names import BadMessage, quoted, read_name

Reader = Callable[[bytes, int, int], str]

SOA_NUMBERS: Final = Struct("!5I")
SRV_NUMBERS: Final = Struct("!3H")

CODES: Final = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "NAPTR": 35,
    "DNAME": 39,
    "OPT": 41,
    "DS": 43,
    "SSHFP": 44,
    "RRSIG": 46,
    "NSEC": 47,
    "DNSKEY": 48,
    "NSEC3": 50,
    "NSEC3PARAM": 51,
    "TLSA": 52,
    "SMIMEA": 53,
    "CDS": 59,
    "CDNSKEY": 60,
    "OPENPGPKEY": 61,
    "SVCB": 64,
    "HTTPS": 65,
    "SPF": 99,
    "AXFR": 252,
    "ANY": 255,
    "CAA": 257,
}
MNEMONICS: Final = {code: name for name, code in CODES.items()}


def type_code(type: str) -> int:
    """The number of a record type, also written TYPE123 (RFC 3597); raises `BadMessage`."""
    code = CODES.get(type)
    if code is None:
        digits = type.removeprefix("TYPE")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) < 1 << 16):
            raise BadMessage(f"{type!r} is not a record type")
        code = int(digits)
    return code


def type_name(code: int) -> str:
    return MNEMONICS.get(code) or f"TYPE{code}"


def a(wire: bytes, at: int, end: int) -> str:
    if end - at != 4:
        raise BadMessage("an A record of the wrong size")
    return inet_ntoa(wire[at:end])


def aaaa(wire: bytes, at: int, end: int) -> str:
    if end - at != 16:
        raise BadMessage("an AAAA record of the wrong size")
    return inet_ntop(AF_INET6, wire[at:end])


def name(wire: bytes, at: int, end: int) -> str:
    text, after = read_name(wire, at)
    if after != end:
        raise BadMessage("a name that does not fill its record")
    return text


def mx(wire: bytes, at: int, end: int) -> str:
    return f"{wire[at] << 8 | wire[at + 1]} {name(wire, at + 2, end)}"


def srv(wire: bytes, at: int, end: int) -> str:
    priority, weight, port = SRV_NUMBERS.unpack_from(wire, at)
    return f"{priority} {weight} {port} {name(wire, at + 6, end)}"


def soa(wire: bytes, at: int, end: int) -> str:
    server, at = read_name(wire, at)
    mailbox, at = read_name(wire, at)
    if end - at != SOA_NUMBERS.size:
        raise BadMessage("an SOA record of the wrong size")
    serial, refresh, retry, expire, minimum = SOA_NUMBERS.unpack_from(wire, at)
    return f"{server} {mailbox} {serial} {refresh} {retry} {expire} {minimum}"


def txt(wire: bytes, at: int, end: int) -> str:
    strings = []
    while at < end:
        after = at + 1 + wire[at]
        if after > end:
            raise BadMessage("a string that runs out of its record")
        strings.append(quoted(wire[at + 1 : after]))
        at = after
    return " ".join(strings)


def caa(wire: bytes, at: int, end: int) -> str:
    """RFC 8659 4.1."""
    value = at + 2 + wire[at + 1]
    tag = wire[at + 2 : value]
    if value > end or not (tag.isascii() and tag.isalnum()):
        raise BadMessage("a CAA record without a proper tag")
    return f"{wire[at]} {tag.decode('ascii').lower()} {quoted(wire[value:end])}"


def nsec(wire: bytes, at: int, end: int) -> str:
    """RFC 4034 4.1: the next name, then the types at this one."""
    following, at = read_name(wire, at)
    types = []
    while at < end:
        window, size = wire[at], wire[at + 1]
        bitmap = wire[at + 2 : at + 2 + size]
        at += 2 + size
        if not 0 < size <= 32 or at > end:
            raise BadMessage("an NSEC record with a bad bitmap")
        types += [
            type_name(window << 8 | index << 3 | bit)
            for index, byte in enumerate(bitmap)
            for bit in range(8)
            if byte & 0x80 >> bit
        ]
    return " ".join([following, *types])


READERS: Final[dict[int, Reader]] = {
    1: a,
    2: name,
    5: name,
    6: soa,
    12: name,
    15: mx,
    16: txt,
    28: aaaa,
    33: srv,
    39: name,
    47: nsec,
    99: txt,
    257: caa,
}


def read_data(code: int, wire: bytes, at: int, end: int) -> str:
    """The data between ``at`` and ``end`` as text; a type that nobody here knows as in RFC 3597.

    Raises:
        BadMessage, IndexError, struct.error: the data are not what their type promises.
    """
    reader = READERS.get(code)
    return reader(wire, at, end) if reader else rare(code, wire, at, end)


def rare(code: int, wire: bytes, at: int, end: int) -> str:
    # imported by the few answers that need it
    import dns.exception
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    try:
        text = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(code), wire, at, end - at).to_text()
    except (dns.exception.DNSException, ValueError, LookupError, OverflowError, NotImplementedError):
        return f"\\# {end - at} {wire[at:end].hex()}".rstrip()
    return text
