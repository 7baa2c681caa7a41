"""The port `search`: full text over documents that live elsewhere, one set per workspace."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct


class Indexed(Struct, frozen=True):
    """What is searched: ``text`` by words and parts of words, ``fields`` by equality and as facets."""

    id: bytes
    text: str
    fields: dict[str, str]


class Found(Struct, frozen=True):
    """One page of a search: ids best first, facet counts, and the cursor of the next page."""

    ids: list[bytes]
    total: int
    facets: dict[str, dict[str, int]]
    cursor: str | None


class Search(ABC):
    """Written by natural key, so that indexing twice is indexing once; visible after `refresh` at the latest."""

    @abstractmethod
    async def declare(self, index: str, fields: Sequence[str]) -> None: ...

    @abstractmethod
    async def put(self, workspace: UUID, index: str, documents: Sequence[Indexed]) -> None: ...

    @abstractmethod
    async def delete(self, workspace: UUID, index: str, ids: Sequence[bytes]) -> None: ...

    @abstractmethod
    async def find(
        self,
        workspace: UUID,
        index: str,
        text: str,
        *,
        where: Mapping[str, str] | None = None,
        facets: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> Found:
        """Search; every text is a valid query and never an expression of the engine."""

    @abstractmethod
    async def refresh(self, index: str) -> None: ...

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
