"""The OpenAPI 3.1 document of endpoints, from nothing but their declarations (https://spec.openapis.org/oas/v3.1.1)."""

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.kernel.calls import ANYBODY, UNGRANTED, Endpoint
from services.kernel.errors import MEANING, Corrupt, Incompatible

WORKSPACE: Final = "Mirage-Workspace"
#: Who asks, between services: see `services.kernel.principals`.
PRINCIPAL: Final = "Mirage-Principal"
#: Whom a question between services is meant for: there may be another one by now where it was.
MEANT: Final = "Mirage-Service"
LAST_EVENT: Final = "Last-Event-ID"
#: By which the public door knows a question that comes again: see `services.gateway.usecases.idempotency`.
KEY: Final = "Idempotency-Key"
#: A String of structured fields (RFC 9651), or the same without quotes, as most send it.
KEY_FORM: Final = r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})'
PROBLEM: Final = "application/problem+json"
_REFERENCE: Final = "#/components/schemas/"
#: Errors that only a fault of this side can be are told as internal.
_TOLD: Final = sorted(
    {means.status: means.code for error, means in MEANING.items() if error not in {Corrupt, Incompatible}}.items()
)
_STATUSES: Final = (*_TOLD, (413, "too_large"), (415, "invalid"), (500, "internal"))

Schema = dict[str, Any]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457); ``code`` is its stable name, ``request_id`` what the log knows the request by."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""


def describe(endpoints: Sequence[Endpoint[Any, Any]], prefix: str) -> Schema:
    """The document for those of ``endpoints``, served below ``prefix``, that are for people and their scripts."""
    endpoints = [endpoint for endpoint in endpoints if endpoint.needs != UNGRANTED]
    asked = [endpoint.takes for endpoint in endpoints]
    answered = [endpoint.answers for endpoint in endpoints]
    schemas, components = msgspec.json.schema_components(
        [*asked, *answered, Problem], ref_template=f"{_REFERENCE}{{name}}"
    )
    for component in components.values():
        if "description" in component:  # a docstring, indented as it is in the code
            component["description"] = cleandoc(component["description"])
    paths: dict[str, Schema] = {}
    for endpoint, takes, answers in zip(endpoints, schemas, schemas[len(asked) :], strict=False):
        question = components[takes["$ref"].removeprefix(_REFERENCE)]
        operation = _operation(endpoint, question, answers)
        paths.setdefault(prefix + endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {"title": "Mirage", "version": "1"},
        "tags": [{"name": service} for service in dict.fromkeys(endpoint.service for endpoint in endpoints)],
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": dict(sorted(_reachable(paths, components).items())),
            "securitySchemes": {"token": _TOKEN},
        },
    }


def _operation(endpoint: Endpoint[Any, Any], question: Schema, answers: Schema) -> Schema:
    keyed = endpoint.method == "POST" and endpoint.needs != ANYBODY
    tagged = endpoint.method == "GET" and not (endpoint.streams or endpoint.is_secret)
    operation: Schema = {
        "operationId": _camel(endpoint.name),
        "summary": endpoint.summary,
        **({"security": []} if endpoint.needs == ANYBODY else {}),
        "tags": [endpoint.service],
        "parameters": [
            *_parameters(endpoint, question),
            *([_LAST_EVENT_PARAMETER] if endpoint.resumes else []),
            *([_KEY_PARAMETER] if keyed else []),
            *([_TAG_PARAMETER] if tagged else []),
            _WORKSPACE_PARAMETER,
        ],
        "responses": {
            "200": _answer(endpoint, answers),
            **(_UNCHANGED if tagged else {}),
            **_PROBLEMS,
            **(_KEY_REUSED if keyed else {}),
        },
    }
    if description := question.get("description", ""):
        operation["description"] = description
    if in_body(endpoint):
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(endpoint, question)}},
        }
    return operation


def in_body(endpoint: Endpoint[Any, Any]) -> tuple[str, ...]:
    """The fields of a question that come in the body of the request."""
    if endpoint.method in {"GET", "DELETE"}:
        return ()
    return tuple(name for name in endpoint.takes.__struct_fields__ if name not in endpoint.path_fields)


