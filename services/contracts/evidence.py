"""The record of one exchange with the outside: what was asked, what came back, and where the bytes are."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

DIGEST_BYTES: Final = 32


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


class Digests:
    """Many sha256 digests in little more than their 32 bytes each: taken in any order, given ascending and unique."""

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(256)]

    def add(self, digest: bytes) -> None:
        """Keep a digest; raises ValueError when it is not of 32 bytes."""
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        self._parts[digest[0]] += digest

    def __iter__(self) -> Iterator[bytes]:
        # Digests are spread evenly, so that one part in 256 at a time is sorted as objects.
        for part in map(bytes, self._parts):
            yield from sorted({part[start : start + DIGEST_BYTES] for start in range(0, len(part), DIGEST_BYTES)})


def merkle_root(digests: Iterable[bytes]) -> bytes:
    """The root of a Merkle tree over ``digests``, which come ascending, each once; of none, 32 zero bytes.

    Leaves and nodes are told apart by a first byte, as in RFC 6962 section 2.1; an odd one out moves up unchanged.
    Keeps no more than the roots of the full subtrees on the left, one for each bit of the count.

    Raises:
        ValueError: they come in another order, or twice.
    """
    roots: list[bytes] = []
    before = b""
    for place, digest in enumerate(digests):
        if place and digest <= before:
            raise ValueError("the leaves of a Merkle tree come ascending, each once")
        before = digest
        root = hashlib.sha256(b"\x00" + digest).digest()
        full = place
        while full & 1:
            root = _node(roots.pop(), root)
            full >>= 1
        roots.append(root)
    while len(roots) > 1:
        right = roots.pop()
        roots[-1] = _node(roots[-1], right)
    return roots[0] if roots else bytes(DIGEST_BYTES)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
