"""Numbers and letters that count: what lies between the seen ones, and what comes before and after."""

from collections.abc import Container, Iterator

from services.collector.naming.habits import GAP, Habits
from services.collector.naming.tokens import text_of

_MAX_DIGITS = 5
_FAINT = 0.004


def continue_sequences(habits: Habits, fresh: Container[str]) -> Iterator[tuple[str, float]]:
    """Names that continue a sequence that a fresh name is in, with the chance that each exists."""
    for context, fillers in habits.contexts.items():
        if not any(context.replace(GAP, filler) in fresh for filler in fillers):
            continue
        left, _, right = context.partition(GAP)
        numbers: dict[str, set[str]] = {}
        letters: dict[str, set[str]] = {}
        for filler in fillers:
            text = text_of(filler)
            join = filler[: len(filler) - len(text)]
            if text.isdigit():
                if len(text) <= _MAX_DIGITS:
                    numbers.setdefault(join, set()).add(text)
            elif len(text) == 1 and left:
                letters.setdefault(join, set()).add(text)
        for join, texts in numbers.items():
            yield from _continue_numbers(left, right, join, texts)
        for join, texts in letters.items():
            yield from _continue_letters(left, right, join, texts)


def _continue_numbers(left: str, right: str, join: str, texts: set[str]) -> Iterator[tuple[str, float]]:
    padded = {text for text in texts if text[0] == "0" and len(text) > 1}
    widths = sorted({len(text) for text in texts}) if padded else [0]
    for width in widths:
        numbers = sorted({int(text) for text in texts if not width or len(text) == width})
        for number, chance in sorted(next_numbers(numbers).items()):
            yield f"{left}{join}{str(number).zfill(width)}{right}", chance


def next_numbers(numbers: list[int]) -> dict[int, float]:
    """Chances of numbers that are not in the sorted ``numbers`` but near them: gaps, then upwards, then downwards."""
    low, high, count = numbers[0], numbers[-1], len(numbers)
    chances: dict[int, float] = {}
    if high - low <= 4 * count + 8:
        density = count / (high - low + 1)
        chances.update(dict.fromkeys(range(low + 1, high), 0.15 + 0.6 * density))
    else:
        for number in numbers:
            for distance in (1, 2, 3):
                for near in (number - distance, number + distance):
                    chances[near] = max(chances.get(near, 0.0), 0.12 * 0.6 ** (distance - 1))
    chance, slope = (0.35, 0.55) if count == 1 else (0.45, 0.75)
    for number in range(high + 1, high + 40):
        if chance < _FAINT:
            break
        chances[number] = max(chances.get(number, 0.0), chance)
        chance *= slope
    chance = 0.4
    for number in range(low - 1, max(-1, low - 12), -1):
        chances[number] = max(chances.get(number, 0.0), chance if number else chance * 0.3)
        chance *= 0.8
    known = set(numbers)
    scale = 1.0 if high < 1000 else 0.4
    return {number: chance * scale for number, chance in chances.items() if number >= 0 and number not in known}


def _continue_letters(left: str, right: str, join: str, texts: set[str]) -> Iterator[tuple[str, float]]:
    codes = sorted(ord(text) for text in texts)
    for code in range(ord("a"), ord("z") + 1):
        distance = min(abs(code - known) for known in codes)
        if distance and codes[0] <= ord("h"):
            yield f"{left}{join}{chr(code)}{right}", (0.3 if len(codes) > 1 else 0.12) * 0.6 ** (distance - 1)
