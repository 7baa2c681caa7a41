"""The AsyncAPI 3.0 document of all services: https://www.asyncapi.com/docs/reference/specification/v3.0.0.

A message type is a channel, its address the subject on the bus. Who publishes it sends, who consumes it receives.
"""

from collections.abc import Sequence
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.kernel.inbox import durable
from services.kernel.messages import Envelope, message_type
from services.kernel.service import Handles, Service, load
from services.kernel.streams import stream_of

Schema = dict[str, Any]

PARAMETERS: Final[dict[str, Schema]] = {
    "workspace": {"description": "The id of the workspace as 32 hexadecimal digits."},
    "scan": {"description": "The id of the scan as 32 hexadecimal digits, so that a viewer can ask for just that."},
    "class": {"description": "What of its kind it is, so that a consumer can ask for just that."},
}


def asyncapi_document(services: Sequence[Service]) -> str:
    """The document as indented JSON, the same for the same declarations."""
    messages = {message_type(said): said for service in services for said in (*service.publishes, *service.consumes)}
    kinds = sorted(messages)
    schemas, components = msgspec.json.schema_components(
        [*(messages[kind] for kind in kinds), Envelope], ref_template="#/components/schemas/{name}"
    )
    described = {name: _draft_7(schema) for name, schema in sorted(components.items())}
    described["Envelope"] = _headers(described["Envelope"])
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mirage",
            "version": "1",
            "description": "What services tell each other over the bus: facts (evt), commands (cmd), live progress.",
        },
        "defaultContentType": "application/json",
        "channels": {kind: _channel(kind, messages[kind]) for kind in kinds},
        "operations": dict(operation for service in services for operation in _operations(service)),
        "components": {
            "messages": {
                messages[kind].__name__: _message(kind, messages[kind], payload)
                for kind, payload in zip(kinds, schemas, strict=False)
            },
            "schemas": described,
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def _channel(kind: str, message: type[Struct]) -> Schema:
    tokens = {"cmd": ("class", "workspace"), "progress": ("scan", "workspace")}.get(kind.split(".")[1], ("workspace",))
    return {
        "address": ".".join((kind, *(f"{{{token}}}" for token in tokens))),
        "summary": _summary(message),
        "messages": {message.__name__: {"$ref": f"#/components/messages/{message.__name__}"}},
        "parameters": {token: PARAMETERS[token] for token in tokens},
        "x-stream": stream_of(message),
    }


def _message(kind: str, message: type[Struct], payload: Schema) -> Schema:
    return {
        "name": kind,
        "title": message.__name__,
        "summary": _summary(message),
        "headers": {"$ref": "#/components/schemas/Envelope"},
        "payload": payload,
    }


def _operations(service: Service) -> list[tuple[str, Schema]]:
    handled: dict[str, Handles] = {
        message_type(handles.takes): handles for handles in (load(service.consumers) if service.consumers else ())
    }
    sent = [(f"{service.name}.send.{said.__name__}", _operation("send", service, said)) for said in service.publishes]
    received = []
    for heard in service.consumes:
        name = durable(service.name, handled[message_type(heard)].name)
        operation = {**_operation("receive", service, heard), "bindings": {"nats": {"queue": name}}}
        received.append((f"{service.name}.receive.{heard.__name__}", operation))
    return sent + received


def _operation(action: str, service: Service, message: type[Struct]) -> Schema:
    channel = f"#/channels/{message_type(message)}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": service.name, "description": service.summary}],
        "messages": [{"$ref": f"{channel}/messages/{message.__name__}"}],
    }


def _summary(message: type[Struct]) -> str:
    return (message.__doc__ or "").partition("\n")[0]


def _headers(envelope: Schema) -> Schema:
    """The envelope but for what is the body and what is in the subject."""
    names = envelope["properties"].keys() - {"data", "filter"}
    return {
        **envelope,
        "properties": {name: schema for name, schema in envelope["properties"].items() if name in names},
        "required": [name for name in envelope["required"] if name in names],
    }


def _draft_7(schema: Any) -> Any:
    """What msgspec says in JSON Schema 2020-12, in draft 7, of which AsyncAPI's schemas are a superset."""
    if isinstance(schema, list | tuple):
        return [_draft_7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name: _draft_7(value) for name, value in schema.items()}
    if isinstance(said.get("description"), str):
        said["description"] = cleandoc(said["description"])  # a docstring, indented as it is in the code
    if "prefixItems" in said:
        said["items"], more = said.pop("prefixItems"), said.pop("items", True)
        said["additionalItems"] = more
    if isinstance(said.get("discriminator"), dict):
        said["discriminator"] = said["discriminator"]["propertyName"]
    if "$ref" in said and len(said) > 1:
        said["allOf"] = [{"$ref": said.pop("$ref")}]
    return said
