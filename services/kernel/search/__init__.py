"""The port `search`: full text over documents that live elsewhere, one set per workspace."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

COUNTED: Final = 2_000


class Indexed(Struct, frozen=True):
    """What is searched: ``text`` by words and parts of words, ``fields`` by equality and as facets.

    Of a very long text its beginning (20,000 characters at least) is searched.
    """

    id: bytes
    text: str
    fields: dict[str, str]


class Found(Struct, frozen=True):
    """One page of a search: ids best first, facet counts, and the cursor of the next page.

    ``total`` and the counts are exact up to `COUNTED` documents; when there are more, they count that many at least.
    """

    ids: list[bytes]
    total: int
    facets: dict[str, dict[str, int]]
    cursor: str | None


class Search(ABC):
    """Written by natural key, so that indexing twice is indexing once; visible after `refresh` at the latest.

    Raises:
        Invalid: an index or a field that was not declared, a cursor that is none, a limit beyond 1 to 1,000.
        Unavailable: the server is away, or has lost the index: declare it again and index anew.
    """

    @abstractmethod
    async def declare(self, index: str, fields: Sequence[str]) -> str:
        """Make ``index`` exist with these fields; fields that it has already stay.

        Returns which index it is: the same for as long as it keeps what was put into it, another one when it had to be
        made anew since the one before was lost.
        """

    @abstractmethod
    async def put(self, workspace: UUID, index: str, documents: Sequence[Indexed]) -> None:
        """Index documents; one with an id that is there already takes its place."""

    @abstractmethod
    async def delete(self, workspace: UUID, index: str, ids: Sequence[bytes]) -> None:
        """Forget documents, those that there are."""

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
        """Search; every text is a valid query and never an expression of the engine.

        A document is found when it has all of the words: one of three letters or more anywhere (``examp``,
        ``mail-01``, ``eu.example``), a shorter one at the beginning of a word. Case, accents and which signs stand
        between words do not matter. A blank text finds everything, one without letters and digits nothing.
        """

    @abstractmethod
    async def refresh(self, index: str) -> None:
        """Make visible what was put and deleted so far."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the index answers, all that was declared included."""

    @abstractmethod
    async def close(self) -> None: ...
