"""The third parties of the lab's internet: one file per source, found by the file being there.

A file `lab/providers/<source>.py` has one `PROVIDER = Provider(...)`. Its answers are pure functions of the world and
the request, in the source's real format; faults, logs, TLS and DNS are added around it. `id` is the id of Mirage's
module for that source, which is also the id in `Host.known_to` and `World.known_names`.

A source may offer any of: HTTP (`answer`), WHOIS on TCP 43 (`whois`), DNS zones (`lookup` with `zones`).
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from lab.world import World


class Request(Struct, frozen=True, kw_only=True):
    """An HTTP request as it reached a provider.

    `path` is percent-decoded, `query` has every parameter's values in order, header names are lower case, `target` is
    the request target as it was sent.
    """

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""
    scheme: str = "https"
    target: str = "/"

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]


class Response(Struct, frozen=True, kw_only=True):
    """An HTTP answer; Content-Length, Date and Connection are added on the wire."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def json(value: Any, *, status: int = 200, media_type: str = "application/json", **headers: str) -> Response:
    """An answer in JSON; extra headers are given with underscores for hyphens (`link="<…>"`, `x_total="3"`)."""
    return _typed(msgspec.json.encode(value), status, media_type, headers)


def text(value: str, *, status: int = 200, media_type: str = "text/plain; charset=utf-8", **headers: str) -> Response:
    return _typed(value.encode(), status, media_type, headers)


def html(value: str, *, status: int = 200, **headers: str) -> Response:
    return _typed(value.encode(), status, "text/html; charset=utf-8", headers)


def redirect(location: str, *, status: int = 302) -> Response:
    return Response(status=status, headers=(("Location", location),))


def _typed(body: bytes, status: int, media_type: str, headers: dict[str, str]) -> Response:
    extra = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status=status, headers=(("Content-Type", media_type), *extra), body=body)


class Key(Struct, frozen=True, kw_only=True):
    """The key a source wants: a request without this value is answered with 401 before `answer` is called.

    `value` is what the header or the query parameter must hold, the scheme (`Bearer …`) included.
    """

    where: Literal["header", "query"]
    name: str
    value: str


class Provider(Struct, frozen=True, kw_only=True):
    """A third party.

    id: the id of the source (file name).
    hosts: the host names it serves over HTTP(S) and WHOIS; each gets an address, a certificate and an A record.
        Several providers may share a host; they are asked in the order of their ids until one does not answer None.
    answer: (world, request) -> Response, or None for "not mine" (404 when nobody answers).
    whois: (world, server name, query line) -> the whole text, or None for "not mine".
    zones: DNS zones it answers, through the resolver, with `lookup`.
    lookup: (world, name, type) -> values in presentation form, [] for no data, None for a name that does not exist.
    states: entities, as (type, *parts of the key), that its answers state and no other part of the world does; they
        become part of the truth (`lab/truth.py` has those that follow from the world).
    key: the key it wants, if any.
    """

    id: str
    hosts: tuple[str, ...] = ()
    answer: Callable[[World, Request], Response | None] | None = None
    whois: Callable[[World, str, str], str | None] | None = None
    zones: tuple[str, ...] = ()
    lookup: Callable[[World, str, str], Sequence[str] | None] | None = None
    states: Callable[[World], Iterable[tuple[str, ...]]] | None = None
    key: Key | None = None


def load_providers() -> dict[str, Provider]:
    """Every provider that has a file here, by id."""
    found: dict[str, Provider] = {}
    for module in sorted(entry.name for entry in pkgutil.iter_modules(__path__)):
        provider = importlib.import_module(f"{__name__}.{module}").PROVIDER
        if provider.id != module:
            raise ValueError(f"lab/providers/{module}.py names itself {provider.id}")
        found[provider.id] = provider
    return found
