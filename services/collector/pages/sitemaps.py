"""Sitemaps (https://www.sitemaps.org/protocol.html): places that a site wants to be found, and more sitemaps."""

import re
import zlib
from html import unescape
from typing import Final

from msgspec import Struct

MAX_BYTES: Final = 10_000_000
MAX_ENTRIES: Final = 50_000  # the protocol's own limit

# What is skipped is never given back, and a line ends where it ends: blanks without end are read once.
_location = re.compile(rb"<loc>\s*+(?:<!\[CDATA\[\s*+)?([^<\s\]]{8,2048})")
_line = re.compile(rb"^[ \t\r\f\v]*+(https?://\S{4,2040})[ \t\r\f\v]*+$", re.MULTILINE)


class Sitemap(Struct, frozen=True):
    """``urls`` are pages, or other sitemaps when ``index``."""

    urls: tuple[str, ...]
    index: bool


def read_sitemap(body: bytes) -> Sitemap:
    """Read a sitemap in XML, also packed with gzip, or one URL a line; anything else has no URLs."""
    if body[:2] == b"\x1f\x8b":
        body = _unpacked(body)
    start = body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    pattern = _location if start[:1] == b"<" else _line
    urls: dict[str, None] = {}
    for match in pattern.finditer(body[:MAX_BYTES]):
        urls[unescape(match[1].decode("utf-8", "replace"))] = None
        if len(urls) >= MAX_ENTRIES:
            break
    return Sitemap(tuple(urls), index=b"<sitemapindex" in body[:2000])


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, MAX_BYTES)
    except zlib.error:
        return b""
