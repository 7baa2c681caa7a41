"""Software that a web server's answer gives away, by the marks in `fingerprints`."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

from services.collector.pages.fingerprints import (
    ASSETS,
    COOKIES,
    HEADERS,
    MARKUP,
    PRODUCTS,
    TITLES,
    VERSIONED_ONLY,
    Mark,
)

MAX_TECHNOLOGIES: Final = 64
MAX_ASSET_TEXT: Final = 100_000

_token = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9_.+-]{1,40})(?:/v?([0-9][A-Za-z0-9.+~_-]{0,40}))?(?:\s*\([^)]{0,100}\))?[\s,;]*"
).match
_trailing_version = re.compile(r"^(.{2,60}?)[\s/]+v?([0-9]+(?:\.[0-9A-Za-z-]+){0,5})\b")
_wordpress_addition = re.compile(
    r"/wp-content/(plugins|themes)/([a-z0-9_-]{2,60})/(?:[^\s\"'?]{0,200}(?:\?(?:[^\s\"']{0,100}&)?ver=([0-9]+(?:\.[0-9]+)*))?)?"
)


class Found(Struct, frozen=True, gc=False):
    """A product, its version or nothing, and where its mark is: such as ``header server`` or ``generator``."""

    product: str
    version: str
    place: str


def technologies(
    *,
    headers: Iterable[tuple[str, str]] = (),
    cookies: Iterable[str] = (),
    generator: str = "",
    title: str = "",
    assets: Iterable[str] = (),
    body: bytes = b"",
) -> list[Found]:
    """The products in an answer, each once, with a version where any mark of it tells one."""
    found: dict[str, Found] = {}
    for one in _all(headers, cookies, generator, title, assets, body):
        known = found.get(one.product)
        if known is None or (one.version and not known.version):
            found[one.product] = one
    return list(found.values())[:MAX_TECHNOLOGIES]


def product_tokens(value: str, place: str) -> Iterator[Found]:
    """The products of a Server or X-Powered-By header; a token that is not known counts when it has a version."""
    value = value[:512]
    at = 0
    while at < len(value) and (match := _token(value, at)):
        name, version = match[1], match[2] or ""
        product = PRODUCTS.get(name.lower(), name if version else "")
        if product:
            yield Found(product, version, place)
        at = match.end()


def _all(
    headers: Iterable[tuple[str, str]],
    cookies: Iterable[str],
    generator: str,
    title: str,
    assets: Iterable[str],
    body: bytes,
) -> Iterator[Found]:
    for name, value in headers:
        yield from _in_header(name.lower(), value)
    for cookie in cookies:
        lowered = cookie.lower()
        yield from (Found(mark.product, "", "cookie") for mark in COOKIES if lowered.startswith(mark.text))
    if generator:
        yield from _named(generator, "generator")
    if title:
        yield from _marked(TITLES, title.lower(), "title")
    yield from _in_assets("\n".join(assets)[:MAX_ASSET_TEXT].lower(), generator)
    if body:
        yield from _marked(MARKUP, body.lower().decode("latin-1"), "markup")


def _in_header(name: str, value: str) -> Iterator[Found]:
    place = f"header {name}"
    if name in {"server", "x-powered-by"}:
        yield from product_tokens(value, place)
    elif name == "x-generator":
        yield from _named(value, place)
    elif marks := HEADERS.get(name):
        yield from _marked(marks, value.lower()[:1024], place)


def _in_assets(text: str, generator: str) -> Iterator[Found]:
    for found in _marked(ASSETS, text, "asset"):
        if found.version or found.product not in VERSIONED_ONLY:
            yield found
    if "/wp-content/" in text:
        # WordPress gives its own version to what a theme or plugin loads without saying one.
        own = next((found.version for found in _named(generator, "") if found.product == "WordPress"), "")
        for match in _wordpress_addition.finditer(text):
            version = match[3] if match[3] != own else ""
            yield Found(f"WordPress {match[1][:-1]} {match[2]}", version or "", "asset")


def _marked(marks: tuple[Mark, ...], text: str, place: str) -> Iterator[Found]:
    for mark in marks:
        if mark.text in text:
            version = ""
            if mark.version and (match := _compiled(mark.version).search(text)):
                version = match[1]
            yield Found(mark.product, version, place)


def _named(value: str, place: str) -> Iterator[Found]:
    """``WordPress 6.4.2``, ``Hugo 0.120.4``, ``Drupal 10 (https://www.drupal.org)``: a name, perhaps with a version."""
    plain = " ".join(value.partition("(")[0].partition(";")[0].split())[:100]
    if match := _trailing_version.match(plain):
        yield Found(match[1].rstrip(" !-"), match[2], place)
    elif 2 <= len(plain) <= 60:
        yield Found(plain, "", place)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
