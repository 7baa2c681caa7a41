"""Which scans a retention lets go of."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from services.contracts.states import ScanState


class EndedScan(NamedTuple):
    """A scan that has ended; ``targets`` are the same for the same set of targets."""

    id: bytes
    state: ScanState
    targets: bytes
    ended: int


def expired(newest_first: Iterable[EndedScan], *, before: int, keep_last: int) -> list[bytes]:
    """The scans that ended earlier, but for the newest finished ones of each set of targets; oldest first."""
    finished: Counter[bytes] = Counter()
    gone: list[bytes] = []
    for scan in newest_first:
        finished[scan.targets] += scan.state == "finished"
        kept = scan.state == "finished" and finished[scan.targets] <= keep_last
        if scan.ended < before and not kept:
            gone.append(scan.id)
    return gone[::-1]
