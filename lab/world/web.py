"""What web hosts answer and which certificates they present."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

SECURITY_EXPIRES = datetime(2027, 11, 1, tzinfo=UTC)


class Technology(Struct, frozen=True, kw_only=True):
    """A product seen on a site: by response headers, by markup in the page, or by a cookie's name."""

    vendor: str
    product: str
    version: str
    category: str
    headers: tuple[tuple[str, str], ...] = ()
    markup: str = ""
    cookie: str = ""


class Page(Struct, frozen=True, kw_only=True):
    """A page of a site: what it names, links and discloses. `path` begins with a slash; `markup` is shown as it is."""

    path: str
    title: str
    text: str = ""
    links: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    crypto_addresses: tuple[str, ...] = ()
    markup: str = ""


class Site(Struct, frozen=True, kw_only=True):
    """What a web host answers. `pages` has `/` first; `script` are URLs named in `/assets/app.js`."""

    host: str
    title: str
    status: int = 200
    redirect: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    technologies: tuple[Technology, ...] = ()
    pages: tuple[Page, ...] = ()
    script: tuple[str, ...] = ()
    trackers: tuple[tuple[str, str], ...] = ()
    favicon: bytes = b""
    robots: tuple[str, ...] = ()
    sitemap: tuple[str, ...] = ()
    security_contact: str | None = None
    security_expires: datetime = SECURITY_EXPIRES
    certificate: str | None = None


class Certificate(Struct, frozen=True, kw_only=True):
    """A certificate that hosts present; signed on first use by the lab's authority, or by another one of that name.

    `names` are its SANs.
    """

    id: str
    subject: str
    names: tuple[str, ...]
    serial: int
    not_before: datetime
    not_after: datetime
    issuer: str
    key: Literal["P-256", "RSA 1024"] = "P-256"
    self_signed: bool = False


class LoggedCertificate(Struct, frozen=True, kw_only=True):
    """A certificate in the public logs; `sources` are the ids of the providers that know this entry."""

    id: int
    serial: str
    sha256: str
    common_name: str
    names: tuple[str, ...]
    issuer: str
    issuer_id: int
    not_before: datetime
    not_after: datetime
    logged: datetime
    sources: frozenset[str]
