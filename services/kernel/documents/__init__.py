"""The port `documents`: JSON documents under a natural key, in named collections, one set per workspace."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct


class Document(Struct, frozen=True):
    """``content`` is what JSON can say, integers within 64 bits, at most 15 MB with 1,000 fields at its top.

    Keys are not empty.
    """

    key: str
    content: dict[str, Any]


class Documents(ABC):
    """Puts are idempotent; queries are by key, by prefix of the key, or by equality of indexed top-level fields.

    A batch is kept whole or not at all only in the sense that putting it again completes it. Within a batch, of two
    documents with one key `insert` keeps the first and `replace` the last.

    Raises:
        Invalid: a collection that was not declared, a field without an index, a content that is no JSON.
    """

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
    async def get(self, workspace: UUID, collection: str, keys: Sequence[str]) -> list[Document]:
        """Return those that there are, in the order of ``keys``, each once."""

    @abstractmethod
    def find(
        self, workspace: UUID, collection: str, *, where: Mapping[str, Any] | None = None, prefix: str = ""
    ) -> AsyncIterator[list[Document]]:
        """Yield documents in the order of their keys (by bytes), in lists; ``where`` compares indexed fields.

        A field is compared with text, a number, true, false, or None, which also stands for a field that is missing.
        Documents put meanwhile may or may not be among them.
        """

    @abstractmethod
    async def delete(self, workspace: UUID, collection: str, keys: Sequence[str]) -> None:
        """Forget documents, those that there are."""

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
