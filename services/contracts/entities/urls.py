"""URLs: the normal form of RFC 3986, section 6, on what a browser would ask for (https://url.spec.whatwg.org/)."""

import re
from urllib.parse import unquote

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.addresses import address, port_number
from services.contracts.names import host, shown

MAX_URL = 8192
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21", "ftps": "990", "sftp": "22"}

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Most URLs are normal already: a plain host, no port, no dot segment, nothing to encode or decode.
_plain = re.compile(
    r"https?://((?:[a-z0-9-]+\.)+[a-z]+)"
    r"(/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*+/?)*+(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]+)?)?"
).fullmatch
_odd_in_path = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~!$&'()*+,;=:@/-]")
_odd_in_query = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~!$&'()*+,;=:@/?-]")
_SURROUNDING = "".join(map(chr, range(0x21)))
_discarded = str.maketrans("", "", "\t\r\n")
_number = re.compile(r"0x[0-9a-f]*|[0-9]+").fullmatch


def url(text: str) -> Entity:
    """A URL of a scheme that names a host.

    Lower-case scheme and host, no default port, dot segments resolved, percent-encoding only where needed. User name
    and password are left out, because they are secrets, and so is the fragment, because no server sees it.
    """
    return Entity("url", url_key(text))


def host_of(normal: str) -> str:
    """The host name or address in a URL in normal form."""
    rest = normal[normal.find("://") + 3 :]
    if rest[:1] == "[":
        return rest[1 : rest.find("]")]
    authority = rest[: rest.find("/")]
    return authority.partition(":")[0]


def url_key(text: str) -> tuple[str]:
    if len(text) > MAX_URL:
        raise Malformed(f"{shown(text)} is too long for a URL")
    found = _plain(text)
    if found and host(found[1]) == found[1]:
        return (text if found[2] else text + "/",)
    scheme, _, rest = text.strip(_SURROUNDING).translate(_discarded).partition("://")
    scheme = scheme.lower()
    if scheme not in _PORTS or not rest:
        raise Malformed(f"{shown(text)} is not a URL of a scheme that names a host")
    rest = rest.partition("#")[0]
    before, asks, query = rest.partition("?")
    authority, slash, path = before.replace("\\", "/").partition("/")
    place = _authority(scheme, authority, text)
    normal = f"{scheme}://{place}{_path(slash + path)}"
    if asks and query:
        normal += "?" + _odd_in_query.sub(_encoded, query)
    if len(normal) > MAX_URL:
        raise Malformed(f"{shown(text)} is too long for a URL")
    return (normal,)


def _authority(scheme: str, authority: str, text: str) -> str:
    place = authority.rpartition("@")[2]
    if place.startswith("["):
        bracketed, closed, port = place[1:].partition("]")
        if not closed or ":" not in bracketed or (port and not port.startswith(":")):
            raise Malformed(f"{shown(text)} has no host that a URL can have")
        port = port[1:]
        where = address(bracketed)
    else:
        named, _, port = place.partition(":")
        where = _host(named, text)
    if ":" in where:
        where = f"[{where}]"
    if port:
        port = port_number(port)
    return where if port in ("", _PORTS[scheme]) else f"{where}:{port}"


def _host(named: str, text: str) -> str:
    if "%" in named:
        named = unquote(named, errors="replace")
    plain = named.strip().lower().removesuffix(".")
    if _number(plain[plain.rfind(".") + 1 :]):
        return _ipv4_of_old(plain, text)
    return host(named)


def _ipv4_of_old(plain: str, text: str) -> str:
    """Octal, hexadecimal and shortened IPv4 addresses, as browsers still read them."""
    *heads, tail = (_number_of_old(part, text) for part in plain.split("."))
    if len(heads) > 3 or any(head > 255 for head in heads) or tail >= 256 ** (4 - len(heads)):
        raise Malformed(f"{shown(text)} has no host that a URL can have")
    value = sum(head << 8 * (3 - at) for at, head in enumerate(heads)) + tail
    return ".".join(str(octet) for octet in value.to_bytes(4, "big"))


def _number_of_old(part: str, text: str) -> int:
    if _number(part) and len(part) <= 40:
        try:
            if part.startswith("0x"):
                return int(part[2:] or "0", 16)
            return int(part, 8 if part.startswith("0") else 10)
        except ValueError:
            pass
    raise Malformed(f"{shown(text)} has no host that a URL can have")


def _path(path: str) -> str:
    path = _odd_in_path.sub(_encoded, path)
    if "/." not in path:
        return path or "/"
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _encoded(found: re.Match[str]) -> str:
    odd = found[0]
    if len(odd) == 3:
        char = chr(int(odd[1:], 16))
        return char if char in _UNRESERVED else odd.upper()
    if "\ud800" <= odd <= "\udfff":
        odd = "\ufffd"
    return "".join(f"%{octet:02X}" for octet in odd.encode())
