"""Places at cloud providers that a page loads from or names: buckets and databases by the form of their addresses."""

import re
from collections.abc import Iterable
from typing import Final

from services.collector.pages.html import origin_of
from services.contracts import entities
from services.contracts.entities import Entity, Malformed

MAX_RESOURCES: Final = 50

# What the address holds, then provider and kind; the first group of the pattern is the name. Forms from the providers'
# documentation of their endpoints.
FORMS: Final = tuple(
    (gate, provider, kind, re.compile(pattern, re.IGNORECASE).match)
    for gate, provider, kind, pattern in (
        ("amazonaws.com", "aws", "bucket", r"https?://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3[.-](?:[a-z0-9-]+\.){0,3}amazonaws\.com"),
        ("amazonaws.com", "aws", "bucket", r"https?://s3[.-](?:[a-z0-9-]+\.){0,3}amazonaws\.com/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/|$)"),
        ("storage.googleapis.com", "google", "bucket", r"https?://storage\.googleapis\.com/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/|$)"),
        ("storage.googleapis.com", "google", "bucket", r"https?://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])\.storage\.googleapis\.com"),
        (".blob.core.windows.net", "azure", "storage_account", r"https?://([a-z0-9]{3,24})\.blob\.core\.windows\.net"),
        (".digitaloceanspaces.com", "digitalocean", "bucket", r"https?://([a-z0-9][a-z0-9-]{1,61})\.[a-z0-9]+\.(?:cdn\.)?digitaloceanspaces\.com"),
        (".firebaseio.com", "google", "firebase", r"(?:https?|wss?)://([a-z0-9-]{3,40})\.firebaseio\.com"),
        (".firebasestorage.app", "google", "firebase_storage", r"https?://([a-z0-9-]{3,40})\.firebasestorage\.app"),
        (".r2.dev", "cloudflare", "bucket", r"https?://(pub-[0-9a-f]{32})\.r2\.dev"),
        (".aliyuncs.com", "alibaba", "bucket", r"https?://([a-z0-9][a-z0-9-]{1,61})\.oss-[a-z0-9-]+\.aliyuncs\.com"),
    )
)  # fmt: skip


def cloud_resources(urls: Iterable[str]) -> list[Entity]:
    """The resources that ``urls`` are in, each once."""
    found: dict[tuple[str, ...], Entity] = {}
    elsewhere: set[str] = set()
    for url in urls:
        origin = origin_of(url)
        if origin in elsewhere:
            continue
        forms = [form for form in FORMS if form[0] in origin]
        if not forms:
            elsewhere.add(origin)
        for _, provider, kind, match in forms:
            if (place := match(url[:512])) and len(found) < MAX_RESOURCES:
                try:
                    entity = entities.cloud_resource(provider, kind, place[1])
                except Malformed:
                    continue
                found[entity.key] = entity
    return list(found.values())
