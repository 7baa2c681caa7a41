"""Evidence, replay, and provider keys."""

from typing import Literal

from msgspec import Struct


class BlobQuery(Struct, frozen=True):
    """A blob by its sha256 (hex)."""

    digest: str


class BlobView(Struct, frozen=True):
    content: bytes


class Upload(Struct, frozen=True):
    content: bytes


class Uploaded(Struct, frozen=True):
    digest: bytes


class Verified(Struct, frozen=True, kw_only=True):
    """One fault that verifying a scan found, or, with ``fault`` empty, the count of what was sound."""

    fault: Literal["", "record altered", "blob altered", "blob missing", "root differs"]
    artefact: str = ""
    request: str = ""
    claims: tuple[str, ...] = ()
    records: int = 0
    blobs: int = 0


class ReplayDifference(Struct, frozen=True, kw_only=True):
    """One claim that a replay made and the scan did not, or the other way round; with ``sign`` empty, the summary."""

    sign: Literal["", "+", "-"]
    line: str = ""
    module: str = ""
    items: int = 0
    claims: int = 0
    skipped: int = 0
    superseded: int = 0


class KeyName(Struct, frozen=True):
    name: str


class NewKey(Struct, frozen=True):
    name: str
    secret: str


class KeyView(Struct, frozen=True, kw_only=True):
    """A provider key that is set: where it comes from, and its last characters."""

    name: str
    source: Literal["file", "environment"]
    hint: str
    modules: tuple[str, ...]
