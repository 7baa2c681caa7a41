"""The parts of a process: each runs as long as the process does, and is begun anew after what passes by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import structlog

from services.kernel.errors import MirageError
from services.kernel.pauses import pauses

#: Seconds after which a part that fails again had not been waiting for the same thing.
STANDING: Final = 30.0

_log = structlog.get_logger(__name__)


async def as_long_as_it_takes(
    part: str, begin: Callable[[], Awaitable[None]], passing: tuple[type[MirageError], ...]
) -> None:
    """Run a part, from its beginning again after what passes by itself; sooner where it had run for a while."""
    waits = pauses(0.5, 10.0)
    while True:
        began = monotonic()
        try:
            await begin()
        except Exception as error:
            if not isinstance(reason := first_of(error), passing):
                raise
            _log.warning("a part of the process waits", part=part, reason=str(reason))
        else:
            return
        if monotonic() - began > STANDING:
            waits = pauses(0.5, 10.0)
        await asyncio.sleep(next(waits))


def first_of(error: BaseException | None) -> BaseException | None:
    """What a group of tasks failed with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
