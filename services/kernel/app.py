"""The same doors over HTTP: one Litestar application made of endpoint declarations.

What fourteen hand-written copies would get subtly wrong is here once: parameters from the question's fields, problem
documents (RFC 9457) for every error, server-sent events for streams, the workspace of every request, and the checks of
Host and Origin that an embedded server without identities needs.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import structlog
from litestar import Litestar, MediaType, Request, Response, get, route
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import File
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from services.kernel.calls import Caller, Calls, Endpoint
from services.kernel.errors import UNKNOWN, Denied, Invalid, MirageError, meaning
from services.kernel.events import EventStream
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.openapi import PROBLEM, WORKSPACE, Problem, describe, in_body

#: The longest name of a workspace, in bytes.
LONGEST_NAME: Final = 200
DOCS: Final = Path(__file__).parent / "docs"
_CODES: Final = {404: "not_found", 405: "not_allowed", 413: "too_large", 415: "invalid"}

_log = structlog.get_logger(__name__)


def create_app(
    calls: Calls,
    endpoints: Iterable[Endpoint[Any, Any]],
    *,
    hosts: frozenset[str],
    prefix: str = "",
    ready: Callable[[], Awaitable[None]] | None = None,
) -> Litestar:
    """Serve ``endpoints``, answered by ``calls``, below ``prefix``; ``/health/ready`` raises what ``ready`` raises.

    ``hosts``: what a Host header may say; everything else is refused, and so is an Origin that is not the host asked,
    so that no page from elsewhere reaches a server that takes whoever connects for its operator.
    """
    answered = sorted(endpoints, key=lambda endpoint: (endpoint.path, endpoint.method))
    app = Litestar(
        route_handlers=[
            _live,
            _readiness(ready),
            *(_handler(calls, endpoint, prefix) for endpoint in answered),
            *_docs(prefix, describe(answered, prefix)),
        ],
        exception_handlers={MirageError: _our_problem, HTTPException: _their_problem, Exception: _our_problem},
        openapi_config=None,
        request_max_body_size=50_000_000,
        logging_config=None,
    )
    # Around the router, so that what no route takes is refused as well.
    app.asgi_handler = LocalOnly(app.asgi_handler, hosts)
    return app


def _handler(calls: Calls, endpoint: Endpoint[Any, Any], prefix: str) -> HTTPRouteHandler:
    """Make the route of an endpoint: its signature is that of its question."""
    fields = {field.name: field for field in msgspec.structs.fields(endpoint.takes)}
    body = _body_struct(endpoint, [fields[name] for name in in_body(endpoint)])
    asked = set(fields) - set(in_body(endpoint)) - set(endpoint.path_fields)

    async def ask(request: Request[Any, Any, Any], **values: Any) -> Any:
        data = values.pop("data", None)
        if data is not None:
            values.update({name: getattr(data, name) for name in data.__struct_fields__})
        unknown = set(request.query_params) - asked
        if unknown:
            raise Invalid(f"{endpoint.name} takes no {', '.join(sorted(unknown))}")
        question = endpoint.takes(**values)
        caller = Caller(workspace=_workspace(request))
        if endpoint.streams:
            stream = EventStream(calls.follow(endpoint, question, caller), _problem)
            await stream.begin()
            return stream
        return await calls.ask(endpoint, question, caller)

    parameters = [_parameter("request", Request[Any, Any, Any])]
    for name, field in fields.items():
        if name in endpoint.path_fields:
            parameters.append(_parameter(name, FromPath[field.type]))  # type: ignore[name-defined,misc]
        elif name in asked:
            parameters.append(_parameter(name, FromQuery[field.type], _default(field)))  # type: ignore[name-defined,misc]
    if body is not None:
        parameters.append(_parameter("data", JSONBody[body]))  # type: ignore[valid-type,misc]
    answers: Any = EventStream if endpoint.streams else endpoint.answers
    ask.__signature__ = inspect.Signature(parameters, return_annotation=answers)  # type: ignore[attr-defined]
    ask.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": answers}
    ask.__name__ = endpoint.name
    return route(
        prefix + _typed_path(endpoint),
        http_method=endpoint.method,
        status_code=200,
    )(ask)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return inspect.Parameter.empty


def _body_struct(endpoint: Endpoint[Any, Any], fields: list[msgspec.structs.FieldInfo]) -> type[Struct] | None:
    if not fields:
        return None
    declared: list[Any] = []
    for field in fields:
        default = _default(field)
        declared.append(
            (field.name, field.type) if default is inspect.Parameter.empty else (field.name, field.type, default)
        )
    name = endpoint.takes.__name__
    return msgspec.defstruct(name, declared, kw_only=True, frozen=True, forbid_unknown_fields=True)


def _typed_path(endpoint: Endpoint[Any, Any]) -> str:
    kinds = {field.name: field.type for field in msgspec.structs.fields(endpoint.takes)}
    path = endpoint.path
    for name in endpoint.path_fields:
        path = path.replace(f"{{{name}}}", f"{{{name}:{'uuid' if kinds[name] is UUID else 'str'}}}")
    return path


def _workspace(request: Request[Any, Any, Any]) -> UUID:
    """The workspace that a request names; names are UTF-8, as on the command line."""
    named = request.headers.get(WORKSPACE, "default").encode("latin-1")
    try:
        workspace = _workspace_by_id(named.decode()) or workspace_id(named.decode())
    except UnicodeDecodeError:
        raise Invalid(f"{WORKSPACE} is not UTF-8") from None
    if workspace == EVERYWHERE or not named or len(named) > LONGEST_NAME:
        raise Invalid(f"{WORKSPACE} names no workspace")
    return workspace


def _workspace_by_id(named: str) -> UUID | None:
    try:
        return UUID(named) if len(named) == 36 else None
    except ValueError:
        return None


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


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _problem(error: Exception) -> Problem:
    """What is told of an error; of one that is not ours nothing but that it is logged."""
    means = meaning(error)
    detail = str(error)
    if means is UNKNOWN:
        _log.error("a request failed", exc_info=error)
        detail = "a fault of Mirage; see its log"
    return Problem(
        type="about:blank",
        title=means.code.replace("_", " ").capitalize(),
        status=means.status,
        detail=detail,
        code=means.code,
    )


def _our_problem(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    problem = _problem(error)
    return Response(problem, status_code=problem.status, media_type=PROBLEM)


def _their_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    code = _CODES.get(error.status_code, "invalid" if error.status_code < 500 else UNKNOWN.code)
    problem = Problem(
        type="about:blank",
        title=code.replace("_", " ").capitalize(),
        status=error.status_code,
        detail="; ".join([error.detail, *_faults(error.extra)]),
        code=code,
    )
    return Response(problem, status_code=error.status_code, media_type=PROBLEM, headers=error.headers)


def _faults(extra: Any) -> list[str]:
    if not isinstance(extra, list):
        return []
    return [f"{fault.get('key', '')}: {fault.get('message', '')}" for fault in extra if isinstance(fault, dict)]


@get("/health/live")
async def _live() -> dict[str, str]:
    return {"status": "live"}


def _readiness(ready: Callable[[], Awaitable[None]] | None) -> HTTPRouteHandler:
    @get("/health/ready")
    async def check() -> dict[str, str]:
        if ready is not None:
            await ready()
        return {"status": "ready"}

    return check


def _docs(prefix: str, described: dict[str, Any]) -> list[HTTPRouteHandler]:
    """The page that shows the API, with everything it needs from here."""

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

    return [page, script, document]


def serve_hosts(listen: str) -> frozenset[str]:
    """The host names by which a server that listens there may be called."""
    host = _host(f"//{listen}")
    return frozenset({"localhost", "127.0.0.1", "::1", *([host] if host not in {"0.0.0.0", "::"} else [])})  # noqa: S104
