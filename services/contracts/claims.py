"""What a source can say: that a thing exists, how two things relate, what a thing is like, or that there is none.

An identity is a version 5 UUID (RFC 9562, section 5.5): SHA-1 over a fixed namespace and a compact JSON array of
normal-form strings in UTF-8. Nothing else enters it, so that the same thing has the same id everywhere and always.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Annotated, TypeAlias, TypeVar
from uuid import UUID

import msgspec

ENTITY_NAMESPACE = UUID("f9a711c4-010a-5576-83aa-a28b8b2736a3")
RELATION_NAMESPACE = UUID("8ff22561-a63c-520d-be53-72f6ceda7ac2")

Confidence: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=100)]
Value: TypeAlias = str | int | float | bool

_encode = msgspec.json.Encoder().encode
_entity_namespace = ENTITY_NAMESPACE.bytes
_relation_namespace = RELATION_NAMESPACE.bytes
# Version 5 and the variant of RFC 9562, as bits of the 128-bit number.
_KEPT = (1 << 128) - 1 & ~(0xF << 76 | 0x3 << 62)
_VERSION_5 = 5 << 76 | 2 << 62


class Malformed(ValueError):
    """A text has no normal form as the type it was given for; the message is one sentence for a person."""


class OutsideVocabulary(Malformed):
    """A type, name or combination that the tables do not have was asked for: a fault of the code, not of the text."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What every claim may add: how sure the source says it is, when it holds, and where the evidence says so.

    ``confidence`` is 0..100 and the source's own; ``valid_from`` and ``valid_to`` are UTC microseconds; ``where`` is
    a place in the evidence (a JSON pointer, ``line:12``, ``bytes:100-180``).
    """

    confidence: Confidence = 100
    valid_from: int | None = None
    valid_to: int | None = None
    where: str = ""


class Entity(Statement, frozen=True, tag_field="kind", tag="entity", omit_defaults=True, gc=False):
    """A thing, named by its type and the normal form of its key; build it with `services.contracts.entities`."""

    type: str
    key: tuple[str, ...]

    @property
    def id(self) -> bytes:
        """16 bytes of UUID, the same for this type and key everywhere."""
        return entity_id(self.type, self.key)

    @property
    def value(self) -> str:
        """The key as one readable line."""
        form = _READABLE.get(self.type)
        return ":".join(self.key) if form is None else form(*self.key)


class Relation(Statement, frozen=True, tag_field="kind", tag="relation", omit_defaults=True, gc=False):
    """How ``source`` relates to ``target``; ``qualifiers`` are part of the identity, ``details`` describe it."""

    type: str
    source: Entity
    target: Entity
    qualifiers: dict[str, str] = {}
    details: dict[str, str | int] = {}

    @property
    def id(self) -> bytes:
        """16 bytes of UUID over type, both ends and the qualifiers."""
        return relation_id(self.type, self.source, self.target, self.qualifiers)


class Attribute(Statement, frozen=True, tag_field="kind", tag="attribute", omit_defaults=True, gc=False):
    """A property of ``about`` from the vocabulary in `services.contracts.attributes`."""

    about: Entity
    name: str
    value: Value


class Absence(Statement, frozen=True, tag_field="kind", tag="absence", omit_defaults=True, gc=False):
    """The source answered completely and ``about`` has no ``predicate`` (a relation type, an attribute, ``exists``)."""

    about: Entity
    predicate: str


Claim: TypeAlias = Entity | Relation | Attribute | Absence
C = TypeVar("C", bound=Statement)


def stated(
    claim: C, *, confidence: int = 100, valid_from: int | None = None, valid_to: int | None = None, where: str = ""
) -> C:
    """The same claim with what the source adds to it."""
    return msgspec.structs.replace(claim, confidence=confidence, valid_from=valid_from, valid_to=valid_to, where=where)


@lru_cache(maxsize=16384)
def entity_id(type: str, key: tuple[str, ...]) -> bytes:
    """The 16 bytes of ``uuid5(ENTITY_NAMESPACE, '["type","key",…]')``."""
    return _uuid5(_entity_namespace + _encode((type, *key)))


def relation_id(type: str, source: Entity, target: Entity, qualifiers: Mapping[str, str]) -> bytes:
    """The 16 bytes of ``uuid5(RELATION_NAMESPACE, '["type","source id","target id","qualifier","value",…]')``.

    Ids are 32 hexadecimal digits and qualifiers are sorted by name.
    """
    parts = [type, entity_id(source.type, source.key).hex(), entity_id(target.type, target.key).hex()]
    for name in sorted(qualifiers) if len(qualifiers) > 1 else qualifiers:
        parts += (name, qualifiers[name])
    return _uuid5(_relation_namespace + _encode(parts))


def _uuid5(name: bytes) -> bytes:
    number = int.from_bytes(sha1(name, usedforsecurity=False).digest()[:16], "big")
    return (number & _KEPT | _VERSION_5).to_bytes(16, "big")


def claim_key(claim: Claim, module: str, version: int) -> bytes:
    """16 bytes that are equal when the same module version says the same: (about, predicate, value, module@version)."""
    return blake2b(_encode((*_said(claim), module, version)), digest_size=16).digest()


def claim_line(claim: Claim) -> str:
    """The claim as one line of compact JSON, the same for the same claim; what ``export --canonical`` prints."""
    match claim:
        case Entity(type=name, key=key):
            said: tuple[object, ...] = ("entity", (name, *key))
        case Relation(type=name, source=source, target=target, qualifiers=qualifiers):
            ends = ((source.type, *source.key), (target.type, *target.key))
            said = ("relation", name, *ends, dict(sorted(qualifiers.items())))
        case Attribute(about=about, name=name, value=value):
            said = ("attribute", (about.type, *about.key), name, value)
        case Absence(about=about, predicate=predicate):
            said = ("absence", (about.type, *about.key), predicate)
    return _encode(said).decode()


def _said(claim: Claim) -> tuple[object, ...]:
    match claim:
        case Entity():
            return (claim.id.hex(), "exists", True)
        case Relation():
            return (claim.source.id.hex(), claim.type, claim.id.hex())
        case Attribute(about=about, name=name, value=value):
            return (about.id.hex(), name, value)
        case Absence(about=about, predicate=predicate):
            return (about.id.hex(), predicate, None)


def _service(address: str, transport: str, port: str) -> str:
    return f"[{address}]:{port}/{transport}" if ":" in address else f"{address}:{port}/{transport}"


def _spaced(*key: str) -> str:
    return " ".join(part for part in key if part)


def _organization(scheme: str, id: str, country: str = "") -> str:
    if scheme == "name":
        return f"{id} ({country})" if country else id
    return f"{scheme}:{id}"


# Types whose one line is not their key joined by colons.
_READABLE: dict[str, Callable[..., str]] = {
    "asn": lambda number: f"AS{number}",
    "dns_record": _spaced,
    "service": _service,
    "technology": _spaced,
    "organization": _organization,
    "location": lambda *key: ":".join(part for part in key if part),
    "code_repository": lambda forge, path: f"{forge}/{path}",
    "publication": _spaced,
}
