"""The states that scans, their work items and their sources are in."""

from typing import Final, Literal, TypeAlias

ScanState: TypeAlias = Literal["running", "paused", "stopped", "incomplete", "finished"]
#: States in which nothing more happens unless somebody asks.
ENDED: Final[frozenset[ScanState]] = frozenset({"stopped", "incomplete", "finished"})

ItemState: TypeAlias = Literal["waiting", "leased", "done"]

#: How a module fares in a scan: nothing to ask about, at work, asked in full, cut off by the source, asked in part, or
#: the outcome that all its items share.
SourceStanding: TypeAlias = Literal[
    "idle",
    "waiting",
    "running",
    "answered",
    "truncated",
    "partial",
    "unauthorised",
    "unreachable",
    "rate_limited",
    "blocked",
    "failed",
    "skipped",
]
