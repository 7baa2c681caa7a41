"""Favicons, hashed as Shodan's `http.favicon.hash` is: MurmurHash3 over Base64 in lines of 76 characters."""

import base64
import struct
from functools import lru_cache
from typing import Final

MAX_BYTES: Final = 256_000
_MASK: Final = 0xFFFFFFFF
_MAGIC: Final = (b"\x00\x00\x01\x00", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"BM")


def is_image(body: bytes) -> bool:
    """Whether the bytes begin as an image does that browsers show as an icon; error pages do not."""
    head = body[:300].lstrip()
    if body.startswith(_MAGIC) or (body[:4] == b"RIFF" and body[8:12] == b"WEBP"):
        return True
    return head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in body[:1000])


@lru_cache(maxsize=32)
def favicon_hash(body: bytes) -> int:
    """The signed 32-bit hash of an icon (https://help.shodan.io/the-basics/search-query-fundamentals)."""
    return murmur3_32(base64.encodebytes(body))


def murmur3_32(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, signed; the algorithm is at https://en.wikipedia.org/wiki/MurmurHash."""
    whole = len(data) & ~3
    state = 0
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * 0xCC9E2D51 & _MASK
        state ^= (mixed << 15 | mixed >> 17) * 0x1B873593 & _MASK
        state = ((state << 13 | state >> 19) & _MASK) * 5 + 0xE6546B64 & _MASK
    if tail := int.from_bytes(data[whole:], "little"):
        tail = tail * 0xCC9E2D51 & _MASK
        state ^= (tail << 15 | tail >> 17) * 0x1B873593 & _MASK
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    state ^= state >> 16
    return state - 2**32 if state >= 2**31 else state
