"""Patterns of subjects: ``*`` stands for one token, a final ``>`` for one or more.

The rules are those of NATS (https://docs.nats.io/nats-concepts/subjects).
"""

from collections.abc import Iterable, Sequence

from services.kernel.errors import Invalid


def check_subject(subject: str) -> None:
    """Raise `Invalid` unless messages can be published to ``subject``."""
    if (
        not subject
        or any(token in {"", "*", ">"} for token in subject.split("."))
        or subject != "".join(subject.split())
    ):
        raise Invalid(f"{subject!r} is no subject")


def check_pattern(pattern: str) -> None:
    tokens = pattern.split(".")
    if ">" in tokens[:-1] or "" in tokens or pattern != "".join(pattern.split()):
        raise Invalid(f"{pattern!r} is no pattern of subjects")


def matches(pattern: str, subject: str) -> bool:
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, want in enumerate(wanted):
        if want == ">":
            return len(tokens) > place
        if place >= len(tokens) or want not in {"*", tokens[place]}:
            return False
    return len(wanted) == len(tokens)


def any_matches(patterns: Sequence[str], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in patterns)


def overlap(one: str, other: str) -> bool:
    """Say whether some subject matches both patterns."""
    left, right = one.split("."), other.split(".")
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a == ">" or b == ">":
            return True
        if a != b and "*" not in {a, b}:
            return False
        if place + 1 == len(left) == len(right):
            return True
    return False


def any_overlap(ones: Sequence[str], others: Sequence[str]) -> bool:
    return any(overlap(one, other) for one in ones for other in others)


def covers(wide: str, narrow: str) -> bool:
    """Say whether ``wide`` matches every subject that ``narrow`` does."""
    return matches(wide, narrow) and not (narrow.endswith(">") and not wide.endswith(">"))


def widest(patterns: Iterable[str]) -> tuple[str, ...]:
    """Those that no other one covers, in their order."""
    each = tuple(dict.fromkeys(patterns))
    return tuple(one for one in each if not any(other != one and covers(other, one) for other in each))


def narrowed(patterns: Sequence[str], subjects: Sequence[str]) -> tuple[str, ...]:
    """What of ``patterns`` lies within ``subjects``."""
    pairs = ((pattern, subject) for pattern in patterns for subject in subjects if overlap(pattern, subject))
    return widest(subject if covers(pattern, subject) else pattern for pattern, subject in pairs)
