"""Handshakes: what is verified, what is only noted, and what a server shows of itself."""

import ipaddress
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct

#: What has to be right for a handshake to succeed: the chain and the name, the chain alone, or nothing at all.
Checked = Literal["name", "chain", "nothing"]


class Shown(Struct, frozen=True, kw_only=True):
    """What a server showed in a handshake: its chain as DER, leaf first, and what was agreed on.

    ``tls_error``: why a client that verifies would have hung up.
    """

    chain: tuple[bytes, ...]
    version: str
    cipher: str
    alpn: str
    tls_error: str


@lru_cache(maxsize=64)
def context(ca_file: str, checked: Checked, *protocols: str) -> ssl.SSLContext:
    """How to shake hands, offering ``protocols``; ``ca_file`` takes the place of the system's authorities."""
    made = ssl.create_default_context(cafile=ca_file or None)
    made.set_alpn_protocols(list(protocols))
    made.check_hostname = checked == "name"
    if checked == "nothing":
        made.verify_mode = ssl.CERT_NONE
        made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        made.set_ciphers("DEFAULT:@SECLEVEL=0")
    return made


def mismatch(certificate: Mapping[str, Any], host: str) -> str:
    """Why a certificate, as `ssl` reads it, is not for ``host``, a name or an address; empty when it is.

    RFC 9525: only the alternative names count, and an asterisk stands for one whole label, above at least two others.
    """
    names = certificate.get("subjectAltName", ())
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        host = host.lower()
        above = host.partition(".")[2]
        accepted = {host, f"*.{above}"} if "." in above else {host}
        fits = any(kind == "DNS" and name.lower() in accepted for kind, name in names)
        return "" if fits else f"hostname mismatch, certificate is not valid for '{host}'"
    fits = any(kind == "IP Address" and _address(name) == wanted for kind, name in names)
    return "" if fits else f"ip address mismatch, certificate is not valid for '{host}'"


def shown(session: Any, tls_error: str) -> Shown:
    """Read what ``session``, an `ssl.SSLObject` that has shaken hands, was shown."""
    return Shown(
        chain=_chain(session),
        version=session.version() or "",
        cipher=(session.cipher() or ("",))[0],
        alpn=session.selected_alpn_protocol() or "",
        tls_error=tls_error,
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def _chain(session: Any) -> tuple[bytes, ...]:
    """What the server sent, leaf first; public from Python 3.13 on, before that one step deeper."""
    if hasattr(session, "get_unverified_chain"):
        return tuple(session.get_unverified_chain())
    sent = session._sslobj.get_unverified_chain() or ()  # noqa: SLF001  the only way before 3.13
    return tuple(certificate.public_bytes(2) for certificate in sent)