def _parameters(endpoint: Endpoint[Any, Any], question: Schema) -> Iterator[Schema]:
    body = in_body(endpoint)
    for name, schema in question["properties"].items():
        if name in endpoint.path_fields:
            yield {"name": name, "in": "path", "required": True, "schema": _filled(schema)}
        elif name not in body:
            yield {
                "name": name,
                "in": "query",
                "required": name in question.get("required", ()),
                "schema": _present(schema),
            }


def _filled(schema: Schema) -> Schema:
    """A text in a path is never empty: the path would be another one."""
    return {"minLength": 1, **schema} if schema.get("type") == "string" and "format" not in schema else schema


def _present(schema: Schema) -> Schema:
    """A parameter that is not there is null; one that is there is not."""
    if "anyOf" not in schema:
        return schema
    there: list[Schema] = [option for option in schema["anyOf"] if option != {"type": "null"}]
    return there[0] if len(there) == 1 else {"anyOf": there}


def _body(endpoint: Endpoint[Any, Any], question: Schema) -> Schema:
    names = in_body(endpoint)
    return {
        "type": "object",
        "title": endpoint.takes.__name__,
        "properties": {name: question["properties"][name] for name in names},
        "required": [name for name in question.get("required", ()) if name in names],
        "additionalProperties": False,
    }


def _answer(endpoint: Endpoint[Any, Any], answers: Schema) -> Schema:
    if not endpoint.streams:
        return {"description": "The answer.", "content": {"application/json": {"schema": answers}}}
    file: Schema = {"*/*": {}} if endpoint.file else {}
    described = "The file; to who asks for events, its pieces as server-sent events" if file else "Server-sent events"
    return {
        "description": f"{described}; `end` is the last one, or `problem` when the stream failed.",
        # The parts of a stream, as OpenAPI 3.2 has them.
        "content": {
            **file,
            "text/event-stream": {
                "itemSchema": {
                    "anyOf": [
                        _event(
                            {**({"id": {"type": "string"}} if endpoint.resumes else {}), "data": _json_text(answers)}
                        ),
                        _event({"event": {"const": "end"}, "data": {"const": ""}}),
                        _event({"event": {"const": "problem"}, "data": _json_text(_PROBLEM_SCHEMA)}),
                    ]
                }
            },
        },
    }


def _event(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json_text(schema: Schema) -> Schema:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _reachable(paths: dict[str, Schema], components: dict[str, Any]) -> dict[str, Schema]:
    """The components that the paths refer to, directly or through others."""
    found: dict[str, Schema] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = components[name]
            waiting += _references(components[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REFERENCE)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from _references(value)


_TOKEN: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "description": "The access token of a session, or a token for scripts (mirage_pat_…).",
}
_WORKSPACE_PARAMETER: Final[Schema] = {
    "name": WORKSPACE,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "default": "default", "minLength": 1, "maxLength": 200},
    "description": "The workspace, by name or id.",
}
_LAST_EVENT_PARAMETER: Final[Schema] = {
    "name": LAST_EVENT,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "description": "The id of the last event that was seen, by which a browser goes on with a stream; before `after`.",
}
_KEY_PARAMETER: Final[Schema] = {
    "name": KEY,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": f"^(?:{KEY_FORM})$"},
    "description": "A new text for each question, such as a UUID: with it this is done once, however often it is sent"
    " within a day. What is refused is told again for ten minutes only. It may be in quotes.",
}
_TAG_PARAMETER: Final[Schema] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of an answer that was got before, which is not sent again where it is the same.",
}
_UNCHANGED: Final[Schema] = {"304": {"description": "What was got before is still the answer."}}
_PROBLEM_SCHEMA: Final[Schema] = {"$ref": f"{_REFERENCE}Problem"}


def _problem(code: str) -> Schema:
    return {
        "description": code.replace("_", " ").capitalize(),
        "content": {PROBLEM: {"schema": _PROBLEM_SCHEMA}},
    }


_PROBLEMS: Final[Schema] = {str(status): _problem(code) for status, code in sorted(_STATUSES)}
_KEY_REUSED: Final[Schema] = {"422": _problem("key_reused")}
