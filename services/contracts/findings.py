"""What findings can be: how bad, and where somebody stands with them."""

from typing import Final, Literal, get_args

#: From the least to the worst.
Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

#: ``fixed`` and ``reopened`` come by themselves, the others from a person; ``new`` is what nobody has looked at.
FindingStatus = Literal["new", "confirmed", "false_positive", "accepted", "fixed", "reopened"]
FINDING_STATUSES: Final[tuple[FindingStatus, ...]] = get_args(FindingStatus)
