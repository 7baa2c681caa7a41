"""What a module sees of the world: its `Context`, the answers it gets there, and the failures it may meet.

A module is two functions. ``collect(seen, ctx)`` is an async generator that asks and yields every answer that says
something; ``parse(answer, seen)`` is pure and yields the claims that one answer supports. The runner hands each
yielded answer to ``parse`` and stamps its claims with the answer's evidence, so a claim always rests on the bytes it
was read from, and a replay needs no network.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from services.collector.pages.charsets import codec_of
from services.collector.resolve.answer import Answer as Resolution
from services.contracts.scope import Scope

T = TypeVar("T")

MOST_VALUES: Final = 1_000_000


class ParseError(Exception):
    """An answer does not have the form that its source documents."""


class SourceError(Exception):
    """The root of what a source can do instead of answering; a module lets these pass."""


class RateLimited(SourceError):
    """Come back later; ``after`` is in seconds, None when the source did not say."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Blocked(SourceError):
    """The source refuses to talk to us (a challenge page, a ban)."""


class Unauthorised(SourceError):
    """The source wants a key that we do not have, or does not take ours."""


class Unreachable(SourceError):
    """No connection, no name, TLS that does not verify, a time limit, a 5xx that stayed."""


class Refused(Unreachable):
    """The address is there and takes no connection on that port; for a target that is an answer of its own."""


class Nameless(Unreachable):
    """The name has no address; for a target that is an answer of its own."""


class Truncated(SourceError):
    """The source has more than it gives, or than is worth asking for; what was yielded before stands."""


class Skipped(SourceError):
    """Not asked: out of scope, refused by the guard, over a budget, or not recorded in a replay."""


class Answer(Struct, frozen=True, kw_only=True):
    """What every answer has: when it came (UTC microseconds), and the ids of the evidence records behind it."""

    at: int
    records: tuple[bytes, ...] = ()


class Hop(Struct, frozen=True):
    """A redirect that was followed or, when ``followed`` is false, only recorded."""

    url: str
    status: int
    location: str
    followed: bool


