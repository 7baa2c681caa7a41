"""What is the same wherever documents are kept: their JSON, what it may hold, and how fields are compared."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from services.kernel.documents import Document
from services.kernel.errors import Corrupt, Invalid

MAX_BYTES: Final = 15_000_000  # MongoDB's limit is 16 MiB, with what is kept beside
MAX_FIELDS: Final = 1000
LISTED: Final = 500
LISTED_BYTES: Final = 4 << 20
FIELD: Final = re.compile(r"[a-z_][a-z0-9_]{0,60}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_LONG: Final = re.compile(r"\d{19}")

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def check_names(collection: str, indexes: Sequence[str]) -> None:
    if not _NAME.fullmatch(collection) or not all(FIELD.fullmatch(field) for field in indexes):
        raise Invalid(f"{collection} ({', '.join(indexes)}) cannot be the name of a collection and of its fields")


def check_where(collection: str, indexes: Collection[str], where: Mapping[str, Any]) -> None:
    for field, value in where.items():
        if field not in indexes:
            raise Invalid(f"{collection} has no index on {field}")
        if not isinstance(value, str | int | float | None):
            raise Invalid(f"{field} can be compared with text, numbers, true, false and null only")


def encode(document: Document) -> str:
    try:
        content = _encode(document.content)
        size = len(content.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{document.key} is no JSON document: {error}") from error
    if not document.key:
        raise Invalid("a document needs a key")
    if len(document.content) > MAX_FIELDS:
        raise Invalid(f"{document.key} has more than {MAX_FIELDS:,} fields at its top")
    if _LONG.search(content):
        check_numbers(document.content)
    if size > MAX_BYTES:
        raise Invalid(f"{document.key} is larger than a document may be")
    return content


def check_numbers(value: Any) -> None:
    """Document stores keep integers of 64 bits."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            check_numbers(each)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Invalid(f"{value} has more than 64 bits")


def decode(key: str, content: str) -> Document:
    try:
        return Document(key, _decode(content))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Corrupt(f"the document {key} cannot be read: {error}") from error


def holds(document: Document, where: Mapping[str, Any]) -> bool:
    """Python and SQLite take true for 1; documents do not."""
    return all(
        document.content.get(field) == value
        and isinstance(document.content.get(field), bool) == isinstance(value, bool)
        for field, value in where.items()
    )


def first_after(prefix: str) -> str:
    """The first text after all that begin with ``prefix``, or nothing when there is none."""
    for place in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[place]) + 1
        if following <= 0x10FFFF:
            return prefix[:place] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)
    return ""
