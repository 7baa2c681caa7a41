"""How exposed something is, as one number of its findings.

Each finding leaves open a part of what others leave open: risk = 1 - Π (1 - share of its severity · confidence), as
independent ways in add up. So one critical finding is worse than many small ones, more findings never make it better,
and nothing is beyond 100.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from services.contracts.findings import Severity

#: What a finding of which one is sure makes of 1.
SHARES: Final[Mapping[Severity, float]] = {"info": 0.0, "low": 0.04, "medium": 0.15, "high": 0.45, "critical": 0.85}


def score_of(findings: Iterable[tuple[Severity, int]]) -> int:
    """0 to 100 of findings by severity and confidence (0 to 100)."""
    left = 1.0
    for severity, confidence in findings:
        left *= 1 - SHARES[severity] * confidence / 100
    return round(100 * (1 - left))
