"""The parts of a process: each runs as long as the process does, and is begun anew after what passes by itself."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.kernel.errors import MirageError
from services.kernel.pauses import pauses

_log = structlog.get_logger(__name__)


async def as_long_as_it_takes(
    part: str, begin: Callable[[], Awaitable[None]], passing: tuple[type[MirageError], ...]
) -> None:
    """Run a part, from its beginning again after what passes by itself."""
    for pause in pauses(0.5, 10.0):
        try:
            await begin()
        except Exception as error:
            if not isinstance(reason := first_of(error), passing):
                raise
            _log.warning("a part of the process waits", part=part, reason=str(reason))
            await asyncio.sleep(pause)
        else:
            return


def first_of(error: BaseException | None) -> BaseException | None:
    """What a group of tasks failed with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
