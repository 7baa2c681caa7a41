"""Work items: their ids, which modules want which subject, and the levels of the DNS that exist."""

import hashlib
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.claims import Entity, Relation
from services.contracts.names import registrable
from services.contracts.plan import Plan, PlannedModule
from services.contracts.scope import ADMITTED, Activity, Scope
from services.contracts.subjects import Level, NamesDigest
from services.scans.domain.reach import WAYS, role_of

#: The end of a relation on whose place a work item about it is judged, where it is not the source.
_JUDGED_BY_TARGET: Final = frozenset({"serves", "covers_name", "reverse_resolves_to"})
#: Levels deeper than this below the registrable domain are not handed out: hostile names have a hundred labels.
DEEPEST_LEVEL: Final = 6

_encode = msgspec.json.Encoder(order="sorted").encode
_VERSION_5 = tuple(bytes((octet & 0x0F | 0x50,)) for octet in range(256))
_VARIANT = tuple(bytes((octet & 0x3F | 0x80,)) for octet in range(256))


class Asking(Struct, frozen=True):
    """A module of the plan by its number there; ``stem`` is the constant beginning of its items' ids."""

    number: int
    module: PlannedModule
    stem: bytes


class Wants:
    """Who is to be asked about what, by type of subject and rank of role; made once from a plan.

    A module that a newer version of it has replaced is asked no more, nor is one whose key is required and missing.
    ``relations``: whether any module works on relations.
    """

    def __init__(self, plan: Plan) -> None:
        latest = {module.id: number for number, module in enumerate(plan.modules)}
        self.asking = tuple(
            Asking(number, module, id_stem(plan.scan, module)) for number, module in enumerate(plan.modules)
        )
        self._by_type: dict[str, list[Asking]] = {}
        for number in latest.values():
            module = plan.modules[number]
            if not (module.key_required and module.missing_key):
                for kind in module.consumes:
                    self._by_type.setdefault(kind, []).append(self.asking[number])
        self.relations = any(kind in WAYS for kind in self._by_type)
        self._of: dict[tuple[str, int], tuple[Asking, ...]] = {}

    def consumed(self, kind: str) -> bool:
        """Whether any module works on subjects of ``kind``."""
        return kind in self._by_type

    def of(self, kind: str, rank: int) -> tuple[Asking, ...]:
        """The modules to ask about a subject of ``kind`` at a role of ``rank``."""
        found = self._of.get((kind, rank))
        if found is None:
            role = role_of(rank) if rank > 0 else None
            allowed = ADMITTED[role] if role else frozenset[Activity]()
            found = tuple(
                asking
                for asking in self._by_type.get(kind, ())
                if asking.module.activity in allowed and (asking.module.affiliates or role != "affiliate")
            )
            self._of[kind, rank] = found
        return found


def id_stem(scan: UUID, module: PlannedModule) -> bytes:
    """What all items of a module in a scan have in common: the scan, module@version and the configuration."""
    options = hashlib.sha256(_encode(module.options)).hexdigest()[:16]
    return scan.bytes + f"{module.id}@{module.version}|{options}|".encode()


def item_id(stem: bytes, subject: bytes) -> bytes:
    """The id of a work item: the version 5 UUID of the scan's namespace over module, configuration and subject."""
    digest = hashlib.sha1(stem + subject, usedforsecurity=False).digest()
    return digest[:6] + _VERSION_5[digest[6]] + digest[7:8] + _VARIANT[digest[8]] + digest[9:16]


def subject_id(subject: NamesDigest | Level) -> bytes:
    """16 bytes for a subject that is no claim."""
    match subject:
        case NamesDigest(zone=zone, digest=digest):
            text = f"names|{zone}|{digest}"
        case Level(zone=zone):
            text = f"level|{zone}"
    return hashlib.sha256(text.encode()).digest()[:16]


def judge_of(relation: Relation) -> Entity:
    """The end of a relation whose place decides whether work is done on it: for a service, the name asked for."""
    return relation.target if relation.type in _JUDGED_BY_TARGET else relation.source


def levels_above(name: str, scope: Scope) -> Iterator[str]:
    """The levels between a name in scope and its domain that exist because the name does, nearest first.

    A domain is no level: it is handed out as itself.
    """
    top = registrable(name)
    if name == top:
        return
    above = name.partition(".")[2]
    deepest = top.count(".") + DEEPEST_LEVEL
    while above != top and scope.covers_name(above):
        if above.count(".") <= deepest:
            yield above
        above = above.partition(".")[2]


def zone_of(name: str, scope: Scope) -> str:
    """The topmost name in scope at or above a name in scope: what its set of names is called after."""
    labels = name.split(".")
    for length in range(len(registrable(name).split(".")), len(labels)):
        above = ".".join(labels[-length:])
        if scope.covers_name(above):
            return above
    return name
