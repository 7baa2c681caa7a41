"""Compressed answers: whether who asks takes one (RFC 9110, section 12.5.3), what is worth it, and gzip (RFC 1952)."""

import asyncio
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

T = TypeVar("T")

#: Bytes from which on compressing saves more than it costs.
SMALLEST: Final = 1024
#: Bytes from which on work is done in a thread, where zlib and hashlib hold up nobody: less is done in a millisecond.
ASIDE: Final = 32_768
LEVEL: Final = 5
_GZIP: Final = 16 + zlib.MAX_WBITS
_OFFERED: Final = re.compile(
    r"\s*([\w!#$%&'*+.^`|~-]+)\s*(?:;\s*q=\s*([01](?:\.\d{0,3})?)\s*)?", re.ASCII | re.IGNORECASE
)
_TEXTS: Final = re.compile(r"(?:text/(?!event-stream).*|application/(?:.*\+)?(?:json|jsonl|x-ndjson|javascript|xml))")


@lru_cache(maxsize=256)
def takes_gzip(accept: str) -> bool:
    """Whether who sends this Accept-Encoding takes gzip, and prefers nothing to it that is there; what is none is left
    out.
    """
    found = (_OFFERED.fullmatch(each) for each in accept.split(","))
    offered = {each[1].lower(): float(each[2] or 1) for each in found if each is not None}
    gzip = offered.get("gzip", offered.get("x-gzip", offered.get("*", 0.0)))
    return gzip > 0.0 and gzip >= offered.get("identity", 0.0)


def is_text(kind: str) -> bool:
    """Whether a media type is of texts that are worth compressing; events are sent one by one, and so are none."""
    return _TEXTS.fullmatch(kind) is not None


class Gzip:
    """One answer, piece by piece: what is returned for each can be read at once."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)

    def whole(self, body: bytes) -> bytes:
        return self._compressor.compress(body) + self._compressor.flush()

    def piece(self, body: bytes) -> bytes:
        return self._compressor.compress(body) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


async def aside(work: Callable[[bytes], T], body: bytes) -> T:
    """What ``work`` makes of a body, without holding up others where it is large."""
    if len(body) < ASIDE:
        return work(body)
    return await asyncio.to_thread(work, body)
