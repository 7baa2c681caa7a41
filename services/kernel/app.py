"""The same doors over HTTP: one Litestar application made of endpoint declarations.

What fourteen hand-written copies would get subtly wrong is here once: parameters from the question's fields, problem
documents (RFC 9457) for every error, server-sent events for streams, the workspace of every request, and the checks of
Host and Origin that an embedded server without identities needs.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from litestar import Litestar, MediaType, Request, Response, get, route
from litestar.exceptions import ClientException, HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import File
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from services.kernel import metrics
from services.kernel.calls import LARGEST, Answering, Caller, Endpoint, operator
from services.kernel.errors import UNKNOWN, Denied, Invalid, MirageError, NotFound, Unauthenticated
from services.kernel.events import EventStream
from services.kernel.files import FileStream, takes_file
from services.kernel.http_limits import be_patient
from services.kernel.http_representation import Represented, note_keeping
from services.kernel.observed import Observed, name_request
from services.kernel.openapi import LAST_EVENT, MEANT, PRINCIPAL, PROBLEM, WORKSPACE, Problem, describe, in_body
from services.kernel.problems import headers_of, make_problem, problem_of, send_problem
from services.kernel.request import SECONDS
from services.kernel.under_way import let_resume
from services.kernel.wording import fault_of
from services.kernel.workspace import read_workspace

if TYPE_CHECKING:
    from services.kernel.principals import Verifier

#: How long a question may take.
LONGEST_SECONDS: Final = 30.0
#: How many bodies that may be large are read at a time, and seconds within which each has come.
LARGE_AT_ONCE: Final = 2
LARGE_SECONDS: Final = 300.0
DOCS: Final = Path(__file__).parent / "docs"
#: Who asks, by the headers of a request and the address that it comes from; raises `Unauthenticated`.
Identify = Callable[[Mapping[str, str], str], Awaitable[Caller]]
#: While it is open, the event is set once what somebody was let in by is good no more.
Watched = Callable[[Caller], AbstractContextManager[asyncio.Event]]
_CODES: Final = {404: "not_found", 405: "not_allowed", 413: "too_large", 415: "invalid"}

_log = structlog.get_logger(__name__)


@contextmanager
def nobody_watches(_: Caller) -> Iterator[asyncio.Event]:
    """Nothing is revoked here, or somebody else sees to it."""
    yield asyncio.Event()


def create_app(
    calls: Answering,
    endpoints: Iterable[Endpoint[Any, Any]],
    *,
    hosts: frozenset[str],
    identify: Identify,
    prefix: str = "",
    watched: Watched = nobody_watches,
    ready: Callable[[], Awaitable[Sequence[str]]] | None = None,
    instances: frozenset[tuple[str, str]] = frozenset(),
    before: Callable[[Any], Any] | None = None,
    public: bool = False,
) -> Litestar:
    """Serve ``endpoints``, answered by ``calls``, below ``prefix``; ``/health/ready`` raises what ``ready`` raises, and
    else says what it returns: what this process does without.

    ``identify``: who asks, by the headers of a request; ``watched``: until when he may. ``instances``: the services
    here and their ids, where they are known by these; whoever asks whether another one is ready, or asks another one,
    is told that it is not here. ``public``: people and their scripts ask it themselves
    (`services.kernel.http_representation`), and no gateway.

    ``hosts``: what a Host header may say; everything else is refused, and so is an Origin that is not the host asked,
    so that no page from elsewhere reaches a server that takes whoever connects for its operator. ``before``: what makes
    of an application one with something before it.
    """
    answered = sorted(endpoints, key=lambda endpoint: (endpoint.path, endpoint.method))
    turns = asyncio.Semaphore(LARGE_AT_ONCE)
    app = Litestar(
        route_handlers=[
            _live,
            _readiness(ready, instances),
            *([] if public else [_metrics]),  # nobody counts where everything runs in one process
            *(_handler(calls, endpoint, prefix, identify, watched, turns) for endpoint in answered),
            *_docs(prefix, describe(answered, prefix)),
        ],
        exception_handlers={MirageError: _our_problem, HTTPException: _their_problem, Exception: _our_problem},
        openapi_config=None,
        request_max_body_size=LARGEST,
        logging_config=None,
    )
    # Around the router, so that what no route takes is refused as well.
    services = frozenset(service for service, _ in instances)
    answering = MeantForUs(PlainPaths(app.asgi_handler), services)
    passed = before(answering) if before else answering
    app.asgi_handler = Observed(LocalOnly(Represented(passed) if public else passed, hosts))
    return app


def create_docs(endpoints: Iterable[Endpoint[Any, Any]], prefix: str) -> Litestar:
    """Serve the pages that show ``endpoints``, and nothing else."""
    described = describe(sorted(endpoints, key=lambda endpoint: (endpoint.path, endpoint.method)), prefix)
    return Litestar(
        route_handlers=[_live, *_docs(prefix, described)],
        exception_handlers={HTTPException: _their_problem, Exception: _our_problem},
        openapi_config=None,
        logging_config=None,
    )


def identify_operator(workspace: str = "default") -> Identify:
    """Whoever asks is the operator; requests that name no workspace are in ``workspace``."""

    async def identify(headers: Mapping[str, str], address: str) -> Caller:
        given = headers.get(WORKSPACE)
        return operator(read_workspace(workspace.encode() if given is None else given.encode("latin-1")))

    return identify


def identify_principal(verifier: "Verifier") -> Identify:
    """Who asks is whom the principal names that another service has signed."""

    async def identify(headers: Mapping[str, str], address: str) -> Caller:
        if (principal := headers.get(PRINCIPAL)) is None:
            raise Unauthenticated("services are asked by who has a principal; people ask the gateway")
        return verifier.verify(principal)

    return identify


def _handler(
    calls: Answering,
    endpoint: Endpoint[Any, Any],
    prefix: str,
    identify: Identify,
    watched: Watched,
    turns: asyncio.Semaphore,
) -> HTTPRouteHandler:
    """Make the route of an endpoint: the fields of its question come from path, query and body."""
    read = _reader(endpoint)

    async def known(request: Request[Any, Any, Any]) -> Caller:
        """Who asks, who may: before anything is looked at that he says."""
        caller = await identify(request.headers, request.client.host if request.client else "")
        calls.check(endpoint, caller)
        if caller.account is not None or caller.kind != "person":
            be_patient(request.scope, caller.account or caller.kind)
        return caller

    async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
        name_request(request.scope, endpoint.name)
        note_keeping(request.scope, endpoint)
        caller = await known(request)
        question = read(request, await (read_in_turn(request, turns) if endpoint.large else request.body()))
        answered = await calls.ask(endpoint, question, caller, seconds=_seconds(request))
        return Response(msgspec.json.encode(answered), media_type=MediaType.JSON)

    async def stream(request: Request[Any, Any, Any]) -> EventStream:
        name_request(request.scope, endpoint.name)
        note_keeping(request.scope, endpoint)
        if endpoint.resumes:
            let_resume(request.scope)
        caller = await known(request)
        with ExitStack() as held:
            revoked = held.enter_context(watched(caller))
            question = _resumed(endpoint, request, read(request, await request.body()))
            parts, at_last = calls.follow(endpoint, question, caller), held.pop_all().close
        if endpoint.file and takes_file(request.headers.get("accept", "")):
            events: EventStream = FileStream(parts, problem_of, revoked, at_last)
        else:
            events = EventStream(parts, problem_of, revoked, at_last, resumes=endpoint.resumes)
        await events.begin()
        return events

    path = re.sub(r"\{(\w+)\}", r"{\1:str}", prefix + endpoint.path)
    handle = stream if endpoint.streams else answer
    return route(
        path,
        http_method=endpoint.method,
        status_code=200,
        name=endpoint.name,
        request_max_body_size=endpoint.largest,
    )(handle)


async def read_in_turn(request: Request[Any, Any, Any], turns: asyncio.Semaphore) -> bytes:
    """A body that may be large, once it is its turn.

    Raises:
        Invalid: it has not come in time.
    """
    async with turns:
        try:
            async with asyncio.timeout(LARGE_SECONDS):
                return await request.body()
        except TimeoutError:
            raise Invalid(f"the request did not come within {LARGE_SECONDS:g} s") from None


def _seconds(request: Request[Any, Any, Any]) -> float:
    """How long the caller waits, where it says so."""
    said = request.headers.get(SECONDS)
    try:
        return LONGEST_SECONDS if said is None else max(0.0, min(LONGEST_SECONDS, float(said)))
    except ValueError:
        raise Invalid(f"{SECONDS} is no number of seconds") from None


def _resumed(endpoint: Endpoint[Any, Any], request: Request[Any, Any, Any], question: Any) -> Any:
    """The question of a viewer that comes again: it names the last event that it saw, whatever the address says."""
    seen = request.headers.get(LAST_EVENT) if endpoint.resumes else None
    if not seen:
        return question
    if not re.fullmatch(r"[0-9]{1,18}", seen):
        raise Invalid(f"{LAST_EVENT} is not the id of an event")
    return msgspec.structs.replace(question, after=int(seen))


def _reader(endpoint: Endpoint[Any, Any]) -> Callable[[Request[Any, Any, Any], bytes], Any]:
    """What makes a question of a request: texts of the path and query are converted, the body is decoded strictly."""
    in_path, in_json = endpoint.path_fields, in_body(endpoint)
    in_query = tuple(name for name in endpoint.takes.__struct_fields__ if name not in (*in_path, *in_json))
    path_form, query_form, body_form = (_part(endpoint, names) for names in (in_path, in_query, in_json))
    decode = msgspec.json.Decoder(body_form).decode

    def read(request: Request[Any, Any, Any], body: bytes) -> Any:
        if in_json and request.content_type[0] != MediaType.JSON:
            # A page from elsewhere can have a browser send any other type without asking.
            raise ClientException(status_code=415, detail="a body says of itself: Content-Type: application/json")
        query = request.query_params.dict()
        repeated = [name for name, values in query.items() if len(values) > 1]
        try:
            if repeated:
                raise Invalid(f"{endpoint.name} takes {', '.join(sorted(repeated))} once")
            parts = [
                msgspec.convert(request.path_params, path_form, strict=False),
                msgspec.convert({name: values[0] for name, values in query.items()}, query_form, strict=False),
            ]
            if in_json:
                parts.append(decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"{endpoint.name} cannot be asked so: {fault_of(error, endpoint.takes)}") from error
        return endpoint.takes(**{name: getattr(part, name) for part in parts for name in part.__struct_fields__})

    return read


def _part(endpoint: Endpoint[Any, Any], names: Sequence[str]) -> type[Struct]:
    """The fields ``names`` of a question, and no others, as a Struct of their own."""
    declared: list[Any] = []
    for field in msgspec.structs.fields(endpoint.takes):
        if field.name in names and field.required:
            declared.append((field.name, field.type))
        elif field.name in names:
            factory = field.default_factory
            default = field.default if factory is msgspec.NODEFAULT else msgspec.field(default_factory=factory)
            declared.append((field.name, field.type, default))
    return msgspec.defstruct(endpoint.takes.__name__, declared, kw_only=True, frozen=True, forbid_unknown_fields=True)


class LocalOnly:
    """Middleware: refuses requests that a page from elsewhere, or a rebound name, makes a browser send."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value.decode("latin-1")) for name, value in scope.get("headers", ())]
        if self._allows(headers):
            await self._app(scope, receive, send)
            return
        response = _our_problem(Request(scope), Denied("this Host or Origin is not served"))
        await response.to_asgi_response(app=None, request=Request(scope))(scope, receive, send)

    def _allows(self, headers: list[tuple[bytes, str]]) -> bool:
        asked = [value for name, value in headers if name == b"host"]
        if len(asked) != 1 or _host(f"//{asked[0]}") not in self._hosts:
            return False
        return all(value.partition("://")[2] == asked[0] for name, value in headers if name == b"origin")


