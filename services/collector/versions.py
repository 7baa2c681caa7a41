"""Which versions of modules there are with collectors, of which there may be several kinds at a time."""

import asyncio
from collections.abc import Callable
from typing import Final

from services.contracts.endpoints import LIST_VERSIONS
from services.kernel.calls import Caller, Calls, Nothing

#: Seconds for which an answer of the registry is used.
FRESH: Final = 1.0
#: Seconds without a question after which nothing is known of how long a version has been missing.
UNASKED: Final = 60.0


class Versions:
    """What the registry knows of the collectors that are there now; asked only where somebody wants to know."""

    def __init__(self, calls: Calls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._there: frozenset[tuple[str, int]] = frozenset()
        self._until = 0.0
        #: Since when there has been nobody who has what was asked for.
        self._missing: dict[tuple[str, int], float] = {}
        self._asking = asyncio.Lock()

    async def are_there(self, caller: Caller, module: str, version: int, *, lately: float = 0.0) -> bool:
        """Whether one of them has a module in this very version, or may have had it ``lately``, in seconds.

        Raises:
            Unavailable: the registry is away.
        """
        async with self._asking:
            if self._clock() >= self._until:
                there = await self._calls.ask(LIST_VERSIONS, Nothing(), caller)
                self._there = frozenset((each.module, each.version) for each in there)
                known = self._missing if self._clock() < self._until + UNASKED else {}
                self._missing = {each: since for each, since in known.items() if each not in self._there}
                self._until = self._clock() + FRESH
            at = self._clock()
        if (module, version) in self._there:
            return True
        return at - self._missing.setdefault((module, version), at) < lately
