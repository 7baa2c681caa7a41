"""The record of one exchange with the outside: what was asked, what came back, and where the bytes are."""

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec import Struct


class EvidenceRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange. ``id`` is the sha256 of everything else, so that an altered record is found.

    ``request`` names it for a person (``GET https://crt.sh/?q=…``, ``A,AAAA www.example.org``), secrets masked;
    ``key`` is the digest by which a replay finds it; ``head`` are the status line and headers or their like in
    other protocols; ``blob`` is the sha256 of the body, kept by the collector; ``at`` and ``elapsed`` are
    microseconds; ``egress`` says by which way out (``direct``, ``proxy``) and ``peer`` to which address it went;
    ``error`` is the failure when there was no answer that counts, the kind of failure first and a colon;
    ``tls_error`` what a client that verifies would have refused; ``truncated``: the body went on.
    """

    id: bytes
    protocol: str
    request: str
    key: bytes
    at: int
    elapsed: int = 0
    egress: str = "direct"
    peer: str = ""
    status: str = ""
    head: str = ""
    blob: bytes | None = None
    size: int = 0
    error: str = ""
    tls_error: str = ""
    truncated: bool = False


def seal(record: EvidenceRecord) -> EvidenceRecord:
    """Give a record the id that its content has."""
    return msgspec.structs.replace(record, id=record_digest(record))


def record_digest(record: EvidenceRecord) -> bytes:
    """The sha256 over the record as a JSON array of its fields but the id, in their order."""
    fields = [getattr(record, name) for name in record.__struct_fields__[1:]]
    return hashlib.sha256(msgspec.json.encode(fields)).digest()


def merkle_root(digests: Iterable[bytes]) -> bytes:
    """The root of a Merkle tree over ``digests``, sorted and unique; of none, 32 zero bytes.

    Leaves and nodes are told apart by a first byte, as in RFC 6962 section 2.1; an odd one out moves up unchanged.
    """
    level = [hashlib.sha256(b"\x00" + digest).digest() for digest in sorted(set(digests))]
    if not level:
        return bytes(32)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
        level = above + level[len(above) * 2 :]
    return level[0]