class MeantForUs:
    """Middleware: refuses questions for a service that was here before (RFC 9110, 421)."""

    def __init__(self, app: ASGIApp, services: frozenset[str]) -> None:
        self._app = app
        self._services = {service.encode() for service in services}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant = dict(scope.get("headers", ())).get(MEANT.lower().encode())
        if meant is None or not self._services or meant in self._services:
            await self._app(scope, receive, send)
            return
        await send_problem(send, make_problem(421, "misdirected", "the service that is meant is not here"))


class PlainPaths:
    """Middleware: there is nothing at a path with an empty segment, or with a slash that is encoded (%2F).

    The router would find what is at another path, which somebody before this server may have forbidden.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path", b"").lower()
        if b"%2f" not in raw and b"//" not in raw:
            await self._app(scope, receive, send)
            return
        await send_problem(send, problem_of(NotFound("there is nothing at such a path")))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _our_problem(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    problem = problem_of(error)
    return Response(problem, status_code=problem.status, media_type=PROBLEM, headers=headers_of(error))


def _their_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    code = _CODES.get(error.status_code, "invalid" if error.status_code < 500 else UNKNOWN.code)
    problem = make_problem(error.status_code, code, "; ".join([error.detail, *_faults(error.extra)]))
    return Response(problem, status_code=error.status_code, media_type=PROBLEM, headers=error.headers)


def _faults(extra: Any) -> list[str]:
    if not isinstance(extra, list):
        return []
    return [f"{fault.get('key', '')}: {fault.get('message', '')}" for fault in extra if isinstance(fault, dict)]


@get("/health/live")
async def _live() -> dict[str, str]:
    return {"status": "live"}


@get("/metrics")
async def _metrics() -> Response[bytes]:
    return Response(await metrics.render(), media_type=metrics.CONTENT_TYPE)


def _readiness(
    ready: Callable[[], Awaitable[Sequence[str]]] | None, instances: frozenset[tuple[str, str]]
) -> HTTPRouteHandler:
    @get("/health/ready")
    async def check(request: Request[Any, Any, Any]) -> dict[str, Any]:
        asked = (request.query_params.get("service", ""), request.query_params.get("instance", ""))
        if instances and any(asked) and asked not in instances:
            raise NotFound("the instance of a service that is meant is not here")
        without = list(await ready()) if ready is not None else []
        return {"status": "degraded", "without": without} if without else {"status": "ready"}

    return check


def _docs(prefix: str, described: dict[str, Any]) -> list[HTTPRouteHandler]:
    """The page that shows the API, with everything it needs from here; a bare address leads to it."""

    @get(f"{prefix}/docs", media_type=MediaType.HTML)
    async def page() -> Response[str]:
        html = (DOCS / "page.html").read_text("utf-8").replace("{prefix}", prefix)
        policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
        return Response(html, media_type=MediaType.HTML, headers={"Content-Security-Policy": policy})

    @get(f"{prefix}/docs/rapidoc.js")
    async def script() -> File:
        return File(DOCS / "rapidoc-min.js", media_type="text/javascript", content_disposition_type="inline")

    @get(f"{prefix}/openapi.json")
    async def document() -> dict[str, Any]:
        return described

    @get(["/", *([prefix] if prefix else [])])
    async def front() -> Response[None]:
        return Response(None, status_code=302, headers={"Location": f"{prefix}/docs"})

    return [page, script, document, front]


def serve_hosts(listen: str) -> frozenset[str]:
    """The host names by which a server that listens there may be called."""
    host = _host(f"//{listen}")
    return frozenset({"localhost", "127.0.0.1", "::1", *([host] if host not in {"0.0.0.0", "::"} else [])})  # noqa: S104
