"""How the content of a blob is stored: checked against its digest, and compressed where a tenth or more is saved."""

import contextlib
import hashlib
import zlib
from typing import Final, NamedTuple

from services.kernel.errors import Corrupt, Invalid

WORTH_COMPRESSING: Final = 200


class Coded(NamedTuple):
    """``size`` is that of the content before it was compressed."""

    stored: bytes
    size: int
    compressed: bool


def encode(digest: bytes, content: bytes) -> Coded:
    """Check a content and make it small.

    Raises:
        Invalid: ``digest`` is not its sha256.
    """
    if hashlib.sha256(content).digest() != digest:
        raise Invalid(f"{digest.hex()} is not the sha256 of this content")
    if len(content) > WORTH_COMPRESSING:
        smaller = zlib.compress(content, 1)
        if len(smaller) * 10 <= len(content) * 9:
            return Coded(smaller, len(content), compressed=True)
    return Coded(content, len(content), compressed=False)


def decode(digest: bytes, coded: Coded) -> bytes:
    """Return the content.

    Raises:
        Corrupt: it is not what was stored.
    """
    content = coded.stored
    if coded.compressed:
        with contextlib.suppress(zlib.error):
            content = zlib.decompressobj().decompress(content, coded.size + 1)
    if hashlib.sha256(content).digest() != digest:
        raise Corrupt(f"the blob {digest.hex()} is not what was stored")
    return content
