"""The port `documents`: JSON documents under a natural key, in named collections, one set per workspace."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct


class Document(Struct, frozen=True):
    key: str
    content: dict[str, Any]


class Documents(ABC):
    """Puts are idempotent; queries are by key, by prefix of the key, or by equality of indexed top-level fields."""

    @abstractmethod
    async def declare(self, collection: str, indexes: Sequence[str]) -> None:
        """Make ``collection`` exist with an index on each of these top-level fields."""

    @abstractmethod
    async def insert(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        """Keep documents; a key that is there already stays as it was."""

    @abstractmethod
    async def replace(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        """Keep documents; a key that is there already gets the new content."""

    @abstractmethod
    async def get(self, workspace: UUID, collection: str, keys: Sequence[str]) -> list[Document]: ...

    @abstractmethod
    def find(
        self, workspace: UUID, collection: str, *, where: Mapping[str, Any] | None = None, prefix: str = ""
    ) -> AsyncIterator[list[Document]]:
        """Yield documents in the order of their keys, in lists; ``where`` compares indexed fields."""

    @abstractmethod
    async def delete(self, workspace: UUID, collection: str, keys: Sequence[str]) -> None: ...

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
