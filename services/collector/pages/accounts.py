"""Accounts on platforms that a page links to."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from services.collector.pages.html import Link
from services.contracts import entities
from services.contracts.entities import Entity, Malformed

MAX_ACCOUNTS: Final = 100

# Host without www. → platform and the pattern of a path whose first group is the handle.
_HANDLE: Final = r"/@?([A-Za-z0-9_.-]{1,64})/?$"
PLATFORMS: Final[dict[str, tuple[str, str]]] = {
    "twitter.com": ("twitter", r"/@?([A-Za-z0-9_]{1,15})/?$"),
    "x.com": ("twitter", r"/@?([A-Za-z0-9_]{1,15})/?$"),
    "mobile.twitter.com": ("twitter", r"/@?([A-Za-z0-9_]{1,15})/?$"),
    "facebook.com": ("facebook", r"/(?:pg/|people/[^/]{1,80}/)?([A-Za-z0-9.-]{2,80})/?$"),
    "fb.com": ("facebook", _HANDLE),
    "linkedin.com": ("linkedin", r"/(?:company|in|school|showcase)/([^/]{1,120})/?"),
    "instagram.com": ("instagram", _HANDLE),
    "threads.net": ("threads", r"/@([A-Za-z0-9_.]{1,30})/?$"),
    "youtube.com": ("youtube", r"/(?:@|c/|user/|channel/)([^/]{1,80})/?"),
    "github.com": ("github", r"/([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))(?:/[A-Za-z0-9_.-]{1,100})?/?$"),
    "gitlab.com": ("gitlab", r"/([A-Za-z0-9_.-]{2,100})/?$"),
    "bitbucket.org": ("bitbucket", r"/([A-Za-z0-9_-]{2,60})/?$"),
    "codeberg.org": ("codeberg", r"/([A-Za-z0-9_.-]{1,60})/?$"),
    "t.me": ("telegram", r"/(?:s/)?([A-Za-z][A-Za-z0-9_]{3,31})/?$"),
    "telegram.me": ("telegram", r"/([A-Za-z][A-Za-z0-9_]{3,31})/?$"),
    "tiktok.com": ("tiktok", r"/@([A-Za-z0-9_.]{2,24})/?$"),
    "pinterest.com": ("pinterest", r"/([A-Za-z0-9_]{3,30})/?$"),
    "reddit.com": ("reddit", r"/(?:u|user)/([A-Za-z0-9_-]{3,20})/?$"),
    "medium.com": ("medium", r"/@([A-Za-z0-9_.-]{1,60})/?$"),
    "vimeo.com": ("vimeo", r"/([a-z][A-Za-z0-9]{2,40})/?$"),
    "twitch.tv": ("twitch", r"/([A-Za-z0-9_]{4,25})/?$"),
    "xing.com": ("xing", r"/(?:profile|companies|pages)/([^/]{1,80})/?$"),
    "bsky.app": ("bluesky", r"/profile/([A-Za-z0-9.:-]{4,253})/?$"),
    "keybase.io": ("keybase", r"/([A-Za-z0-9_]{2,16})/?$"),
    "flickr.com": ("flickr", r"/(?:photos|people)/([A-Za-z0-9@_-]{2,60})/?$"),
    "soundcloud.com": ("soundcloud", r"/([a-z0-9_-]{3,25})/?$"),
    "slideshare.net": ("slideshare", r"/([A-Za-z0-9_-]{2,60})/?$"),
    "vk.com": ("vk", r"/([A-Za-z0-9_.]{2,32})/?$"),
    "weibo.com": ("weibo", r"/(?:u/)?([A-Za-z0-9_]{3,30})/?$"),
    "hub.docker.com": ("docker_hub", r"/(?:u|r|orgs)/([a-z0-9_-]{2,60})(?:/|$)"),
    "npmjs.com": ("npm", r"/(?:~|org/)([a-z0-9_.-]{1,60})/?$"),
    "pypi.org": ("pypi", r"/(?:user|org)/([A-Za-z0-9_.-]{1,60})/?$"),
    "stackoverflow.com": ("stack_overflow", r"/users/([0-9]{1,9})(?:/|$)"),
    "hackerone.com": ("hackerone", r"/([a-z0-9_-]{3,40})/?$"),
    "bugcrowd.com": ("bugcrowd", r"/(?:engagements/)?([a-z0-9_-]{3,40})/?$"),
    "crunchbase.com": ("crunchbase", r"/(?:organization|person)/([a-z0-9-]{2,80})/?$"),
    "glassdoor.com": ("glassdoor", r"/Overview/Working-at-[^/]{1,80}-EI_IE([0-9]{2,9})"),
    "trustpilot.com": ("trustpilot", r"/review/([a-z0-9.-]{4,100})/?$"),
    "patreon.com": ("patreon", r"/(?:c/)?([A-Za-z0-9_]{2,60})/?$"),
    "behance.net": ("behance", r"/([A-Za-z0-9_-]{2,40})/?$"),
    "dribbble.com": ("dribbble", r"/([A-Za-z0-9_-]{2,40})/?$"),
    "discord.gg": ("discord_invite", r"/([A-Za-z0-9-]{2,32})/?$"),
    "wa.me": ("whatsapp", r"/([1-9][0-9]{6,14})/?$"),
}

# What stands where a handle would in the addresses of the platform's own pages.
_PAGES: Final = frozenset(
    {
        "about", "accounts", "ads", "apps", "blog", "business", "careers", "collections", "company", "contact",
        "developers", "directory", "discover", "download", "enterprise", "events", "explore", "features", "feed",
        "gaming", "hashtag", "help", "home", "i", "intent", "jobs", "legal", "login", "logout", "login.php",
        "marketplace", "messages", "notifications", "p", "pages", "people", "pin", "plugins", "policies", "popular",
        "press", "pricing", "privacy", "products", "profile.php", "reel", "reels", "search", "security", "settings",
        "share", "share.php", "sharer", "sharer.php", "signup", "site", "solutions", "sponsors", "stories",
        "support", "terms", "topics", "tos", "tr", "trending", "tv", "upload", "video", "videos", "watch", "web",
        "wp-content",
    }
)  # fmt: skip

_site = re.compile(r"https?://(?:www\.|m\.|[a-z]{2}\.)?([a-z0-9.-]+)$", re.IGNORECASE).match
_mastodon = re.compile(r"/@([A-Za-z0-9_]{1,30})/?$").match


def accounts(links: Iterable[Link]) -> list[Entity]:
    """The accounts behind ``links``, each once; where no platform is known, ``rel="me"`` decides."""
    found: dict[tuple[str, ...], Entity] = {}
    hosts: dict[str, str] = {}
    for link in links:
        host = hosts.get(link.origin)
        if host is None:
            site = _site(link.origin[:300])
            host = hosts[link.origin] = site[1].lower() if site else ""
        if (host in PLATFORMS or (link.rel and "me" in link.rel.lower().split())) and len(found) < MAX_ACCOUNTS:
            path = link.url[len(link.origin) :][:300].partition("?")[0].partition("#")[0]
            for entity in _account(host, path):
                found[entity.key] = entity
    return list(found.values())


def _account(host: str, path: str) -> Iterator[Entity]:
    platform, pattern = PLATFORMS.get(host, ("", ""))
    match = re.match(pattern, path) if platform else _mastodon(path)
    if not match or match[1].lower() in _PAGES:
        return
    handle = unquote(match[1])
    try:
        yield entities.account(platform, handle) if platform else entities.account("mastodon", f"{handle}@{host}")
    except Malformed:
        return
