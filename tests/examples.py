"""On how many examples a property is tried: on all of them in a full run, on some in the quick one."""

from typing import Any

from hypothesis import settings

#: What a profile takes of a hundred examples it takes of any number.
PROFILES = {"full": 100, "quick": 15}


def examples(number: int, **more: Any) -> settings:
    """Settings of a property that a full run tries on ``number`` examples."""
    return settings(max_examples=number * settings.default.max_examples // 100, **more)


def seeds(number: int) -> range:
    """Seeds of random worlds, of which a full run tries ``number``."""
    return range(max(2, number * settings.default.max_examples // 100))
