"""Domains, host names and the records of the DNS."""

import re
from functools import lru_cache

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.addresses import address
from services.contracts.entities.text import line
from services.contracts.names import host, owner, registrable, shown

_MAX_RDATA = 65535

_mnemonic = re.compile(r"[A-Z][A-Z0-9-]{0,15}").fullmatch
_octet_16 = re.compile(r"[0-9]{1,5}").fullmatch
_octet_32 = re.compile(r"[0-9]{1,10}").fullmatch
_caa = re.compile(r'([0-9]{1,3}) ([A-Za-z0-9]+) (?:"(.*)"|(.*))').fullmatch

# RFC 3597 writes an unknown type by number; those that have a name go by it.
_TYPES = {
    "TYPE1": "A", "TYPE2": "NS", "TYPE5": "CNAME", "TYPE6": "SOA", "TYPE12": "PTR", "TYPE13": "HINFO",
    "TYPE15": "MX", "TYPE16": "TXT", "TYPE28": "AAAA", "TYPE29": "LOC", "TYPE33": "SRV", "TYPE35": "NAPTR",
    "TYPE39": "DNAME", "TYPE43": "DS", "TYPE44": "SSHFP", "TYPE46": "RRSIG", "TYPE47": "NSEC", "TYPE48": "DNSKEY",
    "TYPE50": "NSEC3", "TYPE51": "NSEC3PARAM", "TYPE52": "TLSA", "TYPE53": "SMIMEA", "TYPE59": "CDS",
    "TYPE60": "CDNSKEY", "TYPE61": "OPENPGPKEY", "TYPE64": "SVCB", "TYPE65": "HTTPS", "TYPE99": "SPF",
    "TYPE256": "URI", "TYPE257": "CAA",
}  # fmt: skip


@lru_cache(maxsize=16384)
def name(text: str) -> Entity:
    """A domain when the text is a registrable name, a hostname when it is deeper.

    Raises `Malformed` for public suffixes, addresses, wildcards and labels that begin with an underscore.
    """
    found = host(text)
    return Entity("domain" if registrable(found) == found else "hostname", (found,))


def domain(text: str) -> Entity:
    """A registrable name, such as ``example.org`` or ``example.co.uk``."""
    return Entity("domain", domain_key(text))


def hostname(text: str) -> Entity:
    """A name below a registrable one."""
    return Entity("hostname", hostname_key(text))


def registered_domain(text: str) -> Entity:
    """The domain that a host name is in."""
    return Entity("domain", (registrable(host(text)),))


def dns_record(owner: str, type: str, rdata: str) -> Entity:
    """A record as it was published: owner, type mnemonic, data in presentation form (RFC 1035, section 5.1).

    Names in the data are in normal form without the final dot; TXT data is the joined text, not quoted.
    """
    return Entity("dns_record", dns_record_key(owner, type, rdata))


def domain_key(text: str) -> tuple[str]:
    found = name(text)
    if found.type != "domain":
        raise Malformed(f"{shown(text)} is a host name below the domain {registrable(found.key[0])}")
    return (found.key[0],)


def hostname_key(text: str) -> tuple[str]:
    found = name(text)
    if found.type != "hostname":
        raise Malformed(f"{shown(text)} is a registrable domain, not a host name below one")
    return (found.key[0],)


def dns_record_key(owned_by: str, mnemonic: str, rdata: str) -> tuple[str, str, str]:
    kind = mnemonic.strip().upper()
    kind = _TYPES.get(kind, kind)
    if not _mnemonic(kind):
        raise Malformed(f"{shown(mnemonic)} is not the type of a DNS record")
    return (owner(owned_by), kind, _rdata(kind, line(rdata, "the data of a DNS record", limit=_MAX_RDATA)))


def _rdata(kind: str, text: str) -> str:
    match kind:
        case "A" | "AAAA":
            return address(text)
        case "NS" | "CNAME" | "PTR" | "DNAME":
            return _target(text)
        case "MX":
            return _numbers_and_name(kind, text, 1)
        case "SRV":
            return _numbers_and_name(kind, text, 3)
        case "SOA":
            return _start_of_authority(text)
        case "CAA":
            return _certification_authority(text)
    return text


def _target(text: str) -> str:
    """A name as data: in normal form where it has one, else as published; the root is one dot."""
    plain = text.rstrip(". ")
    if not plain:
        return "."
    try:
        return owner(plain)
    except Malformed:
        return plain.lower() if plain.isascii() else plain


def _numbers_and_name(kind: str, text: str, count: int) -> str:
    *numbers, target = text.split(" ", count)
    if len(numbers) != count or not all(_octet_16(number) for number in numbers):
        raise Malformed(f"{shown(text)} is not the data of a record of type {kind}")
    return " ".join([*(str(int(number)) for number in numbers), _target(target)])


def _start_of_authority(text: str) -> str:
    parts = text.split(" ")
    if len(parts) != 7 or not all(_octet_32(number) for number in parts[2:]):
        raise Malformed(f"{shown(text)} is not the data of a record of type SOA")
    return " ".join([_target(parts[0]), _target(parts[1]), *(str(int(number)) for number in parts[2:])])


def _certification_authority(text: str) -> str:
    found = _caa(text)
    if not found:
        raise Malformed(f"{shown(text)} is not the data of a record of type CAA")
    value = (found[4] if found[3] is None else found[3]).strip()
    return f'{int(found[1])} {found[2].lower()} "{value}"'
