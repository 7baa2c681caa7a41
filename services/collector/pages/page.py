"""One answer over HTTP, read whole: its headers, its text, and its document where it is one."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from services.collector.archetypes.urls import host_in
from services.collector.context import HttpAnswer
from services.collector.pages.accounts import accounts
from services.collector.pages.cloud import cloud_resources
from services.collector.pages.contacts import crypto_addresses, email_addresses, phone_numbers
from services.collector.pages.headers import POLICIES, Cookie, cookies, missing_protections, other_values, policy_hosts
from services.collector.pages.html import MAX_BYTES, Document, read_html
from services.collector.pages.names import names_below
from services.collector.pages.scripts import read_script
from services.collector.pages.technologies import Found, technologies
from services.collector.pages.trackers import trackers
from services.contracts.entities import Entity

MAX_HOSTS: Final = 300
#: Seconds for which the modules that begin with the front page of a site, `web` and `crawl`, share one answer.
FRONT_SHARED: Final = 600

_TEXT: Final = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/x-javascript",
        "application/xml",
    }
)
_HTML: Final = frozenset({"application/xhtml+xml", "text/html"})
# What an element of HTML is to the page that has it; other elements are called by their names.
_ELEMENTS: Final = {"a": "anchor", "area": "anchor", "iframe": "frame", "img": "image", "link": "resource"}
_charset = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE).search


class Page(Struct, frozen=True, kw_only=True):
    """What one answer discloses.

    ``document`` is empty for what is no HTML. ``names`` are at or below the domain that was asked about, ``hosts`` all
    hosts that it points to; both say where they stand: ``anchor``, ``script``, ``policy``, ``header``, ``text`` …
    ``mentioned`` are contacts, accounts and addresses on chains, ``carried`` trackers and cloud resources.
    """

    mime_type: str
    document: Document
    names: dict[str, str]
    hosts: dict[str, str]
    technologies: list[Found]
    cookies: list[Cookie]
    missing: list[str]
    mentioned: list[Entity]
    carried: list[Entity]


def read_page(answer: HttpAnswer, domain: str) -> Page:
    """Read an answer for the names below ``domain`` (which may be empty) and for everything else that it discloses."""
    kind = mime_type(answer)
    html = is_html(answer)
    body = answer.body[:MAX_BYTES] if html or is_text(kind) else b""
    document = document_of(answer)
    code = "\n".join(document.scripts).encode("utf-8", "replace") if html else body
    script = read_script(code)
    anchors = [link for link in document.links if link.tag in {"a", "area"}]
    loaded = [link.url for link in document.links if link.tag not in {"a", "area", "form"}]
    set_cookies = cookies(answer.headers)
    hosts = _hosts(answer, document, script.hosts, "script" if html or "script" in kind else "text")
    embedded = b"\n".join((code, *(text.encode("utf-8", "replace") for text in (*loaded, *document.embeds))))
    return Page(
        mime_type=kind,
        document=document,
        names=_names(answer, body, domain, hosts) if domain else {},
        hosts=hosts,
        technologies=technologies(
            headers=answer.headers,
            cookies=[cookie.name for cookie in set_cookies],
            generator=document.metas.get("generator", ""),
            title=document.title,
            assets=loaded,
            body=body if html else b"",
        ),
        cookies=set_cookies,
        missing=missing_protections(answer.headers, encrypted=answer.url.startswith("https:")) if html else [],
        mentioned=[
            *email_addresses(body),
            *(phone_numbers(body, [link.url for link in anchors]) if html else ()),
            *(crypto_addresses(body) if html else ()),
            *accounts(anchors),
        ],
        carried=[*trackers(embedded), *cloud_resources((*loaded, *script.urls))],
    )


def document_of(answer: HttpAnswer) -> Document:
    """The document in an answer; empty for what is no HTML."""
    return read_html(answer.body[:MAX_BYTES], answer.url, _charset_of(answer)) if is_html(answer) else Document()


def mime_type(answer: HttpAnswer) -> str:
    """The media type of the Content-Type header without parameters, in lower case, or nothing."""
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()[:100]


def is_html(answer: HttpAnswer) -> bool:
    """Whether the answer is a document of HTML, by its type or, without one, by how it begins."""
    kind = mime_type(answer)
    start = answer.body[:512].lstrip() if not kind else b""
    return kind in _HTML or (start[:1] == b"<" and start[:5] != b"<?xml")


def is_text(kind: str) -> bool:
    """Whether content of a media type is text to look for names in."""
    return kind.startswith("text/") or kind in _TEXT or kind.endswith(("+json", "+xml"))


def _charset_of(answer: HttpAnswer) -> str:
    match = _charset(answer.header("content-type") or "")
    return match[1] if match else ""


def _hosts(answer: HttpAnswer, document: Document, called: Iterable[str], place: str) -> dict[str, str]:
    """Every host that is pointed to, with the first of the places where it stands; policies are looked at first."""
    hosts: dict[str, str] = {}
    for host, element in _pointers(answer, document, called, place):
        if host and len(hosts) < MAX_HOSTS:
            hosts.setdefault(host, element)
    return hosts


def _pointers(answer: HttpAnswer, document: Document, called: Iterable[str], place: str) -> Iterator[tuple[str, str]]:
    for name, value in answer.headers:
        if name.lower() in POLICIES:
            yield from ((host, "policy") for host in policy_hosts(value))
    seen: set[str] = set()
    for link in document.links:
        if link.origin not in seen:
            seen.add(link.origin)
            yield host_in(link.origin), _ELEMENTS.get(link.tag, link.tag)
    yield from ((host, place) for host in called)


def _names(answer: HttpAnswer, body: bytes, domain: str, hosts: dict[str, str]) -> dict[str, str]:
    """The names below ``domain`` in headers and body, with the place where each stands."""
    values = "\n".join(other_values(answer.headers)).encode("utf-8", "replace")
    names = dict.fromkeys(names_below(values, domain), "header")
    suffix = "." + domain
    names.update((host, place) for host, place in hosts.items() if host == domain or host.endswith(suffix))
    for name in names_below(body, domain):
        names.setdefault(name, "text")
    return names