class HttpAnswer(Answer, frozen=True, kw_only=True):
    """A response with its decoded body; ``url`` is the one that gave it, after ``hops`` redirects."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: str = ""
    hops: tuple[Hop, ...] = ()
    tls_error: str = ""
    truncated: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def json(self, form: type[T] | Any = Any) -> Any:
        """Decode the body as ``form``, which only names the fields that are read.

        Raises:
            ParseError: it is not JSON or not of that form.
        """
        try:
            return msgspec.json.decode(self.json_body(), type=form)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(f"{self.url}: {error}") from error

    def json_body(self) -> bytes:
        """The body, to be decoded: it takes memory by the number of its values, of which no source gives so many.

        Raises:
            ParseError: it has more than `MOST_VALUES`.
        """
        if len(self.body) > MOST_VALUES and sum(map(self.body.count, (b",", b"[", b"{", b"\n"))) > MOST_VALUES:
            raise ParseError(f"{self.url}: more than {MOST_VALUES:,} values")
        return self.body

    def text(self) -> str:
        """The body as text: in the charset of its Content-Type if the web knows it, else UTF-8, with replacements."""
        content_type = self.header("content-type") or ""
        _, _, charset = content_type.partition("charset=")
        return self.body.decode(codec_of(charset.partition(";")[0].strip(" \"'")), "replace")


class DnsAnswer(Answer, frozen=True, kw_only=True):
    """The resolutions of one chunk; ``members`` are the names in it whose answer is what a wildcard above gives.

    ``unjudged`` are those that have an answer of which nobody can say whether a wildcard gives it, because the names
    beside them got none: they may exist or not.
    """

    resolutions: tuple[Resolution, ...]
    members: frozenset[str] = frozenset()
    unjudged: frozenset[str] = frozenset()


class TextAnswer(Answer, frozen=True, kw_only=True):
    """What a server on a plain TCP port said, as WHOIS does (RFC 3912)."""

    server: str
    query: str
    body: bytes

    def text(self) -> str:
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            return self.body.decode("latin-1")


class TlsAnswer(Answer, frozen=True, kw_only=True):
    """One TLS handshake: the chain as DER, leaf first; ``verified`` is empty or says why a client would refuse."""

    address: str
    port: int
    server_name: str
    chain: tuple[bytes, ...]
    version: str
    cipher: str
    alpn: str
    verified: str


class TcpAnswer(Answer, frozen=True, kw_only=True):
    """Which of the probed ports of an address were open, refused or silent, and what the open ones said first."""

    address: str
    open: tuple[int, ...]
    refused: tuple[int, ...]
    silent: tuple[int, ...]
    banners: dict[int, bytes] = {}


class Http(ABC):
    """HTTP through scope, budget, guard, journal and evidence."""

    @abstractmethod
    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        statuses: Iterable[int] | Literal["any"] = (200, 404),
        redirects: int = 5,
        max_bytes: int = 10_000_000,
        timeout: float = 30.0,
        verify: bool = True,
        share: int = 0,
    ) -> HttpAnswer:
        """Ask for ``url``; ``secret`` are query parameters or (with a name ending in ``:``) headers that carry a key.

        A status outside ``statuses`` becomes the failure it stands for: 401 and 403 with a key or a demand for one
        are `Unauthorised`, other 403 and 451 `Blocked`, 429 and 503 with Retry-After `RateLimited`, 5xx (after
        retries) and everything else `Unreachable`. ``verify`` is false only for targets, whose broken TLS is itself
        a finding: ``tls_error`` then says what a client would have refused. A body over ``max_bytes`` fails for a
        source and is ``truncated`` for a target (``statuses="any"``). ``share`` is for a directory that every item of
        a module reads (the RDAP bootstrap files): for that many seconds one answer with its evidence may serve all
        items that ask for the same URL; each item's journal still names that evidence.
        """

    @abstractmethod
    async def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        statuses: Iterable[int] | Literal["any"] = (200, 404),
        max_bytes: int = 10_000_000,
        timeout: float = 30.0,
    ) -> HttpAnswer:
        """Send ``body`` to a source; as `get`."""


class Dns(ABC):
    """Names by the recursive resolvers; a chunk of questions is one unit of journal and evidence."""

    @abstractmethod
    async def ask(self, name: str, *types: str) -> DnsAnswer:
        """Ask for ``types`` of one name; outcomes are in the resolutions, only an absent resolver raises."""

    @abstractmethod
    async def ask_each(self, names: Sequence[str], type: str = "A") -> DnsAnswer:
        """Ask for ``type`` of a few names that belong together, as one chunk; what a wildcard gives is not marked."""

    @abstractmethod
    def sweep(self, names: Iterable[str], type: str = "A") -> AsyncIterator[DnsAnswer]:
        """Ask for ``type`` of many names, a million if need be, and yield them in chunks of up to 1,000.

        Wildcards above the names are found first and their answers marked as ``members``, and as ``unjudged`` where
        nobody can say. A chunk of which nothing resolved is yielded as well.
        """

    @abstractmethod
    async def ask_at(self, server: str, name: str, *types: str) -> DnsAnswer:
        """Ask a name server at an address itself; for active modules only."""

    @abstractmethod
    async def transfer(self, server: str, zone: str, *, max_records: int = 100_000) -> DnsAnswer:
        """Ask a name server for the whole zone (AXFR); refused is an answer without records; active modules only."""

    @abstractmethod
    async def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name, from the answers of this process; no evidence of its own.

        Empty when it has none; `Unreachable` when the resolvers cannot say.
        """


class Whois(ABC):
    @abstractmethod
    async def ask(self, server: str, query: str, *, max_bytes: int = 1_000_000, timeout: float = 20.0) -> TextAnswer:
        """Send one query to port 43 of a server that the manifest names."""


class Tls(ABC):
    @abstractmethod
    async def handshake(self, address: str, port: int, server_name: str = "", *, timeout: float = 10.0) -> TlsAnswer:
        """Shake hands and hang up; active modules only. `Unreachable` when there is no TLS to be had."""


class Tcp(ABC):
    @abstractmethod
    async def probe(
        self, address: str, ports: Sequence[int], *, banner: bool = True, timeout: float = 3.0
    ) -> TcpAnswer:
        """Connect to each port; read what is said first within a second; active modules only."""


class Context(ABC):
    """The whole world of a module: no sockets, no files, no clock but this."""

    http: Http
    dns: Dns
    whois: Whois
    tls: Tls
    tcp: Tcp
    scope: Scope
    now: int
    options: Mapping[str, Any]
    wordlist: Callable[[], Iterator[str]]

    @abstractmethod
    def key(self) -> str | None:
        """The provider key that the manifest names, if there is one; `Unauthorised` when it is required and missing."""


Collect = Callable[[Any, Context], AsyncIterator[Answer]]
