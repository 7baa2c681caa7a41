"""What scripts, inline or in files of their own, give away: names, and the URLs that they call."""

import re
from typing import Final

from msgspec import Struct

from services.collector.pages.names import hosts_in_urls

MAX_BYTES: Final = 2_000_000
MAX_URLS: Final = 300

_url = re.compile(
    rb"https?:\\?/\\?/[A-Za-z0-9][A-Za-z0-9._-]{2,252}+(?::[0-9]{1,5})?(?:\\?/[A-Za-z0-9._~!$&'*+,;=:@%-]{0,200}+){0,20}"
)


class Script(Struct, frozen=True):
    """The ``hosts`` of all absolute URLs, and those ``urls`` without query."""

    hosts: tuple[str, ...]
    urls: tuple[str, ...]


def read_script(body: bytes) -> Script:
    body = body[:MAX_BYTES]
    hosts = hosts_in_urls(body)
    return Script(
        hosts=tuple(hosts),
        urls=tuple(_urls(body)) if hosts else (),
    )


def _urls(body: bytes) -> list[str]:
    found: dict[str, None] = {}
    for match in _url.finditer(body):
        found[match[0].replace(b"\\", b"").decode("ascii")] = None
        if len(found) >= MAX_URLS:
            break
    return list(found)
