"""A list of host names in scope, one a line, with what was found of their addresses."""

from collections.abc import Collection, Iterator
from typing import Final

from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts
from services.contracts.scope import Role
from services.reporting.domain.exports.export import Export, Following
from services.reporting.domain.exports.waiting import Scratch, Sorted, key_of

IN_SCOPE: Final[tuple[Role, ...]] = ("target", "in_scope")
NAMES: Final = ("domain", "hostname")
RESOLVES: Final = "resolves_to"


class Hosts(Export):
    """``resolving``: the scan's modules that ask the DNS for addresses of names; others tell where a name was once.

    Without ``everything`` only those that resolve are there, unless nobody asked.
    """

    def __init__(self, resolving: Collection[str], scratch: Scratch, *, everything: bool) -> None:
        self._resolving = resolving
        self._everything = everything
        self._following = Following()
        self._sorted = Sorted(scratch)
        self._name: EntityFacts | None = None
        self._resolved = False

    def add(self, facts: Facts) -> Iterator[bytes]:
        self._sorted.add(line for each in self._following.add(facts) for line in self._take(each))
        yield from ()

    def end(self) -> Iterator[bytes]:
        self._sorted.add(line for each in self._following.end() for line in self._take(each))
        self._sorted.add(self._line())
        for lines in self._sorted.documents():
            yield b"".join(lines)

    def close(self) -> None:
        self._sorted.close()

    def _take(self, facts: EntityFacts | RelationFacts) -> Iterator[tuple[bytes, bytes]]:
        """The line of the name before, once another entity comes."""
        if isinstance(facts, RelationFacts):
            if facts.type == RESOLVES and any(said.module in self._resolving for said in facts.said):
                self._resolved = True
            return
        yield from self._line()
        listed = facts.entity.type in NAMES and facts.role in IN_SCOPE
        self._name, self._resolved = (facts if listed else None), False

    def _line(self) -> Iterator[tuple[bytes, bytes]]:
        if self._name is None:
            return
        name = self._name.entity.value
        state = resolution(self._name, resolved=self._resolved) if self._resolving else "not-asked"
        if state == "resolved":
            yield key_of(self._name.entity), f"{name}\n".encode()
        elif self._everything or not self._resolving:
            yield key_of(self._name.entity), f"{name}\t{state}\n".encode()


def resolution(facts: EntityFacts, *, resolved: bool) -> str:
    """What a scan found of the addresses of a name: resolved, wildcard, stale, unresolved, unknown."""
    values = {(each.name, each.value) for each in facts.attributes}
    if ("covered_by_wildcard", True) in values:
        return "wildcard"
    if resolved:
        return "resolved"
    if ("response_code", "NXDOMAIN") in values:
        return "stale"
    return "unresolved" if any(each.predicate == RESOLVES for each in facts.absences) else "unknown"
