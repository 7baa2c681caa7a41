"""Why a scan never saw something that is in its scope: who was asked and did not know it, and who was not asked."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.contracts.facts import ANSWERED
from services.contracts.resources import SourceState
from services.contracts.states import ScanState

#: Sources that are named where there may be many.
_NAMED: Final = 12
_HELD: Final[dict[ScanState, str]] = {
    "running": "the scan is still running",
    "paused": "the scan is paused",
    "stopped": "the scan was stopped",
}


def cut_short(state: ScanState, reason: str, limit: str) -> str:
    """What kept a scan from asking all that it would have asked; empty when nothing did.

    ``limit`` is the limit of work items, where it was reached: sources may be missing questions that none is open for.
    """
    if limit:
        return limit
    return reason if state == "incomplete" else _HELD.get(state, "")


def why_unseen(sources: Sequence[SourceState], cut: str) -> str:
    """Say it of those ``sources`` that could have named it; ``cut`` as `cut_short` says it."""
    told = [source for source in sources if ANSWERED & source.outcomes.keys()]
    silent = [source for source in sources if source.outcomes.keys() - ANSWERED]
    keyless = [source for source in sources if source.state == "unauthorised" and not source.outcomes]
    unasked = [source for source in sources if source.open or (not source.outcomes and source not in keyless)]
    clauses = [
        _why_unasked(unasked, cut) if cut else "",
        _who_told(told, whole=not (cut or silent or keyless)),
        f"no answer: {_listed(f'{source.module} ({_failures(source)})' for source in silent)}" if silent else "",
        f"not asked: no key for {_listed(source.module for source in keyless)}" if keyless else "",
    ]
    return f"it is in scope{'' if cut else ' and was never seen'}: {'; '.join(filter(None, clauses))}"


def _who_told(told: Sequence[SourceState], *, whole: bool) -> str:
    if not told:
        return "no source was asked" if whole else "no source has answered"
    guessed = ", and no guess found it" if any(source.activity == "guess" for source in told) else ""
    return f"{'no source' if whole else 'no source that answered'} named it{guessed}"


def _why_unasked(unasked: Sequence[SourceState], cut: str) -> str:
    who = f", which left out {_listed(source.module for source in unasked)}" if unasked else ""
    return f"not asked: {cut}{who}"


def _failures(source: SourceState) -> str:
    return ", ".join(sorted(source.outcomes.keys() - ANSWERED))


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:_NAMED]) + (" and others" if len(found) > _NAMED else "")
