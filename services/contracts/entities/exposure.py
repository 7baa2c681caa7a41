"""What makes a thing weak or known to others: vulnerabilities, breaches, credentials, keys, publications."""

import re

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.text import folded, hexadecimal, line, token
from services.contracts.entities.urls import url_key
from services.contracts.names import shown

_cve = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}").fullmatch
_ghsa = re.compile(r"GHSA(?:-[23456789CFGHJMPQRVWX]{4}){3}").fullmatch
_other = re.compile(r"[A-Z][A-Z0-9]{1,15}(?:[-:][A-Z0-9.]{1,32}){1,4}").fullmatch
_ssh = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?").fullmatch


def vulnerability(id: str) -> Entity:
    """A published weakness by its CVE, GHSA or other advisory id."""
    return Entity("vulnerability", vulnerability_key(id))


def breach(publisher: str, name: str) -> Entity:
    """A leak of data, as its publisher names it."""
    return Entity("breach", breach_key(publisher, name))


def credential(kind: str, hmac: str) -> Entity:
    """A secret that leaked, by its HMAC-SHA256 under the workspace's key; the secret itself is never kept."""
    return Entity("credential", credential_key(kind, hmac))


def crypto_key(kind: str, fingerprint: str) -> Entity:
    """A public key: ``pgp`` (RFC 9580 fingerprint), ``ssh`` (``SHA256:…``) or ``spki`` (SHA-256 of the DER)."""
    return Entity("crypto_key", crypto_key_key(kind, fingerprint))


def publication(url: str, sha256: str = "") -> Entity:
    """A text published at a URL, told apart from later ones there by the SHA-256 of its content when it is known."""
    return Entity("publication", publication_key(url, sha256))


def vulnerability_key(text: str) -> tuple[str]:
    plain = text.strip().upper()
    if _cve(plain):
        return (plain,)
    if _ghsa(plain):
        return ("GHSA" + plain[4:].lower(),)
    if not _other(plain) or plain.startswith(("CVE-", "GHSA-")):
        raise Malformed(f"{shown(text)} is not the id of a vulnerability")
    return (plain,)


def breach_key(publisher: str, name: str) -> tuple[str, str]:
    return (token(publisher, "a publisher of breaches"), folded(name, "the name of a breach", limit=256))


def credential_key(kind: str, hmac: str) -> tuple[str, str]:
    return (token(kind, "a kind of credential"), hexadecimal(hmac.strip(), "an HMAC-SHA256", 64))


def crypto_key_key(kind: str, fingerprint: str) -> tuple[str, str]:
    family = token(kind, "a kind of key")
    text = line(fingerprint, "the fingerprint of a key", limit=256)
    match family:
        case "pgp":
            return (family, hexadecimal(text.lower().removeprefix("0x"), "an OpenPGP fingerprint", 32, 40, 64).upper())
        case "ssh":
            found = _ssh(text)
            if not found:
                raise Malformed(f"{shown(fingerprint)} is not the fingerprint of an SSH key")
            return (family, f"SHA256:{found[1]}")
        case "spki":
            return (family, hexadecimal(text, "the SHA-256 of a public key", 64))
    raise Malformed(f"{shown(kind)} is not a kind of key; there are pgp, ssh and spki")


def publication_key(url: str, sha256: str = "") -> tuple[str, str]:
    digest = hexadecimal(sha256.strip(), "the SHA-256 of a publication", 64) if sha256.strip() else ""
    return (*url_key(url), digest)
