"""The port `blobs`: immutable bytes under the sha256 of what they are, one set per workspace."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from msgspec import Struct


class Blob(Struct, frozen=True):
    """Bytes to keep and the 32 bytes of their sha256."""

    digest: bytes
    content: bytes


class Blobs(ABC):
    """Content-addressed, compressed, written once; `get` returns what was put or raises `Corrupt`."""

    @abstractmethod
    async def put(self, workspace: UUID, blobs: Sequence[Blob]) -> None:
        """Keep ``blobs`` durably, all or none; one that is there already is not written again.

        Raises:
            Invalid: a digest is not that of its content.
        """

    @abstractmethod
    async def get(self, workspace: UUID, digest: bytes) -> bytes:
        """Return the content.

        Raises:
            NotFound: this workspace has no such blob.
            Corrupt: the stored bytes no longer have that sha256.
        """

    @abstractmethod
    async def drop(self, workspace: UUID, digests: Sequence[bytes]) -> None:
        """Forget blobs, those that there are; their room is reclaimed sooner or later."""

    @abstractmethod
    def digests(self, workspace: UUID) -> AsyncIterator[list[bytes]]:
        """Yield all digests of a workspace in order, in lists."""

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
