"""A source that says what was recorded: a `Context` over the answers of one case, and the replay of a module on it.

A case is `tests/collector/cases/<module>/<case>.json`:

    {"seen": {"kind": "entity", "type": "domain", "key": ["example.org"]},
     "options": {}, "key": null, "now": 1790000000000000, "wordlist": [], "scope": {…},
     "answers": [
       {"protocol": "http",  "request": "GET https://…?q=…", "status": 200, "headers": {…}, "body": "…"},
       {"protocol": "dns",   "request": "A,AAAA www.example.org", "resolutions": [
          {"name": "www.example.org", "type": "A", "status": "found",
           "records": [["www.example.org", "A", 300, "192.0.2.1"]]}]},
       {"protocol": "dns",   "request": "sweep A", "resolutions": […], "members": […], "unjudged": […],
        "asked": 12},
       {"protocol": "dns",   "request": "A www.example.org @192.0.2.53", "resolutions": […]},
       {"protocol": "dns",   "request": "AXFR example.org @192.0.2.53", "resolutions": […]},
       {"protocol": "whois", "request": "whois.iana.org example.org", "body": "…"},
       {"protocol": "tls",   "request": "192.0.2.1:443 www.example.org", "chain": ["leaf.pem"], "verified": "…"},
       {"protocol": "tcp",   "request": "192.0.2.1 22,80,443", "open": [22], "banners": {"22": "SSH-2.0-…"}}],
     "addresses": {"www.example.org": ["192.0.2.1"]},
     "claims": [ … ], "raises": "RateLimited"}

A body is text, a JSON value (sent as JSON), or a file beside the case (`body_file`). `headers` may hold a list for a
repeated name. `url`, `hops`, `tls_error` and `truncated` are taken over when given, `request_body` is compared when
given, and an answer with `"raises": "Unreachable"` fails instead. A key is never part of a request.
"""

import base64
import importlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from services.collector import context
from services.collector.context import (
    Answer,
    Blocked,
    DnsAnswer,
    Hop,
    HttpAnswer,
    ParseError,
    RateLimited,
    SourceError,
    TcpAnswer,
    TextAnswer,
    TlsAnswer,
    Unauthorised,
    Unreachable,
)
from services.collector.manifest import MODULES, BadManifest, Manifest, ModuleFile, read_manifest
from services.collector.resolve.answer import Answer as Resolution
from services.collector.resolve.answer import Record
from services.contracts.claims import Claim
from services.contracts.scope import Scope
from services.contracts.subjects import Subject

CASES = Path(__file__).parent / "cases"
NOW = 1_790_000_000_000_000
RCODES = {"found": 0, "nodata": 0, "nxdomain": 3, "servfail": 2, "refused": 5}


class Case(Struct, kw_only=True, forbid_unknown_fields=True):
    """One recorded conversation with a source and what it should teach."""

    seen: Subject
    answers: list[dict[str, Any]]
    claims: list[dict[str, Any]] = []
    raises: str | None = None
    options: dict[str, Any] = {}
    key: str | None = None
    now: int = NOW
    wordlist: list[str] = []
    addresses: dict[str, list[str]] = {}
    scope: dict[str, Any] = {}
    note: str = ""


class Outcome(Struct):
    """What a module made of a case: the answers it yielded, its claims, how it ended, and what nobody asked for."""

    answers: list[Answer]
    claims: list[Claim]
    raised: str | None
    unused: list[str]


def all_cases() -> list[Path]:
    return sorted(CASES.glob("*/*.json"))


def readable_modules() -> list[ModuleFile]:
    """The modules whose manifest can be read; that all can is a test of its own."""
    found = []
    for path in sorted(MODULES.glob("[!_]*.py")):
        with suppress(BadManifest):
            found.append(read_manifest(path))
    return found


def read_case(path: Path) -> Case:
    return msgspec.json.decode(path.read_bytes(), type=Case)


def load_module(module: str) -> ModuleType:
    return importlib.import_module(f"services.collector.modules.{module}")


async def replay(path: Path) -> Outcome:
    """Run the module of a case on the case's answers."""
    module = load_module(path.parent.name)
    manifest = read_manifest(MODULES / f"{path.parent.name}.py").manifest
    case = read_case(path)
    ctx = RecordedContext(case, manifest, path.parent)
    answers: list[Answer] = []
    claims: list[Claim] = []
    raised = None
    try:
        async for answer in module.collect(case.seen, ctx):
            answers.append(answer)
            claims.extend(module.parse(answer, case.seen))
    except (SourceError, ParseError) as error:
        raised = type(error).__name__
    return Outcome(answers=answers, claims=claims, raised=raised, unused=ctx.unused())


