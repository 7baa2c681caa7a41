"""Provider keys as a collector knows them: sealed where everybody may read, opened here, never in a log."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from services.contracts.keys import KEYS, PROJECTED
from services.kernel.errors import Corrupt, Unavailable
from services.kernel.seal import Seal
from services.kernel.values import Values

#: Seconds in which what is set must be known.
KNOWN_WITHIN: Final = 10.0

_log = structlog.get_logger(__name__)


class KeyRing:
    """Keys by name, as they were last seen; `follow` must be running."""

    def __init__(self, values: Values, seal: Seal) -> None:
        self._values = values
        self._seal = seal
        self._secrets: dict[str, str] = {}
        self._shut: frozenset[str] = frozenset()
        self._known = asyncio.Event()

    async def follow(self) -> None:
        """Learn of every change, as long as the process runs."""
        async for found in self._values.watch(KEYS):
            self._take(found)

    async def known(self) -> None:
        """Wait until it is known which keys are set.

        Raises:
            Unavailable: nobody says it.
        """
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                await self._known.wait()
        except TimeoutError:
            raise Unavailable("nobody says which provider keys are set: is the service configuration there?") from None

    def find(self, name: str) -> str | None:
        """The secret of a key, None when it is not set."""
        return self._secrets.get(name)

    def is_shut(self, name: str) -> bool:
        """Whether a key is set that nobody can open here: it was sealed under another master key."""
        return name in self._shut

    def _take(self, found: Mapping[str, bytes]) -> None:
        if PROJECTED not in found:
            return
        secrets: dict[str, str] = {}
        shut: set[str] = set()
        for key, sealed in found.items():
            name = key.removeprefix(KEYS)
            if key != PROJECTED:
                try:
                    secrets[name] = self._seal.open(name, sealed.decode("ascii", "replace"))
                except Corrupt as error:
                    _log.error("a key does not open", key=name, reason=str(error))
                    shut.add(name)
        # While a master key is being brought out, one that opened before goes on to hold.
        self._secrets = {name: self._secrets[name] for name in shut & self._secrets.keys()} | secrets
        self._shut = frozenset(shut - self._secrets.keys())
        self._known.set()
