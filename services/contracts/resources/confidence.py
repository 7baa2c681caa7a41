"""How sure one can be of what was said, and what a workspace has set of that."""

from typing import Literal
from uuid import UUID

from msgspec import Struct


class ConfidenceQuery(Struct, frozen=True, kw_only=True):
    """What is said of the entities of a value; ``predicate`` narrows to an attribute, a type of relation or ``exists``.

    With ``scan`` only what that one says.
    """

    value: str
    type: str | None = None
    predicate: str = ""
    scan: UUID | None = None


class ConfidenceTerm(Struct, frozen=True, kw_only=True):
    """What one word adds: ``strength`` is reliability · stated / 100 · freshness, at most 0.99.

    ``at``: when it was said (UTC microseconds). ``omitted``: why it does not count: the same origin says so more
    strongly, or the source has said something else since. ``set_here``: the reliability is the workspace's own.
    """

    module: str
    version: int
    origin: str
    at: int
    reliability: float
    set_here: bool
    stated: int
    freshness: float
    strength: float
    omitted: Literal["", "same_origin", "superseded"] = ""
    scan: UUID | None = None
    evidence: tuple[str, ...] = ()


class ConfidenceStatement(Struct, frozen=True, kw_only=True):
    """One thing that was said of an entity, and how sure one can be of it: ``number`` is 0 to 99, ``exact`` 0 to 1.

    ``support`` is 1 - Π (1 - strength) over the terms that count, ``odds`` are support / (1 - support), ``exact`` is
    odds / (1 + odds + ``against``), where ``against`` are the odds of all that excludes it. ``wins``: nothing that
    excludes it is surer. ``half_life``: days, 0 where it does not fade. ``more``: further words of the modules in
    the list, none of which count. A relation leads ``outward`` or to the entity; ``absent``: that there is none.
    """

    predicate: str
    number: int
    exact: float
    support: float
    odds: float
    against: float
    wins: bool
    half_life: float
    value: str | int | float | bool | None = None
    absent: bool = False
    target_type: str = ""
    target_value: str = ""
    outward: bool = True
    qualifiers: dict[str, str] = {}
    terms: tuple[ConfidenceTerm, ...] = ()
    more: int = 0


class ConfidenceView(Struct, frozen=True, kw_only=True):
    """An entity, and how sure one can be of what is said of it ``at`` an instant; ``left_out``: further relations."""

    id: str
    type: str
    value: str
    at: int
    statements: tuple[ConfidenceStatement, ...]
    left_out: int = 0


class PolicySource(Struct, frozen=True, kw_only=True):
    """A module, whose voice it is, and how reliable that is: here, and where nobody has set anything."""

    module: str
    origin: str
    activity: str
    reliability: float
    usual: float
    reason: str = ""


class PolicyHalfLife(Struct, frozen=True, kw_only=True):
    """Days after which half is left of what was said of a predicate, here and usually; 0 where it does not fade."""

    predicate: str
    days: float
    usual: float


class PolicyView(Struct, frozen=True, kw_only=True):
    """How sources are judged in a workspace, and who has changed that last, when and why (``at`` 0: nobody has).

    ``reliability`` and ``half_lives`` are what was set; half-lives that are not named are ``usual_half_life``.
    """

    sources: tuple[PolicySource, ...]
    fading: tuple[PolicyHalfLife, ...]
    reliability: dict[str, float]
    half_lives: dict[str, float]
    usual_half_life: float
    at: int = 0
    who: str = ""
    reason: str = ""


class PolicyChange(Struct, frozen=True, kw_only=True):
    """What to set: reliability (0 to 1, or A to F) by module or origin, half-lives in days; null is what is usual.

    ``reset``: all else is what is usual, too.
    """

    reliability: dict[str, float | str | None] = {}
    half_lives: dict[str, float | None] = {}
    reset: bool = False
    reason: str = ""
