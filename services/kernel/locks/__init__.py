"""The port `locks`: work that one process of a fleet does at a time."""

import re
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Final

from services.kernel.errors import Invalid

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Locks(ABC):
    """Locks by name: small letters, digits and ``-``."""

    @abstractmethod
    def held(self, name: str) -> AbstractAsyncContextManager[int]:
        """Wait until the lock is ours, and hold it while the block lasts; yield its fencing token.

        The token is larger than that of every holder before. Where the work is written, one that is smaller than the
        largest seen has to be refused, because a process that stands still does not notice that its lock was lost.

        A lock that is lost cancels the block, before anybody else can have it unless somebody took it away by force;
        then `Unavailable` is raised in place of the cancellation.

        Raises:
            Unavailable: the locks are away, or this one was lost.
            Invalid: ``name`` is none.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless locks can be had."""

    @abstractmethod
    async def close(self) -> None:
        """Cancel the blocks that hold a lock, which lose it, and wait until they have ended."""


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name[:64]!r} cannot be the name of a lock")
