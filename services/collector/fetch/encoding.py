"""Content codings (RFC 9110 section 8.4.1), undone with a limit on what comes out."""

import zlib
from typing import Final

ACCEPTED: Final = "gzip, deflate"
MAX_CODINGS: Final = 2


class Undecodable(Exception):
    """The body is not in the coding that its headers name, or in one that was not asked for."""


def decode(body: bytes, coding: str, limit: int) -> tuple[bytes, bool]:
    """Undo ``coding``; return at most ``limit`` bytes, and whether there would have been more."""
    codings = [name for name in (part.strip().lower() for part in coding.split(",")) if name and name != "identity"]
    if len(codings) > MAX_CODINGS:
        raise Undecodable(f"{len(codings)} codings on top of each other")
    more = False
    for name in reversed(codings):
        body, cut = _inflate(body, name, limit)
        more = more or cut
    return body, more


def _inflate(body: bytes, coding: str, limit: int) -> tuple[bytes, bool]:
    if coding in {"gzip", "x-gzip"}:
        return _decompress(body, 16 + zlib.MAX_WBITS, limit)
    if coding == "deflate":
        try:
            return _decompress(body, zlib.MAX_WBITS, limit)
        except Undecodable:
            return _decompress(body, -zlib.MAX_WBITS, limit)
    raise Undecodable(f"the content coding {coding[:40]} was not asked for")


def _decompress(body: bytes, window: int, limit: int) -> tuple[bytes, bool]:
    """Inflate one stream after the other (RFC 1952 section 2.2); one that ends too soon is cut."""
    content = bytearray()
    ended = True
    while body and len(content) <= limit:
        inflater = zlib.decompressobj(window)
        try:
            content += inflater.decompress(body, limit + 1 - len(content))
        except zlib.error as error:
            if content:
                break  # what follows a whole stream is padding
            raise Undecodable(str(error)) from error
        ended = inflater.eof
        body = inflater.unused_data
    return bytes(content[:limit]), not ended or len(content) > limit
