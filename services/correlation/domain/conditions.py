"""Whether a condition holds of a place or a tie, and by which values."""

from collections.abc import Sequence

from services.correlation.domain.rule import Condition
from services.correlation.domain.world import Place, Spoken, Tie


def holds(condition: Condition, of: Place | Tie, now: int) -> bool:
    """Whether it holds at the instant ``now``."""
    spoken = _counted(condition, of)
    match condition.presence:
        case "said":
            return bool(spoken)
        case "unsaid":
            return not spoken
        case "absent":
            return not spoken and of.is_denied(condition.property)
    match condition.quantifier:
        case "some":
            return any(_passes(condition, value, now) for value in spoken)
        case "all":
            return bool(spoken) and all(_passes(condition, value, now) for value in spoken)
        case "none":
            return not any(_passes(condition, value, now) for value in spoken)


def all_hold(conditions: Sequence[Condition], of: Place | Tie, now: int) -> bool:
    return all(holds(condition, of, now) for condition in conditions)


def grounds_of(condition: Condition, of: Place | Tie, now: int) -> list[Spoken]:
    """The values by which a condition that holds does so; those that it only had to find harmless are none."""
    if condition.quantifier == "none":
        return []
    spoken = _counted(condition, of)
    if condition.presence:
        return spoken
    return [value for value in spoken if _passes(condition, value, now)]


def _counted(condition: Condition, of: Place | Tie) -> list[Spoken]:
    spoken = of.spoken(condition.property)
    if not condition.by:
        return spoken
    return [each for each in spoken if each[1] and {said.module for said in each[1]} <= condition.by]


def _passes(condition: Condition, spoken: Spoken, now: int) -> bool:
    return all(test.holds(spoken[0], now) for test in condition.tests)
