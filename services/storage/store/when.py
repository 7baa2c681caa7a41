"""Which claims count: at what instant they were known, and when what they say holds."""

from typing import Final

from msgspec import Struct

#: Claims that are neither withdrawn nor rest on what is withdrawn alone.
COUNTS: Final = " AND claim.retracted_at IS NULL AND claim.unsupported_at IS NULL"
_RECORDED: Final = " AND claim.recorded_at <= :as_of"
#: The same at an instant: `withheld` has when a claim did not count that does again.
_COUNTED: Final = (
    f"{_RECORDED} AND (claim.retracted_at IS NULL OR claim.retracted_at > :as_of)"  # noqa: S608  a constant
    " AND (claim.unsupported_at IS NULL OR claim.unsupported_at > :as_of)"
    " AND NOT EXISTS (SELECT 1 FROM withheld WHERE withheld.workspace = claim.workspace"
    " AND withheld.about = claim.about AND withheld.scan = claim.scan AND withheld.id = claim.id"
    " AND withheld.since <= :as_of AND withheld.until > :as_of)"
)
_VALID: Final = (
    " AND (claim.valid_from IS NULL OR claim.valid_from <= :valid_at)"
    " AND (claim.valid_to IS NULL OR claim.valid_to >= :valid_at)"
)


class When(Struct, frozen=True):
    """What was known at ``as_of``, now without it; of that, what its sources say to hold at ``valid_at``, if given.

    Both are UTC microseconds. With ``withdrawn`` also claims count that do not. ``counts`` and ``recorded`` are
    conditions on the table `claim` for statements that are given ``values``: which claims count, and which of any kind
    were there.
    """

    as_of: int | None = None
    valid_at: int | None = None
    withdrawn: bool = False

    @property
    def counts(self) -> str:
        counted = COUNTS if self.as_of is None else _COUNTED
        return (self.recorded if self.withdrawn else counted) + ("" if self.valid_at is None else _VALID)

    @property
    def recorded(self) -> str:
        return "" if self.as_of is None else _RECORDED

    @property
    def values(self) -> dict[str, int]:
        given = {"as_of": self.as_of, "valid_at": self.valid_at}
        return {name: at for name, at in given.items() if at is not None}


NOW: Final = When()
