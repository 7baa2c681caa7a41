"""The states of a scan and of a work item, and what may follow what."""

from collections.abc import Sequence
from typing import Final, get_args

from services.contracts.facts import OUTCOMES, Outcome
from services.contracts.states import ItemState, ScanState
from services.kernel.errors import Conflict

#: What a person or the scan itself may do, in which state, and which state follows.
MOVES: Final[dict[str, dict[ScanState, ScanState]]] = {
    "pause": {"running": "paused"},
    "stop": {"running": "stopped", "paused": "stopped"},
    "finish": {"running": "finished"},
    "give up": {"running": "incomplete"},
    "resume": {"paused": "running", "stopped": "running", "incomplete": "running"},
    "retry": {"finished": "running", "stopped": "running", "incomplete": "running", "paused": "running"},
}

#: Results that come in these states are kept for a later run.
HELD: Final[frozenset[ScanState]] = frozenset({"paused", "stopped", "incomplete"})

WAITING: Final = 0
LEASED: Final = 1
DONE: Final = 2
ITEM_STATES: Final[tuple[ItemState, ...]] = get_args(ItemState)

_DONE_TO_IT: Final = {
    "pause": "be paused",
    "stop": "be stopped",
    "resume": "be resumed",
    "retry": "be retried",
    "finish": "finish",
    "give up": "be given up",
}
_HINTS: Final = {
    ("resume", "finished"): "the scan is finished; retry asks again what could not be asked",
    ("resume", "running"): "the scan is running already",
    ("retry", "running"): "the scan is running; what cannot be asked can be retried when it has ended",
    ("pause", "paused"): "the scan is paused already",
    ("stop", "stopped"): "the scan is stopped already",
}


def by_outcome(counts: Sequence[int]) -> dict[Outcome, int]:
    """Counts in the order of `OUTCOMES` by their names, without those that are 0."""
    return {outcome: count for outcome, count in zip(OUTCOMES, counts, strict=True) if count}


def move(state: ScanState, verb: str) -> ScanState:
    """The state after ``verb``; raises `Conflict` where it makes no sense."""
    after = MOVES[verb].get(state)
    if after is None:
        raise Conflict(_HINTS.get((verb, state), _refusal(state, verb)))
    return after


def _refusal(state: ScanState, verb: str) -> str:
    return f"the scan is {state} and cannot {_DONE_TO_IT[verb]}"
