"""OpenPGP keys are read for what they are, and anything else is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.providers.openpgp import armored, fingerprint, packet
from lab.world import Person
from services.collector.archetypes.openpgp_keys import Malformed, read_key

JOINED = datetime(2016, 9, 14, tzinfo=UTC)
PERSON = Person(
    name="Zoë Example",
    title="",
    email="zoe@example.org",
    pgp=fingerprint("Zoë Example", JOINED),
    city="",
    country="GB",
    bio="",
    joined=JOINED,
)
BLOCK = armored(PERSON).encode()


def block(data: bytes) -> bytes:
    import base64

    text = base64.b64encode(data)
    return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + text + b"\n-----END PGP PUBLIC KEY BLOCK-----\n"


def test_a_key_has_fingerprint_curve_time_and_user_ids() -> None:
    key = read_key(BLOCK)
    assert key.fingerprint == PERSON.pgp
    assert (key.algorithm, key.size) == ("Ed25519", 256)
    assert key.created == int(JOINED.timestamp())
    assert key.user_ids == ("Zoë Example <zoe@example.org>",)


def test_windows_line_ends_and_no_headers_change_nothing() -> None:
    assert read_key(BLOCK.replace(b"\n", b"\r\n")) == read_key(BLOCK)
    bare = b"\n".join(line for line in BLOCK.splitlines() if not line.startswith(b"Comment"))
    assert read_key(bare) == read_key(BLOCK)


def test_rsa_keys_tell_their_size_in_either_packet_format() -> None:
    body = (
        b"\x04"
        + (1_500_000_000).to_bytes(4)
        + b"\x01"
        + (2048).to_bytes(2)
        + b"\x80"
        + bytes(255)
        + b"\x00\x11\x01\x00\x01"
    )
    old = bytes([0x80 | 6 << 2 | 1]) + len(body).to_bytes(2) + body
    new = bytes([0xC0 | 6, 0xFF]) + len(body).to_bytes(4) + body
    assert read_key(block(old)) == read_key(block(new))
    assert (read_key(block(old)).algorithm, read_key(block(old)).size) == ("RSA", 2048)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no block",
        block(b""),
        block(b"\x00\x01"),
        block(packet(13, b"only a user")),
        block(packet(6, b"\x03" * 20)),
        block(b"\xc6\xe5"),
    ],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_key(data)


@given(st.binary(max_size=400), st.integers(0, len(BLOCK)))
def test_nothing_else_is_ever_raised(noise: bytes, cut: int) -> None:
    for data in (noise, block(noise), BLOCK[:cut] + noise[:8] + BLOCK[cut:], BLOCK[:cut]):
        try:
            read_key(data)
        except Malformed:
            continue
