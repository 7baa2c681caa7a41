"""Numbers, times and lists as a report writes them: in English, in UTC, no longer than a page can bear."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from services.contracts.findings import SEVERITIES, Severity
from services.reporting.domain.reports.inputs import LONGEST

_CAPITALS: Final = {name.lower(): name for name in ("ASN", "DNS", "HTTP", "IP", "TLS", "URL")}
#: From the worst to the least.
WORST_FIRST: Final[tuple[Severity, ...]] = tuple(reversed(SEVERITIES))


def count(number: int, thing: str) -> str:
    """A number and its noun: ``1 name``, ``2 names``, ``3 entities``."""
    return f"{number:,} {thing if number == 1 else plural(thing)}"


def plural(thing: str) -> str:
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return thing + ("es" if thing.endswith(("s", "x")) else "s")


def kind(type: str) -> str:
    """A type, or another name of the vocabulary, in words."""
    return " ".join(_CAPITALS.get(word, word) for word in type.split("_"))


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def be(number: int) -> str:
    return "is" if number == 1 else "are"


def instant(at: int | None) -> str:
    """A time in UTC microseconds; what no calendar has stays a number."""
    if at is None:
        return "never"
    try:
        return f"{datetime.fromtimestamp(at / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return str(at)


def day(at: int) -> str:
    return instant(at)[:10]


def listed(things: Sequence[str], most: int = 0, other: str = "other") -> str:
    """``a``, ``a and b``, ``a, b and c``; of more than ``most``, how many others there are."""
    if most and len(things) > most:
        return f"{', '.join(things[:most])} and {count(len(things) - most, other)}"
    return " and ".join(filter(None, (", ".join(things[:-1]), *things[-1:])))


def cut(text: str, longest: int = LONGEST) -> str:
    """No more of a text of the outside than a report repeats, saying how much is not there."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({count(len(text) - longest, 'further character')})"


def numbers(letter: str, found: Iterable[int]) -> str:
    """Runs of numbers behind a letter: ``F1, F3-F5``."""
    runs: list[list[int]] = []
    for number in sorted(set(found)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(f"{letter}{each}" for each in run) for run in runs)


def rests_on(findings: Iterable[int], claims: Iterable[int]) -> str:
    """What a statement rests on, as it is written behind it."""
    return ", ".join(filter(None, (numbers("F", findings), numbers("C", claims))))
