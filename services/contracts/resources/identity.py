"""What may be one and the same, and what was decided of that."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from services.contracts.resources.correlation import Limit, Named

#: ``proposed``: nobody has looked at it. The others come from a person.
HypothesisStatus = Literal["proposed", "accepted", "rejected"]


class HypothesisEvidence(Struct, frozen=True, kw_only=True):
    """One term of a score: what two entities share, or ``against`` it; score = (1 - Π (1 - term)) · Π (1 - counter).

    ``holders``: how many in the scan share it, 0 where that does not matter; ``more``: further things of that kind.
    """

    kind: str
    words: str
    term: float
    holders: int = 0
    more: int = 0
    against: bool = False


class HypothesisChange(Struct, frozen=True, kw_only=True):
    """``proposed`` is what a decision was taken back to."""

    status: HypothesisStatus
    at: int
    who: str
    reason: str = ""


class HypothesisView(Struct, frozen=True, kw_only=True):
    """That two entities may be one thing, or of accounts and domains, that one holds both.

    ``id`` is the same for the same two in every scan. ``score`` (0 to 1) and ``evidence`` are those of the scan in
    which it is highest. ``supported``: some scan speaks for it still; what was accepted stays so where none does.
    ``history``: what was decided so far, the newest first, where one is asked for.
    """

    id: UUID
    type: str
    one: Named
    other: Named
    score: float
    status: HypothesisStatus
    supported: bool
    scan: UUID | None = None
    evidence: tuple[HypothesisEvidence, ...] = ()
    at: int = 0
    who: str = ""
    reason: str = ""
    history: tuple[HypothesisChange, ...] = ()


class HypothesesQuery(Struct, frozen=True, kw_only=True):
    """Hypotheses of a scan, or of all of them, the likeliest first; ``least`` is of the score.

    ``entity``, and ``other`` beside it: values of entities that it is about; ``id``: the beginning of one (hex).
    """

    scan: UUID | None = None
    status: HypothesisStatus | None = None
    least: Annotated[float, Meta(ge=0, le=1)] = 0.0
    entity: str = ""
    other: str = ""
    id: str = ""
    limit: Limit = 100
    cursor: str | None = None


class HypothesesPage(Struct, frozen=True, kw_only=True):
    hypotheses: tuple[HypothesisView, ...]
    cursor: str | None


class DecideHypothesis(Struct, frozen=True, kw_only=True):
    """``accept``: they are one; ``reject``: they are two; ``reset``: nobody knows again."""

    hypothesis: UUID
    verdict: Literal["accept", "reject", "reset"]
    reason: str = ""


class ClusterQuery(Struct, frozen=True, kw_only=True):
    """Clusters of the entities of a value."""

    value: str
    type: str | None = None


class ClusterView(Struct, frozen=True, kw_only=True):
    """Entities that were decided to be one; the first stands for them.

    ``links`` are the pairs that were accepted, ``conflicts`` pairs of members that were rejected: a contradiction that
    people have to resolve. ``cut``: there are more members than are shown.
    """

    type: str
    members: tuple[Named, ...]
    links: tuple[HypothesisView, ...]
    conflicts: tuple[HypothesisView, ...]
    cut: bool = False
