"""The rules of a workspace: those that come with Mirage, and its own."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from services.correlation.domain.rule import Rule
from services.correlation.store.shipped import shipped_rules
from services.kernel.service import Ports

Rules = Sequence[Rule]


async def in_force(ports: Ports, workspace: UUID) -> Rules:
    """The rules by which scans of a workspace are judged, in the order of their ids."""
    return tuple(shipped_rules().values())


def digest_of(rules: Rules) -> bytes:
    """16 bytes that are the same for the same rules in the same versions."""
    text = "\n".join(f"{rule.id} {rule.version}" for rule in rules)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
