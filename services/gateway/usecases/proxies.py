"""Where a request comes from that other servers passed on: what those say that are trusted, and nobody else.

``X-Forwarded-For`` is what every proxy appends to, so that only its end is known: it is read from the right, up to the
first address that is no trusted proxy. Whatever stands before that may have been made up by whoever asks.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from services.kernel.asgi import Headers, Scope
from services.kernel.errors import Invalid
from services.kernel.networks import Address, Network, parse_ip, parse_networks
from services.kernel.settings import Settings

_FOR: Final = b"x-forwarded-for"
_HOST: Final = b"x-forwarded-host"
_PROTO: Final = b"x-forwarded-proto"
#: An address with a port behind it, as some proxies say it.
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
#: Proxies that a request may have come through.
_MOST: Final = 32


def trusted_by(settings: Settings) -> tuple[Network, ...]:
    """Whom a process believes where a request comes from.

    Raises:
        Invalid: that is no network.
    """
    try:
        return parse_networks(settings.trusted_proxies)
    except Invalid as error:
        raise Invalid(f"the setting trusted_proxies: {error}") from error


class Proxied:
    """Middleware, around all others: a request that trusted proxies passed on comes from where they say."""

    def __init__(self, app: Callable[..., Any], trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._trusted:
            client = scope.get("client") or ("", 0)
            if self._is_trusted(parse_ip(client[0])):
                headers = scope["headers"]
                scope = {**scope, "client": (self._origin(client[0], headers), 0), "headers": _as_asked(headers)}
        await self._app(scope, receive, send)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _origin(self, peer: str, headers: Headers) -> str:
        """The first address from the right that is no trusted proxy; what is none ends the list."""
        known = peer
        for said in _from_the_right(headers):
            address = parse_ip(said)
            if address is None:
                break
            known = str(address)
            if not self._is_trusted(address):
                break
        return known


def _from_the_right(headers: Headers) -> Iterator[str]:
    said = b",".join(value for name, value in headers if name == _FOR).decode("latin-1")
    for each in reversed(said.rsplit(",", _MOST)[-_MOST:]):
        text = each.strip()
        found = _WITH_PORT.fullmatch(text)
        yield (found[1] or found[2]) if found else text


def _as_asked(headers: Headers) -> Headers:
    """The headers without an Origin that is where the proxy itself was asked: it is none from elsewhere."""
    said = {name: value.decode("latin-1").strip() for name, value in headers if name in {_HOST, _PROTO}}
    host, scheme = said.get(_HOST, ""), said.get(_PROTO, "")
    if not host:
        return headers
    return [(name, value) for name, value in headers if name != b"origin" or not _is_at(value, scheme, host)]


def _is_at(origin: bytes, scheme: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.decode("latin-1"))
    except ValueError:
        return False
    return parts.netloc.lower() == host.lower() and scheme in {"", parts.scheme}
