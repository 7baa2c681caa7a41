"""Whether two scans were asked for the same."""

import hashlib
from collections.abc import Sequence

from services.contracts.claims import Entity


def digest_of(targets: Sequence[Entity], count: int) -> bytes:
    """16 bytes that are the same for the same targets, of which the first are known and how many there are."""
    known = sorted(each.id for each in targets)
    return hashlib.blake2b(b"".join(known) + count.to_bytes(8, "big"), digest_size=16).digest()
