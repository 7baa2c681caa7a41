"""What web archives captured (CDX, https://iipc.github.io/warc-specifications/specifications/cdx-format/)."""

from collections.abc import Iterable, Iterator

from services.collector.archetypes.names import Period, seen_names
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import host_in, is_telling, pages_below
from services.contracts.claims import Claim, Entity

_MAX_TELLING = 10_000


def captured(captures: Iterable[tuple[str, str, str]], seen: Entity) -> Iterator[Claim]:
    """The host names at or below the subject, over the period of their captures, and few URLs that tell something.

    A row is a URL with the timestamps (``YYYYMMDDhhmmss``) of its first and last capture; where the last is not known,
    the period has no end.
    """
    hosts: dict[str, tuple[str, str]] = {}
    telling: list[tuple[str, Period]] = []
    for url, first, last in captures:
        host = host_in(url)
        known = hosts.get(host, (first, last))
        hosts[host] = (min(known[0], first), max(known[1], last) if known[1] and last else "")
        if is_telling(url) and len(telling) < _MAX_TELLING:
            telling.append((url, _period(first, last)))
    yield from seen_names(((host, _period(first, last)) for host, (first, last) in hosts.items()), seen)
    yield from pages_below(telling, seen)


def _period(first: str, last: str) -> Period:
    return (instant(first, "%Y%m%d%H%M%S"), instant(last, "%Y%m%d%H%M%S"))
