"""What response headers disclose: names, policies, cookies, and which protections are missing."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

Headers = Iterable[tuple[str, str]]

MAX_VALUE: Final = 16_384
MAX_COOKIES: Final = 50

POLICIES: Final = ("content-security-policy", "content-security-policy-report-only", "x-content-security-policy")

# The OWASP Secure Headers Project names them (https://owasp.org/www-project-secure-headers/).
SECURITY: Final = (
    "content-security-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
)

_source = re.compile(
    r"(?:(?:https?|wss?)://)?(?:\*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)+)(?::(?:[0-9]{1,5}|\*))?(?:/\S*)?", re.IGNORECASE
).fullmatch


class Cookie(Struct, frozen=True, gc=False):
    """A cookie that was set, without its value (RFC 6265, section 4.1)."""

    name: str
    domain: str = ""
    secure: bool = False
    http_only: bool = False


def policy_hosts(policy: str) -> list[str]:
    """The hosts that a Content-Security-Policy allows, each once (https://www.w3.org/TR/CSP3/); ``*.`` is left out."""
    found: dict[str, None] = {}
    for directive in policy[:MAX_VALUE].split(";"):
        for expression in directive.split()[1:]:
            if match := _source(expression):
                found[match[1].lower()] = None
    return list(found)


def cookies(headers: Headers) -> list[Cookie]:
    """The cookies of Set-Cookie headers, at most `MAX_COOKIES`."""
    found: list[Cookie] = []
    for name, value in headers:
        if name.lower() == "set-cookie" and len(found) < MAX_COOKIES:
            pair, *attributes = value[:MAX_VALUE].split(";")
            flags = {key.strip().lower(): text.strip() for key, _, text in (one.partition("=") for one in attributes)}
            if cookie := pair.partition("=")[0].strip()[:128]:
                found.append(
                    Cookie(
                        name=cookie,
                        domain=flags.get("domain", "").lstrip(".").lower(),
                        secure="secure" in flags,
                        http_only="httponly" in flags,
                    )
                )
    return found


def missing_protections(headers: Headers, *, encrypted: bool) -> list[str]:
    """Which headers of `SECURITY` a document came without; HSTS counts over TLS only, and frame-ancestors stands for
    X-Frame-Options.
    """
    present = {name.lower(): value for name, value in headers}
    missing = [name for name in SECURITY if name not in present]
    if not encrypted and "strict-transport-security" in missing:
        missing.remove("strict-transport-security")
    if "x-frame-options" in missing and "frame-ancestors" in present.get("content-security-policy", "").lower():
        missing.remove("x-frame-options")
    return missing


def other_values(headers: Headers) -> Iterator[str]:
    """The values of the headers that may name hosts, policies left out, as they are read on their own."""
    for name, value in headers:
        if name.lower() not in POLICIES:
            yield value[:MAX_VALUE]
