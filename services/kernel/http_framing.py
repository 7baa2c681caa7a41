"""Which heads of requests are refused though the parser takes them: those of which two readers make different things.

Whoever stands before this server has to find the same end of each request, the same host and the same token as it does
(RFC 9112, 3.2, 6 and 11.2).
"""

from collections.abc import Iterable
from typing import Final

from services.kernel.openapi import WORKSPACE

VERSIONS: Final = frozenset({"1.0", "1.1"})
#: Fields of which one reader would take the first, and another the last.
ONCE: Final = (b"host", b"authorization", b"content-type", WORKSPACE.lower().encode())


def fault_of_head(version: str, fields: Iterable[tuple[bytes, bytes]], *, upgrades: bool) -> str:
    """What is wrong with a head, or nothing; names in ``fields`` are in small letters.

    ``upgrades``: it asks for another protocol. There is none, and the parser would take its body for further requests.
    """
    if version not in VERSIONS:
        return f"HTTP {version} is not spoken here"
    fields = list(fields)
    names = [name for name, _ in fields]
    if b"host" not in names and version != "1.0":
        return "a request names its host"
    for name in ONCE:
        if names.count(name) > 1:
            return f"a request says {name.decode()} once"
    codings = [value.strip().lower() for name, value in fields if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return "a body comes as it is, or in chunks"
    lengths = [value for name, value in fields if name == b"content-length"]
    if upgrades and (codings or any(value.strip(b"0") for value in lengths)):
        return "a request for another protocol has no body"
    return ""
