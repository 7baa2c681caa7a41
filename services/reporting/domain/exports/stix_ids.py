"""Identifiers of STIX 2.1 that are the same whenever the same is exported.

Observables have the id that the specification gives them (section 2.9): a UUIDv5 of the namespace of OASIS over the
canonical JSON (RFC 8785) of the properties that contribute to it. Everything else has one of a namespace of Mirage.
"""

import json
from typing import Any, Final
from uuid import UUID, uuid5

OBSERVABLES: Final = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
MIRAGE: Final = uuid5(UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), "https://mirage.invalid/stix")

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def observable_id(kind: str, contributing: dict[str, Any]) -> str:
    """The id of an observable by the properties that its specification names, of which hashes is one hash."""
    return f"{kind}--{uuid5(OBSERVABLES, _canonical(contributing))}"


def mirage_id(kind: str, what: str) -> str:
    """The id of an object that has no id of its specification, by what tells it from others of its kind."""
    return f"{kind}--{uuid5(MIRAGE, f'{kind}|{what}')}"
