"""What a document of HTML links, runs, submits and calls itself (https://html.spec.whatwg.org/)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from msgspec import Struct

from services.collector.pages.charsets import codec_of
from services.collector.pages.trees import trees

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

MAX_BYTES: Final = 1_000_000
MAX_LINKS: Final = 2_000
MAX_SCRIPT_BYTES: Final = 300_000
MAX_TITLE: Final = 512
MAX_EMBEDS: Final = 200
MAX_URL: Final = 4_096

_charset = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,40})", re.IGNORECASE)
_refresh = re.compile(r"[^;,]{0,20}[;,]\s*url\s*=\s*[\"']?([^\"'\s>]{1,2000})", re.IGNORECASE).match
_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,30}):").match
_SCHEMES: Final = frozenset({"http", "https", "ftp", "ws", "wss", "mailto", "tel"})
_spaces = re.compile(r"\s+")


class Link(Struct, frozen=True, gc=False):
    """A URL that a document names, made absolute, and its ``origin``: scheme, host and port.

    ``tag`` is the element, ``rel`` what it says of the target.
    """

    tag: str
    url: str
    origin: str
    rel: str = ""


class Form(Struct, frozen=True, gc=False):
    """Where a form is sent; ``password`` when it asks for one, ``upload`` when it takes files."""

    action: str
    method: str
    password: bool = False
    upload: bool = False


class Document(Struct, frozen=True, kw_only=True):
    """The facts of one document; of pictures, sound and film only those that come from elsewhere.

    ``metas`` are the contents of meta elements by lower-case name, property or http-equiv; ``scripts`` the inline ones;
    ``embeds`` the data attributes of the others, which tell them whose account they serve.
    """

    title: str = ""
    language: str = ""
    links: tuple[Link, ...] = ()
    icons: tuple[str, ...] = ()
    metas: dict[str, str] = {}
    scripts: tuple[str, ...] = ()
    embeds: tuple[str, ...] = ()
    forms: tuple[Form, ...] = ()

    def urls(self, *tags: str) -> list[str]:
        """The URLs of the links of ``tags``, in the order of the document."""
        return [link.url for link in self.links if link.tag in tags]


@lru_cache(maxsize=8)
def read_html(body: bytes, url: str, charset: str = "") -> Document:
    """Read a document that came from ``url``; ``charset`` is the one its Content-Type names.

    What lies past `MAX_BYTES` is not read. Nothing is raised: every sequence of bytes is some document. The last few
    are remembered, because a module looks for what to ask next in the document that it is about to parse.
    """
    reader = _Reader(url)
    for root in trees(_utf8(body[:MAX_BYTES], charset)):
        reader.read(root)
    return reader.document()


def _utf8(body: bytes, charset: str) -> bytes:
    """The body in UTF-8, by the charset of the header, of a meta element in the first kilobyte, or as it is."""
    if not charset and (declared := _charset.search(body, 0, 1024)):
        charset = declared[1].decode("ascii")
    codec = codec_of(charset)
    return body if codec == "utf-8" else body.decode(codec, "replace").encode("utf-8", "replace")


class _Reader:
    def __init__(self, url: str) -> None:
        self.base = url
        self.origin = origin_of(url)
        self.title = ""
        self.language = ""
        self.links: list[Link] = []
        self.icons: list[str] = []
        self.metas: dict[str, str] = {}
        self.scripts: list[str] = []
        self.script_bytes = 0
        self.embeds: list[str] = []
        self.forms: list[Form] = []

    def document(self) -> Document:
        return Document(
            title=self.title,
            language=self.language,
            links=tuple(self.links),
            icons=tuple(self.icons),
            metas=self.metas,
            scripts=tuple(self.scripts),
            embeds=tuple(self.embeds),
            forms=tuple(self.forms),
        )

    def read(self, root: "LexborNode") -> None:
        handlers = _HANDLERS
        for node in root.traverse():
            if handler := handlers.get(node.tag or ""):
                handler(self, node)

    def link(self, tag: str, target: str | None, rel: str = "") -> str:
        if not target or len(self.links) >= MAX_LINKS:
            return ""
        if target[0] == "/" and target[1:2] != "/" and len(target) < MAX_URL:
            url, origin = self.origin + target.rstrip(), self.origin
        else:
            url = absolute(target, self.base)
            origin = origin_of(url)
        if url:
            self.links.append(Link(tag, url, origin, rel))
        return url

    def anchor(self, node: "LexborNode") -> None:
        attributes = node.attributes
        self.link("a", attributes.get("href"), attributes.get("rel") or "")

    def frame(self, node: "LexborNode") -> None:
        attributes = node.attributes
        self.link(node.tag or "", attributes.get("src") or attributes.get("data"))

    def medium(self, node: "LexborNode") -> None:
        # A site's own pictures are many and say nothing.
        target = node.attributes.get("src")
        if target and "//" in target[:8]:
            self.link(node.tag or "", target)

    def linked(self, node: "LexborNode") -> None:
        attributes = node.attributes
        rel = (attributes.get("rel") or "").lower()
        url = self.link("link", attributes.get("href"), rel)
        if url and "icon" in rel.split() and len(self.icons) < 8:
            self.icons.append(url)

    def script(self, node: "LexborNode") -> None:
        attributes = node.attributes
        source = attributes.get("src")
        if source:
            self.link("script", source)
            if len(attributes) > 1 and len(self.embeds) < MAX_EMBEDS:
                self.embeds += [
                    f'{name}="{value[:200]}"' for name, value in attributes.items() if value and name[:5] == "data-"
                ]
        elif self.script_bytes < MAX_SCRIPT_BYTES:
            text = node.text(deep=True)[: MAX_SCRIPT_BYTES - self.script_bytes]
            self.script_bytes += len(text)
            self.scripts.append(text)

    def meta(self, node: "LexborNode") -> None:
        attributes = node.attributes
        name = attributes.get("name") or attributes.get("property") or attributes.get("http-equiv")
        if name and name.lower() == "refresh" and (found := _refresh(attributes.get("content") or "")):
            self.link("refresh", found[1])
        if name and len(self.metas) < 64:
            self.metas.setdefault(name.lower()[:64], (attributes.get("content") or "")[:2048])

    def form(self, node: "LexborNode") -> None:
        if len(self.forms) >= 32:
            return
        attributes = node.attributes
        action = absolute(attributes.get("action") or self.base, self.base)
        method = (attributes.get("method") or "get").lower()
        self.forms.append(Form(action, method))
        if action and attributes.get("action"):
            self.link("form", attributes.get("action"))

    def field(self, node: "LexborNode") -> None:
        kind = (node.attributes.get("type") or "").lower()
        if kind in {"password", "file"}:
            last = self.forms.pop() if self.forms else Form(self.base, "get")
            self.forms.append(
                Form(last.action, last.method, last.password or kind == "password", last.upload or kind == "file")
            )

    def name(self, node: "LexborNode") -> None:
        # An SVG has titles of its own; the document's comes first.
        if not self.title:
            self.title = _spaces.sub(" ", node.text(deep=True)[: 4 * MAX_TITLE]).strip()[:MAX_TITLE]

    def root(self, node: "LexborNode") -> None:
        if not self.language:
            self.language = (node.attributes.get("lang") or "")[:35]

    def rebase(self, node: "LexborNode") -> None:
        self.base = absolute(node.attributes.get("href") or "", self.base) or self.base
        self.origin = origin_of(self.base)


_HANDLERS: Final[dict[str, Callable[[_Reader, "LexborNode"], None]]] = {
    "a": _Reader.anchor,
    "area": _Reader.anchor,
    "link": _Reader.linked,
    "script": _Reader.script,
    "img": _Reader.medium,
    "iframe": _Reader.frame,
    "frame": _Reader.frame,
    "embed": _Reader.frame,
    "object": _Reader.frame,
    "source": _Reader.medium,
    "video": _Reader.medium,
    "audio": _Reader.medium,
    "meta": _Reader.meta,
    "form": _Reader.form,
    "input": _Reader.field,
    "title": _Reader.name,
    "html": _Reader.root,
    "base": _Reader.rebase,
}


def absolute(target: str, base: str) -> str:
    """``target`` as an absolute URL, seen from the absolute URL ``base``; empty when it names no place."""
    target = target.strip()
    if target[:1] in {"", "#"} or len(target) > MAX_URL:
        return ""
    if target[:8] == "https://":
        return target
    if target[:2] == "//":
        return base[: base.find(":") + 1] + target
    if target[0] == "/":
        return origin_of(base) + target
    if scheme := _scheme(target):
        return target if scheme[1].lower() in _SCHEMES else ""
    try:
        return urljoin(base, target)
    except ValueError:
        return ""


def origin_of(url: str) -> str:
    """Scheme, host and port of an absolute URL, without the slash that follows."""
    end = url.find("/", url.find("://") + 3)
    return url if end < 0 else url[:end]
