"""keys.openpgp.org: OpenPGP keys by confirmed mail address (https://keys.openpgp.org/about/api).

Everybody's key follows from name and date, so that the world can name its fingerprint: EdDSA over Ed25519, version 4
(RFC 4880 with the algorithm of RFC 9580, section 5.2.3.3), with one user id and its certification.
"""

import base64
from datetime import datetime
from hashlib import sha1, sha256
from urllib.parse import unquote

from lab.providers import Provider, Request, Response, text
from lab.world import Person, World

ED25519 = bytes.fromhex("092b06010401da470f01")
EDDSA, SHA256 = 22, 8
POSITIVE_CERTIFICATION = 0x13


def answer(world: World, request: Request) -> Response | None:
    """Armored keys at ``/vks/v1/by-email/ADDRESS``; what is not known is 404 with a sentence."""
    prefix = "/vks/v1/by-email/"
    if not request.path.startswith(prefix):
        return None
    address = unquote(request.path.removeprefix(prefix))
    person = world.person(email=address)
    if person is None or person.pgp is None:
        return text(f"No key found for email address {address}", status=404)
    return text(armored(person), media_type="application/pgp-keys")


def fingerprint(name: str, created: datetime) -> str:
    """The fingerprint of somebody's key in upper-case hexadecimal."""
    body = key_body(name, created)
    return sha1(b"\x99" + len(body).to_bytes(2) + body, usedforsecurity=False).hexdigest().upper()


def armored(person: Person) -> str:
    user = f"{person.name} <{person.email}>".encode()
    body = key_body(person.name, person.joined)
    certificate = packet(6, body) + packet(13, user) + packet(2, certification(person, body, user))
    encoded = base64.b64encode(certificate).decode()
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    checksum = base64.b64encode(crc24(certificate).to_bytes(3)).decode()
    comments = f"Comment: {person.pgp}\nComment: {person.name} <{person.email}>"
    block = "PGP PUBLIC KEY BLOCK"
    return f"-----BEGIN {block}-----\n{comments}\n\n" + "\n".join([*lines, f"={checksum}", f"-----END {block}-----\n"])


def key_body(name: str, created: datetime) -> bytes:
    """The public key packet: version, time, algorithm, curve, point."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    point = Ed25519PrivateKey.from_private_bytes(seed(name)).public_key().public_bytes_raw()
    return b"\x04" + int(created.timestamp()).to_bytes(4) + bytes([EDDSA]) + ED25519 + mpi(b"\x40" + point)


def certification(person: Person, body: bytes, user: bytes) -> bytes:
    """A signature of the key over itself and the user id (RFC 9580, section 5.2.4)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    digits = bytes.fromhex(fingerprint(person.name, person.joined))
    created = int(person.joined.timestamp()).to_bytes(4)
    subpackets = subpacket(33, b"\x04" + digits) + subpacket(2, created) + subpacket(27, b"\x03")
    head = bytes([4, POSITIVE_CERTIFICATION, EDDSA, SHA256]) + len(subpackets).to_bytes(2) + subpackets
    trailer = b"\x04\xff" + len(head).to_bytes(4)
    signed = b"\x99" + len(body).to_bytes(2) + body + b"\xb4" + len(user).to_bytes(4) + user + head + trailer
    digest = sha256(signed).digest()
    signature = Ed25519PrivateKey.from_private_bytes(seed(person.name)).sign(digest)
    issuer = subpacket(16, digits[-8:])
    return head + len(issuer).to_bytes(2) + issuer + digest[:2] + mpi(signature[:32]) + mpi(signature[32:])


def seed(name: str) -> bytes:
    return sha256(f"openpgp {name}".encode()).digest()


def mpi(octets: bytes) -> bytes:
    number = int.from_bytes(octets)
    return number.bit_length().to_bytes(2) + number.to_bytes((number.bit_length() + 7) // 8)


def subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, len(body)]) + body


def crc24(data: bytes) -> int:
    """The checksum of an armored block (RFC 4880, section 6.1)."""
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


PROVIDER = Provider(id="openpgp", hosts=("keys.openpgp.org",), answer=answer)
