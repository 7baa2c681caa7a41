"""How much a workspace may use, and does."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

#: Scans, items or bytes: what no installation has is no quota.
Amount = Annotated[int, Meta(ge=0, le=2**53)]


class Quotas(Struct, frozen=True, kw_only=True):
    """``scans`` that run at once, work ``items`` that are handed out in a day of UTC, bytes of ``storage``.

    None: as many as there are.
    """

    scans: Amount | None = None
    items: Amount | None = None
    storage: Amount | None = None


class WorkspaceQuotas(Struct, frozen=True, kw_only=True):
    """What a workspace may use: ``exceptions`` where an operator has set some, else what is ``usual``."""

    allowed: Quotas
    usual: Quotas
    exceptions: Quotas


class SetQuotas(Quotas, frozen=True, kw_only=True):
    """The exceptions of a workspace, all of them; None: what is usual."""

    workspace: UUID


class WorkUsed(Struct, frozen=True):
    """``scans`` that run now, and work ``items`` that were handed out today."""

    scans: int
    items: int


class EvidenceUsed(Struct, frozen=True):
    """What is kept of a workspace's evidence: records, bodies as they came, uploads; packed it is less."""

    storage: int
