"""The same doors over HTTP: one Litestar application made of endpoint declarations.

What fourteen hand-written copies would get subtly wrong is here once: parameters from the question's fields, problem
documents (RFC 9457) for every error, server-sent events for streams, the workspace of every request, and the checks of
Host and Origin that an embedded server without identities needs.
"""

import inspect
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import structlog
from litestar import Litestar, MediaType, Request, Response, get, route
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import File, ServerSentEvent, ServerSentEventMessage
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import UNSET, Struct

from services.kernel.calls import Caller, Calls, Endpoint
from services.kernel.errors import MirageError, meaning
from services.kernel.messages import workspace_id

WORKSPACE: Final = "Mirage-Workspace"
PROBLEM: Final = "application/problem+json"
DOCS: Final = Path(__file__).parent / "docs"
PROBLEMS: Final = {
    "400": "Invalid",
    "403": "Denied",
    "404": "Not found",
    "409": "Conflict",
    "413": "Too large",
    "500": "Internal",
    "503": "Unavailable",
    "507": "Exhausted",
}

_log = structlog.get_logger(__name__)


class Problem(Struct, frozen=True, kw_only=True):
    """RFC 9457; ``code`` is the stable name of the error."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def create_app(
    calls: Calls, endpoints: Iterable[Endpoint[Any, Any]], *, hosts: frozenset[str], prefix: str = ""
) -> Litestar:
    """Serve ``endpoints``, answered by ``calls``, below ``prefix``.

    ``hosts``: what a Host header and the host of an Origin may say; everything else is refused, so that no page from
    elsewhere reaches a server that takes whoever connects for its operator.
    """
    answered = sorted(endpoints, key=lambda endpoint: (endpoint.path, endpoint.method))
    app = Litestar(
        route_handlers=[_live, *(_handler(calls, endpoint, prefix) for endpoint in answered), *_docs(prefix)],
        exception_handlers={MirageError: _our_problem, HTTPException: _their_problem, Exception: _any_problem},
        openapi_config=OpenAPIConfig(title="Mirage", version="1", path="/none", render_plugins=()),
        middleware=[lambda app: LocalOnly(app, hosts)],
        request_max_body_size=50_000_000,
        logging_config=None,
    )
    app.state.openapi = _describe(app, answered, prefix)
    return app


def _handler(calls: Calls, endpoint: Endpoint[Any, Any], prefix: str) -> HTTPRouteHandler:
    """Make the route of an endpoint: its signature is that of its question."""
    fields = {field.name: field for field in msgspec.structs.fields(endpoint.takes)}
    in_body = (
        {}
        if endpoint.method in {"GET", "DELETE"}
        else {name: field for name, field in fields.items() if name not in endpoint.path_fields}
    )
    body = _body_struct(endpoint, list(in_body.values())) if in_body else None

    async def ask(request: Request[Any, Any, Any], **values: Any) -> Any:
        data = values.pop("data", None)
        if data is not None:
            values.update({name: getattr(data, name) for name in data.__struct_fields__})
        question = endpoint.takes(**{name: value for name, value in values.items() if value is not UNSET})
        caller = Caller(workspace=_workspace(request))
        if endpoint.streams:
            return ServerSentEvent(_events(calls.follow(endpoint, question, caller)))
        return await calls.ask(endpoint, question, caller)

    parameters = [_parameter("request", Request[Any, Any, Any])]
    for name, field in fields.items():
        if name in endpoint.path_fields:
            parameters.append(_parameter(name, FromPath[field.type]))  # type: ignore[name-defined,misc]
        elif name not in in_body:
            parameters.append(_parameter(name, FromQuery[field.type], _default(field)))  # type: ignore[name-defined,misc]
    if body is not None:
        parameters.append(_parameter("data", JSONBody[body]))  # type: ignore[valid-type,misc]
    answers: Any = ServerSentEvent if endpoint.streams else endpoint.answers
    ask.__signature__ = inspect.Signature(parameters, return_annotation=answers)  # type: ignore[attr-defined]
    ask.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": answers}
    ask.__name__ = endpoint.name
    return route(
        prefix + _typed_path(endpoint),
        http_method=endpoint.method,
        status_code=200,
        operation_id=_camel(endpoint.name),
        summary=endpoint.summary,
        tags=[endpoint.service],
    )(ask)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return inspect.Parameter.empty


def _body_struct(endpoint: Endpoint[Any, Any], fields: list[msgspec.structs.FieldInfo]) -> type[Struct]:
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


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _workspace(request: Request[Any, Any, Any]) -> UUID:
    named = request.headers.get(WORKSPACE, "default")
    try:
        return UUID(named)
    except ValueError:
        return workspace_id(named[:200])


async def _events(parts: AsyncGenerator[Any, None]) -> AsyncGenerator[ServerSentEventMessage, None]:
    try:
        async for part in parts:
            yield ServerSentEventMessage(data=msgspec.json.encode(part).decode())
        yield ServerSentEventMessage(event="end", data="")
    except MirageError as error:
        yield ServerSentEventMessage(event="problem", data=msgspec.json.encode(_problem(error)).decode())
    finally:
        await parts.aclose()


class LocalOnly:
    """Middleware: refuses requests that a page from elsewhere, or a rebound name, makes a browser send."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope.get("headers", ())}
        if not self._allows(headers):
            problem = Problem(
                type="about:blank",
                title="Denied",
                status=403,
                detail="this Host or Origin is not served",
                code="denied",
            )
            response: Any = Response(problem, status_code=403, media_type=PROBLEM)
            await response.to_asgi_response(app=None, request=Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, headers: dict[bytes, str]) -> bool:
        if _host(f"//{headers.get(b'host', '')}") not in self._hosts:
            return False
        origin = headers.get(b"origin")
        return origin is None or _host(origin) in self._hosts


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _problem(error: MirageError) -> Problem:
    means = meaning(error)
    return Problem(
        type="about:blank",
        title=means.code.replace("_", " ").capitalize(),
        status=means.status,
        detail=str(error),
        code=means.code,
    )