def claim_lines(claims: Iterable[Any]) -> list[str]:
    """One line of JSON a claim, sorted, whether the claims are Structs or came from a case."""
    return sorted(json.dumps(msgspec.to_builtins(claim), sort_keys=True, ensure_ascii=False) for claim in claims)


class RecordedContext(context.Context):
    """A `Context` that answers each request of a case once, in order, and knows nothing else."""

    def __init__(self, case: Case, manifest: Manifest, folder: Path) -> None:
        self._case = case
        self._manifest = manifest
        self._folder = folder
        self._left = list(case.answers)
        self.http = _Http(self)
        self.dns = _Dns(self)
        self.whois = _Whois(self)
        self.tls = _Tls(self)
        self.tcp = _Tcp(self)
        self.scope = msgspec.convert(case.scope, Scope)
        self.now = case.now
        self.options = {**manifest.options, **case.options}
        self.wordlist = lambda: iter(case.wordlist)

    def key(self) -> str | None:
        if self._case.key is None and self._manifest.key_required:
            raise Unauthorised(f"{self._manifest.id} needs a key")
        return self._case.key

    def unused(self) -> list[str]:
        return [answer["request"] for answer in self._left]

    def take(self, protocol: str, request: str) -> dict[str, Any]:
        """The first answer left for this request; a request without one is a mistake of the module or of the case."""
        if self._case.key is not None and self._case.key in request:
            raise AssertionError(f"the key is in the request {request}")
        for place, answer in enumerate(self._left):
            if answer["protocol"] == protocol and answer["request"] == request:
                del self._left[place]
                if "raises" in answer:
                    raise getattr(context, answer["raises"])(answer.get("reason", "recorded"))
                return answer
        left = "".join(f"\n  {answer['protocol']} {answer['request']}" for answer in self._left)
        raise AssertionError(f"unexpected request: {protocol} {request}\nleft:{left or ' none'}")

    def allow(self, host: str) -> None:
        """Modules with `hosts` speak to those only; modules without speak to their subject."""
        hosts = self._manifest.hosts
        if hosts and not any(fnmatch(host, pattern) for pattern in hosts):
            raise AssertionError(f"{host} is not among the hosts of {self._manifest.id}")

    def body(self, answer: Mapping[str, Any]) -> bytes:
        if "body_file" in answer:
            return (self._folder / answer["body_file"]).read_bytes()
        body = answer.get("body", "")
        return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()

    def file(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    @property
    def at(self) -> int:
        return self._case.now


class _Part:
    def __init__(self, ctx: RecordedContext) -> None:
        self._ctx = ctx


class _Http(_Part, context.Http):
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
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, quote_via=quote)
        return self._answer("GET", url, secret, statuses, max_bytes)

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
        return self._answer("POST", url, secret, statuses, max_bytes, sent=body)

    def _answer(
        self,
        method: str,
        url: str,
        secret: Mapping[str, str] | None,
        statuses: Iterable[int] | Literal["any"],
        max_bytes: int,
        sent: bytes | None = None,
    ) -> HttpAnswer:
        self._ctx.allow(urlsplit(url).hostname or "")
        answer = self._ctx.take("http", f"{method} {url}")
        if sent is not None and "request_body" in answer:
            expected = answer["request_body"]
            assert (sent.decode() if isinstance(expected, str) else json.loads(sent)) == expected
        body = self._ctx.body(answer)
        if len(body) > max_bytes and statuses != "any":
            raise Unreachable(f"{url}: more than {max_bytes} bytes")
        got = HttpAnswer(
            at=self._ctx.at,
            url=answer.get("url", url),
            status=answer.get("status", 200),
            headers=tuple(_pairs(answer.get("headers", {}))),
            body=body[:max_bytes],
            peer=answer.get("peer", ""),
            hops=tuple(msgspec.convert(hop, Hop) for hop in answer.get("hops", ())),
            tls_error=answer.get("tls_error", ""),
            truncated=answer.get("truncated", len(body) > max_bytes),
        )
        if statuses != "any" and got.status not in set(statuses):
            raise failure(got, asked_with_key=bool(secret))
        return got


