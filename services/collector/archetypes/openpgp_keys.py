"""Public keys of OpenPGP (RFC 9580, and RFC 4880 before it): fingerprints, algorithms, user ids."""

import base64
import binascii
from collections.abc import Iterator
from hashlib import sha1, sha256

from msgspec import Struct

_MAX_PACKETS = 500
_BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = b"-----END PGP PUBLIC KEY BLOCK-----"

_PUBLIC_KEY, _USER_ID = 6, 13
_ALGORITHMS = {
    1: "RSA", 2: "RSA", 3: "RSA", 16: "ElGamal", 17: "DSA", 18: "ECDH", 19: "ECDSA", 22: "EdDSA",
    25: "X25519", 26: "X448", 27: "Ed25519", 28: "Ed448",
}  # fmt: skip
_CURVES = {
    bytes.fromhex("2b06010401da470f01"): "Ed25519",
    bytes.fromhex("2a8648ce3d030107"): "EC P-256",
    bytes.fromhex("2b81040022"): "EC P-384",
    bytes.fromhex("2b81040023"): "EC P-521",
    bytes.fromhex("2b2403030208010107"): "EC brainpoolP256r1",
    bytes.fromhex("2b8104000a"): "EC secp256k1",
}
_CURVE_SIZES = {"Ed25519": 256, "EC P-256": 256, "EC P-384": 384, "EC P-521": 521, "Ed448": 456}


class Malformed(ValueError):
    """Bytes that are no public key."""


class PublicKey(Struct, frozen=True):
    """A primary key: fingerprint in upper-case hexadecimal, seconds since 1970, size in bits, user ids as written."""

    fingerprint: str
    algorithm: str
    size: int | None
    created: int
    user_ids: tuple[str, ...]


def read_key(armored: bytes) -> PublicKey:
    """The primary key of an armored block, with its user ids; raises `Malformed`."""
    _, begin, rest = armored.partition(_BEGIN)
    block, end, _ = rest.partition(_END)
    if not begin or not end:
        raise Malformed("no armored public key")
    key: PublicKey | None = None
    users: list[str] = []
    for tag, body in _packets(_unarmored(block)):
        if tag == _PUBLIC_KEY and key is None:
            key = _primary(body)
        elif tag == _USER_ID:
            users.append(body[:1000].decode("utf-8", "replace"))
    if key is None:
        raise Malformed("no public key in the block")
    return PublicKey(key.fingerprint, key.algorithm, key.size, key.created, tuple(users))


def _unarmored(text: bytes) -> bytes:
    """What follows the empty line after the headers, up to the checksum (RFC 9580, section 6.2)."""
    lines = [line.strip() for line in text.strip(b"\r\n").splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 0
    data = b"".join(line for line in lines[start:] if line and not line.startswith(b"="))
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet (RFC 9580, section 4.2), of either format, none of partial length."""
    at = 0
    try:
        for _ in range(_MAX_PACKETS):
            if at >= len(data):
                return
            head = data[at]
            if not head & 0x80:
                raise Malformed("no packet")
            if head & 0x40:
                tag = head & 0x3F
                length, at = _new_length(data, at + 1)
            else:
                tag = head >> 2 & 0x0F
                octets = 1 << (head & 3)
                if octets == 8:
                    raise Malformed("a packet without a length")
                length, at = int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets
            yield tag, data[at : at + length]
            at += length
    except IndexError:
        raise Malformed("a packet that ends early") from None


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return (first - 192 << 8) + data[at + 1] + 192, at + 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise Malformed("a packet of partial length")


def _primary(body: bytes) -> PublicKey:
    """A key packet of version 4 or 6 and its fingerprint (RFC 9580, section 5.5.4)."""
    if len(body) < 12 or body[0] not in {4, 6}:
        raise Malformed("a key of another version")
    version = body[0]
    if version == 4:
        fingerprint = sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest()
        material = body[6:]
    else:
        fingerprint = sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest()
        material = body[10:]
    algorithm = _ALGORITHMS.get(body[5], str(body[5]))
    size: int | None = None
    if algorithm in {"RSA", "DSA", "ElGamal"} and len(material) >= 2:
        size = int.from_bytes(material[:2], "big")
    elif algorithm in {"EdDSA", "ECDSA", "ECDH"} and material:
        algorithm = _CURVES.get(material[1 : 1 + material[0]], algorithm)
    return PublicKey(
        fingerprint.upper(), algorithm, size or _CURVE_SIZES.get(algorithm), int.from_bytes(body[1:5], "big"), ()
    )
