"""A sample of every message: which types there are, what a sample shows, and how one is made up."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import Struct
from msgspec import inspect as kinds

from services.catalogue import load_services
from services.contracts import attributes, entities, relations
from services.contracts.claims import Absence, Attribute, Claim, Entity, Relation, stated
from services.kernel.messages import message_type

MESSAGES = Path(__file__).parent / "messages"
AT = 1_790_000_000_000_000

_DOMAIN, _HOST = entities.domain("example.org"), entities.hostname("www.example.org")
_ADDRESS = entities.ip_address("192.0.2.7")
#: Claims that could have been made; what is made up of names and numbers says nothing to who reads it.
CLAIMS: dict[type[Struct], tuple[Claim, ...]] = {
    Entity: (_DOMAIN, _HOST, _ADDRESS),
    Relation: (relations.resolves_to(_HOST, _ADDRESS, record="A", ttl=300),),
    Attribute: (attributes.attribute(_HOST, "description", "Welcome"),),
    Absence: (Absence(about=_HOST, predicate="resolves_to"),),
}


def message_types() -> dict[str, type[Struct]]:
    """Every message that a service says or hears, by its type on the wire."""
    services = load_services()
    messages = {message for service in services for message in (*service.publishes, *service.consumes)}
    return dict(sorted((message_type(message), message) for message in messages))


def read_samples(kind: str) -> list[bytes]:
    """The samples kept of a message: the first one, and those that show what came later."""
    return [
        path.read_bytes() for path in sorted(MESSAGES.glob(f"{kind}.json")) + sorted(MESSAGES.glob(f"{kind}-*.json"))
    ]


def parts_of(message: type[Struct]) -> set[str]:
    """What a message of this type can consist of: every field of it and of what is in it, every kind of a choice."""
    found: set[str] = set()
    _walk(kinds.type_info(message), found)
    return found


def shown_by(message: type[Struct], sample: Any) -> set[str]:
    """Which of `parts_of` a decoded JSON document shows."""
    return set(_shown(kinds.type_info(message), sample))


def make_sample(message: type[Struct], variant: int) -> Any:
    """Make up a message as JSON has it, everything in it; choices are taken in turn by ``variant``."""
    made = msgspec.to_builtins(_sample(kinds.type_info(message), message.__name__.lower(), variant))
    return {**made, "type": message_type(message)} if isinstance(made, dict) else made


def _walk(kind: kinds.Type, found: set[str]) -> None:
    match kind:
        case kinds.StructType():
            new = {_field(kind, field) for field in kind.fields} - found
            found |= new
            for field in kind.fields:
                if _field(kind, field) in new:
                    _walk(field.type, found)
        case kinds.UnionType():
            found |= {f"a {_name(option)}" for option in _structs(kind)}
            for option in kind.types:
                _walk(option, found)
        case kinds.VarTupleType():
            _walk(kind.item_type, found)
        case kinds.TupleType():
            for item in kind.item_types:
                _walk(item, found)
        case kinds.DictType():
            _walk(kind.value_type, found)


def _shown(kind: kinds.Type, value: Any) -> Iterator[str]:
    match kind:
        case kinds.StructType():
            names = [field.encode_name for field in kind.fields]
            given = dict(zip(names, value, strict=False)) if kind.array_like else value
            for field in kind.fields:
                if field.encode_name in given:
                    yield _field(kind, field)
                    yield from _shown(field.type, given[field.encode_name])
        case kinds.UnionType() if value is not None:
            for option in kind.types:
                if isinstance(option, kinds.StructType) and value.get(option.tag_field) == option.tag:
                    yield f"a {_name(option)}"
                    yield from _shown(option, value)
        case kinds.VarTupleType():
            for item in value:
                yield from _shown(kind.item_type, item)
        case kinds.TupleType():
            for item_kind, item in zip(kind.item_types, value, strict=True):
                yield from _shown(item_kind, item)
        case kinds.DictType():
            for item in value.values():
                yield from _shown(kind.value_type, item)


def _sample(kind: kinds.Type, name: str, variant: int) -> Any:
    match kind:
        case kinds.StructType() if kind.cls in CLAIMS:
            claim = CLAIMS[kind.cls][variant % len(CLAIMS[kind.cls])]
            return stated(claim, confidence=80, valid_from=AT, valid_to=AT + 1_000_000, where="line:12")
        case kinds.StructType():
            fields = {field.encode_name: _field_sample(field, variant) for field in kind.fields}
            if kind.array_like:
                return list(fields.values())
            return {**({kind.tag_field: kind.tag} if kind.tag_field else {}), **fields}
        case kinds.UnionType():
            options = _structs(kind) or [option for option in kind.types if not isinstance(option, kinds.NoneType)]
            return _sample(options[variant % len(options)], name, variant)
        case kinds.VarTupleType():
            return [_sample(kind.item_type, name, turn) for turn in range(_width(kind.item_type))]
        case kinds.TupleType():
            return [_sample(item, name, variant) for item in kind.item_types]
        case kinds.DictType():
            closed = isinstance(kind.key_type, kinds.LiteralType)
            return {
                (_sample(kind.key_type, name, turn) if closed else f"{name}_{turn}"): _sample(
                    kind.value_type, name, turn
                )
                for turn in range(_width(kind.value_type))
            }
        case kinds.LiteralType():
            return kind.values[variant % len(kind.values)]
    return _scalar(kind, name)


def _field_sample(field: kinds.Field, variant: int) -> Any:
    return not field.default if isinstance(field.default, bool) else _sample(field.type, field.name, variant)


def _scalar(kind: kinds.Type, name: str) -> Any:
    """A value that tells by itself which field it is, and is nobody's default."""
    number = 2 + sum(name.encode()) % 97
    match kind:
        case kinds.UUIDType():
            return str(uuid5(NAMESPACE_URL, name))
        case kinds.BytesType():
            return base64.b64encode(bytes([number]) * 32).decode()
        case kinds.IntType():
            return AT + number if name in {"at", "until"} else number
        case kinds.FloatType():
            return number + 0.5
        case kinds.BoolType():
            return True
        case kinds.StrType():
            return name
    raise TypeError(f"no sample of {kind} is known")


def _width(kind: kinds.Type) -> int:
    """How many items it takes to show every choice of one."""
    match kind:
        case kinds.UnionType():
            return len([option for option in kind.types if not isinstance(option, kinds.NoneType)])
        case kinds.StructType():
            return max((_width(field.type) for field in kind.fields), default=1)
    return 1


def _structs(kind: kinds.UnionType) -> list[kinds.StructType]:
    return [option for option in kind.types if isinstance(option, kinds.StructType)]


def _field(kind: kinds.StructType, field: kinds.Field) -> str:
    return f"{_name(kind)}.{field.encode_name}"


def _name(kind: kinds.StructType) -> str:
    return kind.cls.__name__
