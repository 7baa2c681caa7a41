"""What web archives captured (CDX, https://iipc.github.io/warc-specifications/specifications/cdx-format/)."""

from collections.abc import Iterable, Iterator

from services.collector.archetypes.names import Period, seen_names
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import host_in, is_telling, pages_below
from services.contracts.claims import Claim, Entity

_MAX_TELLING = 10_000


def captured(captures: Iterable[tuple[str, str]], seen: Entity) -> Iterator[Claim]:
    """The host names at or below the subject, over the period of their captures, and few URLs that tell something.

    A capture is a URL and its timestamp (``YYYYMMDDhhmmss``).
    """
    hosts: dict[str, tuple[str, str]] = {}
    telling: list[tuple[str, Period]] = []
    for url, stamp in captures:
        host = host_in(url)
        first, last = hosts.get(host, (stamp, stamp))
        hosts[host] = (min(first, stamp), max(last, stamp))
        if is_telling(url) and len(telling) < _MAX_TELLING:
            telling.append((url, _period(stamp, stamp)))
    yield from seen_names(((host, _period(first, last)) for host, (first, last) in hosts.items()), seen)
    yield from pages_below(telling, seen)


def _period(first: str, last: str) -> Period:
    return (instant(first, "%Y%m%d%H%M%S"), instant(last, "%Y%m%d%H%M%S"))
