"""The port `directory`: which instances of a service there are and which of them are well."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from msgspec import Struct


class Instance(Struct, frozen=True):
    """One running service: where it listens and what it is. ``address`` is a host and port, or ``local``."""

    service: str
    id: str
    address: str
    meta: dict[str, str]


class Directory(ABC):
    @abstractmethod
    async def register(self, instance: Instance) -> None:
        """Make an instance known; registering it again changes nothing, unless it has changed itself."""

    @abstractmethod
    async def deregister(self, service: str, id: str) -> None:
        """Forget an instance, if there is one."""

    @abstractmethod
    async def resolve(self, service: str) -> list[Instance]:
        """Return the instances that are well, by id; the last good list when the directory itself is away."""

    @abstractmethod
    def watch(self, service: str) -> AsyncIterator[list[Instance]]:
        """Yield the list now and whenever it changes; one who is slow gets the latest, not each between.

        Raises:
            Unavailable: the directory was closed.
        """

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
