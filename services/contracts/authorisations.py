"""Who allowed active work: the statement that a workspace's key signs, and what of it the plan of a scan carries."""

import hashlib
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.scope import Scope

#: The type of the signed statement (RFC 7515, 4.1.9): one by which nothing else can be taken for an authorisation.
AUTHORISATION_TYPE: Final = "mirage-authorisation+jws"
#: Targets and rules of a scope that a statement names, of each kind; the digest is of all.
NAMED: Final = 100

_DAY: Final = 86_400 * 1_000_000
#: For how long active work is authorised unless it is said, and at most (microseconds).
USUAL_WINDOW: Final = 30 * _DAY
LONGEST_WINDOW: Final = 366 * _DAY

_encode = msgspec.json.Encoder(order="sorted").encode


class Authorisation(Struct, frozen=True):
    """Who allowed active work, in their own words, and when it was said (UTC microseconds).

    It allows ``techniques``, modules by their ids, from ``begins`` until ``until``; None in plans of before, which say
    nothing of these.
    """

    text: str
    at: int
    id: UUID | None = None
    techniques: tuple[str, ...] | None = None
    begins: int | None = None
    until: int | None = None

    def covers(self, technique: str) -> bool:
        """Whether a module is among what was authorised."""
        return self.techniques is None or technique in self.techniques

    def is_over(self, at: int) -> bool:
        return self.until is not None and at >= self.until

    def is_to_come(self, at: int) -> bool:
        return self.begins is not None and at < self.begins


class Authoriser(Struct, frozen=True, kw_only=True):
    """Who authorised something; the operator of a machine or a fleet has no account."""

    kind: Literal["operator", "person", "token", "service"]
    name: str
    account: UUID | None = None


class AuthorisationStatement(Struct, frozen=True, kw_only=True):
    """What is signed: who allows which techniques on what, why, and from when until when (UTC microseconds).

    ``targets``, what else the scope ``includes``, what it ``excludes`` and the ``networks`` that the guard lets through
    are the first of each; ``scope_digest`` is the `digest_of_scope` of all.
    """

    id: UUID
    workspace: UUID
    scan: UUID
    by: Authoriser
    why: str
    targets: tuple[str, ...]
    target_count: int
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    networks: tuple[str, ...]
    scope_digest: str
    techniques: tuple[str, ...]
    begins: int
    until: int
    at: int


def digest_of_scope(scope: Scope) -> str:
    """The sha256 (hex) of a scope, the same in whatever order its targets were named."""
    targets = sorted((each.type, each.key) for each in scope.targets)
    return hashlib.sha256(_encode([targets, scope.includes, scope.excludes, scope.networks])).hexdigest()


def write_statement(statement: AuthorisationStatement) -> bytes:
    """A statement as it is signed: JSON with sorted keys and no blanks."""
    return _encode(statement)


def read_statement(payload: bytes) -> AuthorisationStatement:
    """A statement that was signed; what a newer version says beside is left out."""
    return msgspec.json.decode(payload, type=AuthorisationStatement)