class _Dns(_Part, context.Dns):
    async def ask(self, name: str, *types: str) -> DnsAnswer:
        return self._answer(self._ctx.take("dns", f"{','.join(types)} {name}"))

    async def ask_each(self, names: Sequence[str], type: str = "A") -> DnsAnswer:
        answers = [self._answer(self._ctx.take("dns", f"{type} {name}")) for name in names]
        resolutions = tuple(resolution for answer in answers for resolution in answer.resolutions)
        return DnsAnswer(at=self._ctx.at, resolutions=resolutions)

    async def sweep(self, names: Iterable[str], type: str = "A") -> AsyncIterator[DnsAnswer]:
        answer = self._ctx.take("dns", f"sweep {type}")
        asked = list(names)
        if "asked" in answer:
            assert len(asked) == answer["asked"], f"{len(asked)} names asked for: {asked[:20]}"
        recorded = self._answer(answer)
        known = {resolution.name for resolution in recorded.resolutions}
        assert known <= set(asked), f"recorded, but not asked for: {sorted(known - set(asked))}"
        rest = tuple(
            Resolution(name=name, type=type, status="nxdomain", rcode=3) for name in asked if name not in known
        )
        resolutions = recorded.resolutions + rest
        for start in range(0, len(resolutions), 1000):
            yield msgspec.structs.replace(recorded, resolutions=resolutions[start : start + 1000])

    async def ask_at(self, server: str, name: str, *types: str) -> DnsAnswer:
        return self._answer(self._ctx.take("dns", f"{','.join(types)} {name} @{server}"))

    async def transfer(self, server: str, zone: str, *, max_records: int = 100_000) -> DnsAnswer:
        return self._answer(self._ctx.take("dns", f"AXFR {zone} @{server}"))

    async def addresses(self, name: str) -> tuple[str, ...]:
        return tuple(self._ctx._case.addresses.get(name, ()))

    def _answer(self, answer: Mapping[str, Any]) -> DnsAnswer:
        return DnsAnswer(
            at=self._ctx.at,
            resolutions=tuple(_resolution(said) for said in answer.get("resolutions", ())),
            members=frozenset(answer.get("members", ())),
            unjudged=frozenset(answer.get("unjudged", ())),
        )


class _Whois(_Part, context.Whois):
    async def ask(
        self,
        server: str,
        query: str,
        *,
        max_bytes: int = 1_000_000,
        timeout: float = 20.0,
    ) -> TextAnswer:
        self._ctx.allow(server)
        answer = self._ctx.take("whois", f"{server} {query}")
        return TextAnswer(at=self._ctx.at, server=server, query=query, body=self._ctx.body(answer)[:max_bytes])


class _Tls(_Part, context.Tls):
    async def handshake(
        self,
        address: str,
        port: int,
        server_name: str = "",
        *,
        timeout: float = 10.0,
    ) -> TlsAnswer:
        answer = self._ctx.take("tls", f"{address}:{port} {server_name}".rstrip())
        return TlsAnswer(
            at=self._ctx.at,
            address=address,
            port=port,
            server_name=server_name,
            chain=tuple(_der(self._ctx.file(name)) for name in answer.get("chain", ())),
            version=answer.get("version", "TLSv1.3"),
            cipher=answer.get("cipher", "TLS_AES_256_GCM_SHA384"),
            alpn=answer.get("alpn", ""),
            verified=answer.get("verified", ""),
        )


class _Tcp(_Part, context.Tcp):
    async def probe(
        self,
        address: str,
        ports: Sequence[int],
        *,
        banner: bool = True,
        timeout: float = 3.0,
    ) -> TcpAnswer:
        answer = self._ctx.take("tcp", f"{address} {','.join(map(str, ports))}")
        return TcpAnswer(
            at=self._ctx.at,
            address=address,
            open=tuple(answer.get("open", ())),
            refused=tuple(answer.get("refused", ())),
            silent=tuple(answer.get("silent", ())),
            banners={int(port): said.encode() for port, said in answer.get("banners", {}).items()},
        )


def failure(answer: HttpAnswer, *, asked_with_key: bool) -> SourceError:
    """What a status that nobody expects stands for, as `services.collector.context.Http.get` promises."""
    reason = f"{answer.url}: {answer.status}"
    after = answer.header("retry-after")
    if answer.status == 401 or (answer.status == 403 and (asked_with_key or answer.header("www-authenticate"))):
        return Unauthorised(reason)
    if answer.status in {403, 451}:
        return Blocked(reason)
    if answer.status == 429 or (answer.status == 503 and after is not None):
        return RateLimited(reason, float(after) if after and after.isdigit() else None)
    return Unreachable(reason)


def _pairs(headers: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        for one in [value] if isinstance(value, str) else value:
            yield name, one


def _resolution(said: Mapping[str, Any]) -> Resolution:
    records = tuple(Record(*record) for record in said.get("records", ()))
    status = said.get("status", "found" if records else "nodata")
    return Resolution(
        name=said["name"],
        type=said["type"],
        status=status,
        rcode=said.get("rcode", RCODES.get(status, -1)),
        records=records,
        negative_ttl=said.get("negative_ttl"),
        server=said.get("server", "192.0.2.53:53"),
        at=NOW,
    )


def _der(certificate: bytes) -> bytes:
    """DER of a certificate in DER or PEM (RFC 7468)."""
    if not certificate.startswith(b"-----BEGIN"):
        return certificate
    lines = certificate.split(b"-----END")[0].splitlines()[1:]
    return base64.b64decode(b"".join(lines))
