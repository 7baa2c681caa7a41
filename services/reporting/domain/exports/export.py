"""What every format is: something that takes what a scan says, and gives the bytes of a file in their order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from msgspec import Struct

from services.contracts.resources.correlation import FindingView
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidBy


class About(Struct, frozen=True, kw_only=True):
    """What a file says of itself: the scan (hex), and when that was begun (UTC microseconds)."""

    scan: str
    at: int


class Export(ABC):
    """A file under way: `begin`, `find` for all findings there are, `add` for all facts, `end`; then `close`.

    ``without``: what of the scan was not to be had, in words; set before the end.
    """

    without: str = ""

    def begin(self) -> Iterator[bytes]:
        """What comes before anything that is known of the scan."""
        yield from ()

    def find(self, findings: Sequence[FindingView]) -> Iterator[bytes]:
        """Take findings, of which all come before the first facts."""
        yield from ()

    @abstractmethod
    def add(self, facts: Facts) -> Iterator[bytes]:
        """Take entities, each with the relations that lead from it."""

    @abstractmethod
    def end(self) -> Iterator[bytes]:
        """Give what is left."""

    @property
    def left_out(self) -> str:
        """What of the scan has no place in the file, once all was taken; nothing where all has."""
        return ""

    def close(self) -> None:  # noqa: B027  most have nothing
        """Let go of what waits on disk."""


class Following:
    """Puts every relation behind the entity that it leads from, over the borders of pieces."""

    def __init__(self) -> None:
        self._waiting: list[EntityFacts] = []
        self._open: tuple[str, tuple[str, ...]] | None = None

    def add(self, facts: Facts) -> Iterator[EntityFacts | RelationFacts]:
        """The next entities and relations in order; entities wait until it is known that no relation is before them."""
        if facts.entities:
            yield from self.end()
            self._waiting = list(reversed(facts.entities))
        for relation in facts.relations:
            source = (relation.source.type, relation.source.key)
            while self._waiting and self._open != source:
                entity = self._waiting.pop()
                self._open = (entity.entity.type, entity.entity.key)
                yield entity
            yield relation

    def end(self) -> Iterator[EntityFacts | RelationFacts]:
        """The entities from which nothing leads that comes any more."""
        while self._waiting:
            entity = self._waiting.pop()
            self._open = (entity.entity.type, entity.entity.key)
            yield entity


def modules_of(said: Sequence[SaidBy]) -> list[str]:
    """Who said it: ``module@version``, each once, in order."""
    return sorted({f"{each.module}@{each.version}" for each in said})


def evidence_of(said: Sequence[SaidBy]) -> list[str]:
    """On which evidence records, in hex, each once, in the order in which they are named."""
    return list(dict.fromkeys(identity.hex() for each in said for identity in each.evidence))


def all_said(facts: EntityFacts) -> Sequence[SaidBy]:
    """Who said that an entity exists, or else what it is like, or else who named it in a relation."""
    if facts.said:
        return facts.said
    told = [said for each in facts.attributes for said in each.said]
    told += [said for each in facts.absences for said in each.said]
    return sorted(told, key=lambda said: (said.at, said.module)) or facts.named
