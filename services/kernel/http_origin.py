"""Whether a browser asks something because a page from elsewhere told it to.

By Fetch Metadata, as every browser of today sends it (https://www.w3.org/TR/fetch-metadata/), else by Origin.
"""

from collections.abc import Iterable
from typing import Final

#: Those that change nothing; what they return no page from elsewhere can read.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HERE: Final = frozenset({b"same-origin", b"none"})


def is_cross_site(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request would change something, and a page made it from elsewhere; names are in small letters."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        said.setdefault(name, []).append(value)
    if method in _SAFE:
        return False
    if sites := said.get(b"sec-fetch-site"):
        return not _HERE.issuperset(sites)
    return any(origin.partition(b"://")[2] not in said.get(b"host", ()) for origin in said.get(b"origin", ()))
