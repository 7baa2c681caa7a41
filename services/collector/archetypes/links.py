"""What a person or an organisation shows by a link in a profile of theirs."""

from urllib.parse import urlsplit

from services.collector.archetypes.names import any_name
from services.collector.archetypes.urls import host_in
from services.collector.pages.accounts import accounts
from services.collector.pages.html import Link
from services.contracts.claims import Entity

OF_THEIRS = 60  # a site is mostly one's own when its front page is linked, but nobody checks it
_MAX_URL = 500


def linked_site(link: str) -> Entity | None:
    """The host whose front page is linked; a page further down may be on anybody's site."""
    url = _absolute(link)
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return any_name(host_in(url)) if url and parts.path in {"", "/"} and not parts.query else None


def linked_accounts(link: str) -> list[Entity]:
    """The account on another platform that is linked, if it is one."""
    url = _absolute(link)
    slash = url.find("/", url.find("//") + 2)
    return accounts([Link(tag="a", url=url, origin=url[:slash], rel="me")]) if slash > 0 else []


def _absolute(link: str) -> str:
    plain = link.strip()
    if not plain or len(plain) > _MAX_URL or any(character.isspace() for character in plain):
        return ""
    return plain if "//" in plain else f"https://{plain}"