def _our_problem(_: Request[Any, Any, Any], error: MirageError) -> Response[Problem]:
    problem = _problem(error)
    return Response(problem, status_code=problem.status, media_type=PROBLEM)


def _their_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    codes = {400: "invalid", 404: "not_found", 405: "not_allowed", 413: "too_large"}
    detail = "; ".join([error.detail, *_faults(error.extra)])
    problem = Problem(
        type="about:blank",
        title="Invalid" if error.status_code == 400 else type(error).__name__.removesuffix("Exception"),
        status=error.status_code,
        detail=detail,
        code=codes.get(error.status_code, "invalid"),
    )
    return Response(problem, status_code=error.status_code, media_type=PROBLEM, headers=error.headers)


def _faults(extra: Any) -> list[str]:
    if not isinstance(extra, list):
        return []
    return [f"{fault.get('key', '')}: {fault.get('message', '')}" for fault in extra if isinstance(fault, dict)]


def _any_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    _log.error("a request failed", path=request.url.path, exc_info=error)
    problem = Problem(
        type="about:blank",
        title="Internal",
        status=500,
        detail="a fault of Mirage; see its log",
        code="internal",
    )
    return Response(problem, status_code=500, media_type=PROBLEM)


@get("/health/live", include_in_schema=False)
async def _live() -> dict[str, str]:
    return {"status": "live"}


def _docs(prefix: str) -> list[HTTPRouteHandler]:
    """The page that shows the API, with everything it needs from here."""

    @get(f"{prefix}/docs", include_in_schema=False, media_type=MediaType.HTML)
    async def page() -> Response[str]:
        html = (DOCS / "page.html").read_text("utf-8").replace("{prefix}", prefix)
        policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
        return Response(html, media_type=MediaType.HTML, headers={"Content-Security-Policy": policy})

    @get(f"{prefix}/docs/rapidoc.js", include_in_schema=False)
    async def script() -> File:
        return File(DOCS / "rapidoc-min.js", media_type="text/javascript", content_disposition_type="inline")

    @get(f"{prefix}/openapi.json", include_in_schema=False)
    async def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
        described: dict[str, Any] = request.app.state.openapi
        return described

    return [page, script, document]


def _describe(app: Litestar, endpoints: Iterable[Endpoint[Any, Any]], prefix: str) -> dict[str, Any]:
    """The OpenAPI document, with what Litestar cannot know of our errors, streams and bodies."""
    described: dict[str, Any] = app.openapi_schema.to_schema()
    described["components"]["schemas"]["Problem"] = msgspec.json.schema(Problem)["$defs"]["Problem"]
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for endpoint in endpoints:
        operation = described["paths"][prefix + endpoint.path][endpoint.method.lower()]
        for status, says in PROBLEMS.items():
            operation["responses"][status] = {"description": says, "content": {PROBLEM: problem}}
        if endpoint.streams:
            schema, components = msgspec.json.schema_components(
                [endpoint.answers], ref_template="#/components/schemas/{name}"
            )
            for name, component in components.items():
                described["components"]["schemas"].setdefault(name, component)
            operation["responses"]["200"] = {
                "description": "Server-sent events with JSON as data; `end` is the last one, `problem` an error.",
                "content": {"text/event-stream": {"itemSchema": schema[0], "schema": {"type": "string"}}},
            }
        operation.setdefault("parameters", []).append(
            {
                "name": WORKSPACE,
                "in": "header",
                "required": False,
                "schema": {"type": "string", "default": "default"},
                "description": "The workspace, by name or id.",
            }
        )
        body = operation.get("requestBody")
        if body:
            reference = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            described["components"]["schemas"][reference]["additionalProperties"] = False
    return described


def serve_hosts(listen: str) -> frozenset[str]:
    """The host names by which a server that listens there may be called."""
    host = _host(f"//{listen}")
    return frozenset({"localhost", "127.0.0.1", "::1", *([host] if host not in {"0.0.0.0", "::"} else [])})  # noqa: S104
