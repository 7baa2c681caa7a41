"""URLs as others write them: the hosts in them, and the few of a source's that are kept themselves."""

import re
from collections.abc import Iterable, Iterator

from services.collector.archetypes.names import Period, during, join, name_below
from services.contracts import entities
from services.contracts.claims import Claim, Entity, Malformed

MAX_KEPT = 200
_MAX_URL = 2048
_authority_end = re.compile(r"[/?#\\]")

# Paths that say something of how a site is run; what a visitor reads is left to the module that visits.
_telling = re.compile(
    r"/(?:\.git|\.env|\.well-known|admin|actuator|api|backup|config|console|debug|dev|graphql|jenkins|login|metrics"
    r"|phpinfo|phpmyadmin|portal|server-status|staging|swagger|test|upload|v[0-9]|wp-admin|wp-login)(?:[/._?-]|$)"
    r"|\.(?:7z|ashx|asmx|aspx|bak|cfg|cgi|conf|config|csv|db|dump|env|gz|ini|jsp|key|log|old|pem|rar|sql|sqlite|tar|tgz"
    r"|wsdl|xls|xlsx|yaml|yml|zip)(?:\?|$)",
    re.IGNORECASE,
)


def host_in(url: str) -> str:
    """The host that a browser would ask: without user, port and final dot, in lower case; empty where there is none."""
    scheme, found, rest = url.partition("//")
    if not found or scheme[-1:] not in {"", ":"}:
        return ""
    authority = _authority_end.split(rest, maxsplit=1)[0].rpartition("@")[2]
    if authority[:1] == "[":
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


def is_telling(text: str) -> bool:
    """Whether a URL shows a file or a door that is worth a look."""
    path = text[:_MAX_URL].partition("://")[2].partition("/")[2]
    return bool(_telling.search("/" + path))


def pages_below(pages: Iterable[tuple[str, Period]], seen: Entity) -> Iterator[Claim]:
    """Each URL of a host at or below the subject once, over the period in which it was seen; no more than 200."""
    kept: dict[Entity, Period] = {}
    for text, period in pages:
        if len(text) > _MAX_URL or name_below(host_in(text), seen) is None:
            continue
        try:
            page = entities.url(text)
        except Malformed:
            continue
        if page in kept or len(kept) < MAX_KEPT:
            kept[page] = join(kept[page], period) if page in kept else period
    for page, period in kept.items():
        yield during(page, period)
